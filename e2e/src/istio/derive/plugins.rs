//! The wasm plugins of the waypoint: which are attached, and in which order they run.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DeriveError, EXTENSIONS, FailurePolicy, Finding, GATEWAY_API, NETWORKING, Phase, Plugin, Service, finding, unknown};
use crate::istio::resources::{Object, ResourceError, Resources};
use crate::istio::spec;

/// The fields that say where a plugin is attached; the same in both kinds.
const ATTACHMENT: [&str; 5] = ["selector", "targetRefs", "phase", "priority", "match"];

pub(super) fn derive(
    resources: &Resources,
    gateway: &Object,
    services: &[Service],
    findings: &mut Vec<Finding>,
) -> Result<Vec<Plugin>, DeriveError> {
    let mut plugins = Vec::new();
    let mut images = BTreeMap::new();
    // istiod makes a TrafficExtension of each WasmPlugin; what was applied first is the older of two.
    let objects = resources.all().iter().filter(|object| object.group == EXTENSIONS);
    for object in objects {
        let (attachment, wasm) = read(object)?;
        match attach(object, &attachment, gateway, services) {
            Ok(service) => {
                if let Some(other) = images.insert(wasm.url.clone(), object.to_string()) {
                    findings.push(finding(object, format!("the same image as {other}: each request passes both, one after the other")));
                }
                plugins.push(plugin(object, attachment, wasm, service, findings)?);
            }
            Err(why) => findings.push(finding(object, format!("attached nowhere, so no request meets it: {why}"))),
        }
    }
    plugins.sort_by_key(|plugin| (plugin.phase, std::cmp::Reverse(plugin.priority)));
    Ok(plugins)
}

fn read(object: &Object) -> Result<(spec::Attachment, spec::Wasm), DeriveError> {
    let mut fields = object.document["spec"].as_object().cloned().unwrap_or_default();
    let attachment: Map<String, Value> =
        ATTACHMENT.into_iter().filter_map(|field| Some((field.to_owned(), fields.remove(field)?))).collect();
    if object.kind == "TrafficExtension" {
        let Some(Value::Object(wasm)) = fields.remove("wasm") else { return Err(unknown(object, "only `wasm` is derived")) };
        if let Some(field) = fields.keys().next() {
            return Err(unknown(object, format!("the field `{field}` beside `wasm` is not derived")));
        }
        fields = wasm;
    }
    Ok((of_fields(object, attachment)?, of_fields(object, fields)?))
}

fn of_fields<T: DeserializeOwned>(object: &Object, fields: Map<String, Value>) -> Result<T, ResourceError> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| ResourceError::Spec { object: object.to_string(), message: error.to_string() })
}

/// The ServiceEntry in whose chains alone a plugin runs, or why it runs nowhere.
fn attach(object: &Object, attachment: &spec::Attachment, gateway: &Object, services: &[Service]) -> Result<Option<String>, &'static str> {
    if attachment.target_refs.is_empty() {
        return Err(match attachment.selector {
            Some(_) => "a waypoint ignores `selector`; name the Gateway in `targetRefs`",
            None => "a waypoint wants `targetRefs`; name the Gateway there",
        });
    }
    if object.namespace != gateway.namespace {
        return Err("it is not in the Gateway's namespace");
    }
    // Of a waypoint's listener Istio knows neither a client's side nor a port.
    let matches = attachment.traffic.iter().any(|selector| {
        let mode = selector.mode.as_deref().unwrap_or("UNDEFINED");
        ["UNDEFINED", "SERVER", "CLIENT_AND_SERVER"].contains(&mode) && selector.ports.is_empty()
    });
    if !attachment.traffic.is_empty() && !matches {
        return Err("on a waypoint no `match` with `mode: CLIENT` or with `ports` ever matches; leave `match` out");
    }
    let targets = |group: &str, kind: &str, name: &str| {
        attachment
            .target_refs
            .iter()
            .any(|target| (target.group.as_str(), target.kind.as_str(), target.name.as_str()) == (group, kind, name))
    };
    if targets(GATEWAY_API, "Gateway", &gateway.name) {
        return Ok(None);
    }
    let service = services.iter().find(|service| targets(NETWORKING, "ServiceEntry", &service.name));
    service.map(|service| Some(service.name.clone())).ok_or("no entry of its `targetRefs` is this Gateway or a ServiceEntry behind it")
}

fn plugin(
    object: &Object,
    attachment: spec::Attachment,
    wasm: spec::Wasm,
    service: Option<String>,
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
            findings.push(finding(object, "`failStrategy: FAIL_OPEN` lets requests through when the plugin fails"));
            FailurePolicy::Open
        }
        other => return Err(unknown(object, format!("the failStrategy `{other}` is not known"))),
    };
    let name = format!("{}.{}", object.namespace, object.name);
    Ok(Plugin {
        // Istio 1.26 to 1.29; since 1.30 the former is `extensions.istio.io/trafficextension/...~istio-translated-wasmplugin`.
        filter: format!("extensions.istio.io/{}/{name}", object.kind.to_ascii_lowercase()),
        name,
        root_id: wasm.plugin_name,
        phase,
        priority: attachment.priority,
        failure_policy,
        configuration: Value::Object(wasm.plugin_config),
        service,
    })
}
