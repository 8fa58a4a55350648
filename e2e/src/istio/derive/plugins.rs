//! The wasm plugins of the waypoint: which are attached, and in which order they run.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    DeriveError, EXTENSIONS, FailurePolicy, Finding, GATEWAY_API, NETWORKING, Phase, Plugin,
    Release, Service, WAYPOINT_CLASS, finding, unknown,
};
use crate::istio::resources::{Object, ROOT_NAMESPACE, ResourceError, Resources};
use crate::istio::spec;

/// The fields that say where a plugin is attached; the same in both kinds.
const ATTACHMENT: [&str; 5] = ["selector", "targetRefs", "phase", "priority", "match"];

/// Where a plugin runs.
enum Place {
    Everywhere,
    /// Only in the chains of these hosts.
    At(Vec<String>),
    /// Not at all, for this reason.
    Nowhere(&'static str),
}

pub(super) fn derive(
    resources: &Resources,
    release: Release,
    gateway: &Object,
    services: &[Service],
    findings: &mut Vec<Finding>,
) -> Result<Vec<Plugin>, DeriveError> {
    let mut plugins = Vec::new();
    let mut images = BTreeMap::new();
    // Of two resources, the one that was applied first is the older.
    let objects = resources.all().iter().filter(|object| object.group == EXTENSIONS);
    for object in objects {
        let (attachment, wasm) = read(object)?;
        let hosts = match place(object, &attachment, gateway, services)? {
            Place::Everywhere => None,
            Place::At(hosts) => Some(hosts),
            Place::Nowhere(why) => {
                findings.push(finding(
                    object,
                    format!("attached nowhere, so no request meets it: {why}"),
                ));
                continue;
            }
        };
        if let Some(other) = images.insert(wasm.url.clone(), object.to_string()) {
            findings.push(finding(
                object,
                format!("the same image as {other}: each request passes both, one after the other"),
            ));
        }
        plugins.push((
            object.namespace != gateway.namespace,
            plugin(object, release, attachment, wasm, hosts, findings)?,
        ));
    }
    // Of one phase and priority, those of the waypoint's namespace come before those of the root
    // namespace.
    plugins.sort_by_key(|(root, plugin)| (plugin.phase, std::cmp::Reverse(plugin.priority), *root));
    Ok(plugins.into_iter().map(|(_, plugin)| plugin).collect())
}

fn read(object: &Object) -> Result<(spec::Attachment, spec::Wasm), DeriveError> {
    let mut fields = object.document["spec"].as_object().cloned().unwrap_or_default();
    let attachment: Map<String, Value> = ATTACHMENT
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), fields.remove(field)?)))
        .collect();
    if object.kind == "TrafficExtension" {
        let Some(Value::Object(wasm)) = fields.remove("wasm") else {
            return Err(unknown(object, "only `wasm` is derived"));
        };
        if let Some(field) = fields.keys().next() {
            return Err(unknown(
                object,
                format!("the field `{field}` beside `wasm` is not derived"),
            ));
        }
        fields = wasm;
    }
    Ok((of_fields(object, attachment)?, of_fields(object, fields)?))
}

fn of_fields<T: DeserializeOwned>(
    object: &Object,
    fields: Map<String, Value>,
) -> Result<T, ResourceError> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| ResourceError::Spec {
        object: object.to_string(),
        message: error.to_string(),
    })
}

