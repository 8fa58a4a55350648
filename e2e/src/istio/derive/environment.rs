//! The environment of the waypoint's pods, as far as the overlay of its Deployment adds to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DeriveError, unknown};
use crate::istio::resources::{Object, Resources};
use crate::istio::spec;

/// The overlay, as far as it is understood here: strategic-merge, with variables from Secrets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    spec: Outer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    template: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    spec: PodSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    name: String,
    env: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Variable {
    name: String,
    value_from: Source,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Source {
    secret_key_ref: Key,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}

/// The container in which Envoy runs.
const PROXY: &str = "istio-proxy";

/// The variables that the waypoint's Envoy has from Secrets.
pub(super) fn derive(
    resources: &Resources,
    gateway: &Object,
) -> Result<BTreeMap<String, String>, DeriveError> {
    let spec: spec::Gateway = gateway.spec()?;
    let Some(reference) = spec.infrastructure.parameters_ref else { return Ok(BTreeMap::new()) };
    if (reference.group.as_str(), reference.kind.as_str()) != ("", "ConfigMap") {
        return Err(unknown(gateway, "`parametersRef` names a ConfigMap"));
    }
    let of_name = |kind: &'static str, name: &str| {
        let mut found = resources.of_kind("", kind);
        let name = name.to_owned();
        found.find(move |one| one.name == name && one.namespace == gateway.namespace)
    };
    // Istio makes no waypoint at all where the ConfigMap is missing.
    let Some(map) = of_name("ConfigMap", &reference.name) else {
        return Err(unknown(gateway, format!("there is no ConfigMap `{}`", reference.name)));
    };
    let text = map.document["data"]["deployment"].as_str().unwrap_or_default();
    let overlay: Overlay = serde_yaml_ng::from_str(text)
        .map_err(|error| unknown(map, format!("the key `deployment`: {error}")))?;
    let mut environment = BTreeMap::new();
    for container in overlay.spec.template.spec.containers {
        if container.name != PROXY {
            return Err(unknown(map, format!("a waypoint has no container `{}`", container.name)));
        }
        for Variable { name, value_from: Source { secret_key_ref: Key { name: secret, key } } } in
            container.env
        {
            let value = of_name("Secret", &secret)
                .and_then(|secret| secret.document["stringData"][&key].as_str());
            // The pod would not start.
            let Some(value) = value else {
                return Err(unknown(map, format!("there is no Secret `{secret}` with `{key}`")));
            };
            environment.insert(name, value.to_owned());
        }
    }
    Ok(environment)
}
