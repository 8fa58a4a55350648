//! A derived waypoint as Envoy's configuration, in istiod's names and order.

mod clusters;
mod listeners;
mod pods;
pub(super) mod secrets;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::derive::{Derived, FailurePolicy, Plugin};
use super::local::{Local, LocalError, socket_address, subscription};

/// Everything that is discovered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resources {
    pub(super) clusters: Vec<Value>,
    /// Each plugin's filter, its name, and its configuration.
    pub(super) extensions: Vec<(String, String, Value)>,
    pub(super) listeners: Vec<Value>,
    /// Each Secret of a client certificate, and of authorities, by its name.
    pub(super) secrets: BTreeMap<String, Value>,
}

impl Resources {
    pub(super) fn new(derived: &Derived, local: &Local) -> Result<Self, LocalError> {
        let mut clusters = clusters::waypoint(derived, local)?;
        clusters.extend(pods::clusters(derived, local));
        let mut listeners = listeners::waypoint(derived, local);
        listeners.extend(pods::listeners(derived, local)?);
        let plugins = derived.plugins.iter();
        let extensions = plugins
            .map(|plugin| (plugin.filter.clone(), plugin.delivered(), wasm(plugin, local)))
            .collect();
        Ok(Self { clusters, extensions, listeners, secrets: secrets::all(derived) })
    }
}

/// What Envoy starts with: all else is discovered.
pub(super) fn bootstrap(derived: &Derived, local: &Local) -> Value {
    json!({
        "node": {"id": "waypoint", "cluster": format!("{}.{}", derived.name, derived.namespace)},
        "admin": {"address": socket_address("127.0.0.1", local.ports.admin)},
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            },
        }],
        "stats_config": stats_config(derived),
        // As Istio's bootstrap has it: a fragment is cut off, where Envoy by itself refuses it.
        "layered_runtime": {"layers": [{"name": "global config", "static_layer": {
            "envoy.reloadable_features.http_reject_path_with_fragment": false,
        }}]},
        "dynamic_resources": {
            "lds_config": subscription(&local.updates("listeners.json")),
            "cds_config": subscription(&local.updates("clusters.json")),
        },
    })
}

/// As Istio's own bootstrap has it (tools/packaging/common/envoy_bootstrap.json) of the tags that
/// are not its own.
pub(crate) fn stats_config(derived: &Derived) -> Value {
    let tag = |tag: &String| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")});
    json!({"stats_tags": derived.stat_tags.iter().map(tag).collect::<Vec<_>>()})
}

/// A plugin's configuration; only the place of the module differs here.
fn wasm(plugin: &Plugin, local: &Local) -> Value {
    let failure_policy = match plugin.failure_policy {
        FailurePolicy::Open => "FAIL_OPEN",
        FailurePolicy::Closed => "FAIL_CLOSED",
        FailurePolicy::Reload => "FAIL_RELOAD",
    };
    let mut config = json!({
        "name": plugin.name,
        "failure_policy": failure_policy,
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": local.wasm}},
        },
    });
    if !plugin.root_id.is_empty() {
        config["root_id"] = json!(plugin.root_id);
    }
    if plugin.configuration.as_object().is_some_and(|fields| !fields.is_empty()) {
        let value = plugin.configuration.to_string();
        config["configuration"] =
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value});
    }
    if !plugin.environment.is_empty() {
        let given =
            plugin.environment.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let from_host = plugin.environment.iter().filter(|(_, value)| value.is_none());
        config["vm_config"]["environment_variables"] = json!({
            "key_values": given.collect::<BTreeMap<_, _>>(),
            "host_env_keys": from_host.map(|(name, _)| name).collect::<Vec<_>>(),
        });
    }
    json!({"@type": WASM, "config": config})
}

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