fn place(
    object: &Object,
    attachment: &spec::Attachment,
    gateway: &Object,
    services: &[Service],
) -> Result<Place, DeriveError> {
    if attachment.target_refs.is_empty() {
        return Ok(Place::Nowhere(match attachment.selector {
            Some(_) => "a waypoint ignores `selector`; name the Gateway in `targetRefs`",
            None => "a waypoint wants `targetRefs`; name the Gateway there",
        }));
    }
    // For a waypoint's listener Istio knows neither a client side nor a port.
    let matches = attachment.traffic.iter().any(|selector| {
        let mode = selector.mode.as_deref().unwrap_or("UNDEFINED");
        ["UNDEFINED", "SERVER", "CLIENT_AND_SERVER"].contains(&mode) && selector.ports.is_empty()
    });
    if !attachment.traffic.is_empty() && !matches {
        return Ok(Place::Nowhere(
            "on a waypoint no `match` with `mode: CLIENT` or with `ports` ever matches; leave \
             `match` out",
        ));
    }
    let targets = |group: &str, kind: &str, name: &str| {
        attachment.target_refs.iter().any(|target| {
            (target.group.as_str(), target.kind.as_str(), target.name.as_str())
                == (group, kind, name)
        })
    };
    let (here, root) = (object.namespace == gateway.namespace, object.namespace == ROOT_NAMESPACE);
    if here && targets(GATEWAY_API, "Gateway", &gateway.name)
        || root && targets(GATEWAY_API, "GatewayClass", WAYPOINT_CLASS)
    {
        return Ok(Place::Everywhere);
    }
    // A ServiceEntry is named without a namespace: the plugin's own is meant.
    let named = |service: &&Service| {
        service.namespace == object.namespace && targets(NETWORKING, "ServiceEntry", &service.name)
    };
    let hosts: Vec<String> =
        services.iter().filter(named).map(|service| service.host.clone()).collect();
    match (hosts.is_empty(), here || root) {
        (false, true) => Ok(Place::At(hosts)),
        // Istio 1.30.0 to 1.30.2 put it into the listener and never deliver it: istio/istio issue
        // 60530.
        (false, false) => Err(unknown(
            object,
            "a plugin in its ServiceEntry's namespace, which is not the Gateway's, is not derived",
        )),
        (true, _) if here => Ok(Place::Nowhere(
            "no entry of its `targetRefs` is this Gateway or a ServiceEntry behind it",
        )),
        (true, _) => Ok(Place::Nowhere("it is not in the Gateway's namespace")),
    }
}

fn plugin(
    object: &Object,
    release: Release,
    attachment: spec::Attachment,
    wasm: spec::Wasm,
    hosts: Option<Vec<String>>,
    findings: &mut Vec<Finding>,
) -> Result<Plugin, DeriveError> {
    if !["HTTP", "UNSPECIFIED_PLUGIN_TYPE"].contains(&wasm.kind.as_deref().unwrap_or("HTTP")) {
        return Err(unknown(object, "only a `type: HTTP` plugin is derived"));
    }
    if wasm.url.is_empty() {
        return Err(unknown(object, "has no `url`"));
    }
    let phase = match attachment.phase.as_deref().unwrap_or("UNSPECIFIED_PHASE") {
        "AUTHN" => Phase::Authn,
        "AUTHZ" => Phase::Authz,
        "STATS" => Phase::Stats,
        "UNSPECIFIED_PHASE" | "UNSPECIFIED" => Phase::Unspecified,
        other => return Err(unknown(object, format!("the phase `{other}` is not known"))),
    };
    let failure_policy = match wasm.fail_strategy.as_deref().unwrap_or("FAIL_CLOSE") {
        "FAIL_CLOSE" => FailurePolicy::Closed,
        "FAIL_RELOAD" => FailurePolicy::Reload,
        "FAIL_OPEN" => {
            findings.push(finding(
                object,
                "`failStrategy: FAIL_OPEN` lets requests through when the plugin fails",
            ));
            FailurePolicy::Open
        }
        other => return Err(unknown(object, format!("the failStrategy `{other}` is not known"))),
    };
    // Since Istio 1.30 istiod makes a TrafficExtension of each WasmPlugin, with this mark in its
    // name.
    let (kind, mark) = match (object.kind.as_str(), release) {
        ("WasmPlugin", Release::V1_27) => ("wasmplugin", ""),
        ("WasmPlugin", Release::V1_30) => ("trafficextension", "~istio-translated-wasmplugin"),
        (_, Release::V1_30) => ("trafficextension", ""),
        (_, Release::V1_27) => {
            return Err(unknown(object, "there is no such kind before Istio 1.30"));
        }
    };
    let name = format!("{}.{}{mark}", object.namespace, object.name);
    let environment = wasm.vm_config.env.into_iter().map(|variable| {
        let value = match variable.value_from {
            spec::EnvValueSource::Inline => Some(variable.value),
            spec::EnvValueSource::Host => None,
        };
        (variable.name, value)
    });
    let environment = environment.collect();
    Ok(Plugin {
        filter: format!("extensions.istio.io/{kind}/{name}"),
        name,
        root_id: wasm.plugin_name,
        phase,
        priority: attachment.priority,
        failure_policy,
        configuration: Value::Object(wasm.plugin_config),
        environment,
        hosts,
    })
}
