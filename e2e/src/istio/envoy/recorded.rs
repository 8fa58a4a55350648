//! The derivation is held to what istiod sent (`e2e/recorded`, which `make test-istio` records):
//! whatever differs is in the list below, with the reason, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::*;
use crate::envoy::workspace_root;
use crate::istio::derive::Release;
use crate::istio::local::{Origins, Ports};
use crate::istio::resources;

/// The files of the workshop that change what the waypoint does, in order.
const STEPS: [&str; 7] = [
    "02-egress-direct.yaml",
    "03-policy-rbac.yaml",
    "04-policy-path.yaml",
    "05-policy-headers.yaml",
    "06-verify-headers.yaml",
    "07-no-bypass.yaml",
    "08-observability.yaml",
];

/// Where the derivation differs, and why. A place stands for all that is in it, and `[]` for any
/// item of a list.
const STATED: &[(&str, &str)] = &[
    // Other words for the same.
    ("chain.manager.stat_prefix", "a name"),
    ("chain.manager.merge_slashes", "the default"),
    ("chain.manager.http_filters[].typed_config.rules.action", "the default"),
    ("chain.manager.http_filters[].typed_config.rules.policies", "by other operators"),
    ("chain.manager.http_filters[].typed_config.shadow_rules_stat_prefix", "of no rules"),
    ("listener.filter_chain_matcher.matcher_tree.custom_match", "names of inputs"),
    ("listener.filter_chain_matcher.matcher_tree.input.name", "a name"),
    ("listener.chain.manager.codec_type", "ztunnel's protocol, which ALPN says too"),
    ("listener.chain.manager.route_config.virtual_hosts[].routes[].route.timeout", "a tunnel's"),
    ("listener.chain.transport_socket.name", "a name"),
    ("cluster.alt_stat_name", "a name"),
    // What no request here depends on.
    ("chain.manager.http_filters[envoy.filters.http.grpc_stats]", "statistics"),
    ("chain.manager.tracing", "nothing is traced"),
    ("chain.manager.request_id_extension", "whether it is traced"),
    ("chain.manager.route_config.max_direct_response_body_size_bytes", "of no such route"),
    ("chain.manager.route_config.validate_clusters", "ours only where a cluster is missing"),
    ("chain.manager.route_config.virtual_hosts[].routes[].decorator", "tracing's"),
    ("chain.manager.route_config.virtual_hosts[].routes[].route.max_grpc_timeout", "the default"),
    ("listener.chain.manager.forward_client_cert_details", "of the CONNECT"),
    ("listener.chain.manager.set_current_client_cert_details", "of the CONNECT"),
    ("listener.chain.manager.server_name", "of the answer to the CONNECT"),
    ("listener.chain.manager.use_remote_address", "of the CONNECT"),
    (
        "listener.chain.manager.http_filters[connect_authority].typed_config.on_request_headers\
         [io.istio.connect_authority]",
        "for connections to other waypoints",
    ),
    ("listener.listener_filters[envoy.filters.listener.http_inspector]", "off on these ports"),
    ("listener.traffic_direction", "tracing's"),
    ("cluster.circuit_breakers", "no limit"),
    ("cluster.typed_extension_protocol_options", "the default, HTTP/1.1"),
    ("cluster.transport_socket.typed_config.common_tls_context.tls_params", "the default"),
    ("cluster.common_lb_config", "one endpoint"),
    ("cluster.connect_timeout", "loopback answers at once"),
    ("cluster.lb_policy", "one endpoint"),
    ("cluster.load_assignment.endpoints[].locality", "one endpoint"),
    ("cluster.load_assignment.endpoints[].load_balancing_weight", "one endpoint"),
    ("cluster.load_assignment.endpoints[].lb_endpoints[].load_balancing_weight", "one endpoint"),
    ("cluster.load_assignment.endpoints[].lb_endpoints[].metadata", "Istio's metrics"),
    ("cluster.metadata", "Istio's metrics"),
    // DNS, of which the stand-in needs none.
    ("cluster.dns_jitter", "DNS"),
    ("cluster.dns_lookup_family", "DNS"),
    ("cluster.dns_refresh_rate", "DNS"),
    ("cluster.respect_dns_ttl", "DNS"),
    ("cluster.typed_dns_resolver_config", "DNS"),
    // What a stock Envoy lacks.
    ("chain.manager.http_filters[istio.stats]", "Istio's metrics"),
    ("chain.manager.http_filters[waypoint_upstream_peer_metadata]", "Istio's metrics"),
    ("listener.chain.manager.http_filters[waypoint_downstream_peer_metadata]", "Istio's metrics"),
    (
        "listener.chain.manager.http_filters[].typed_config.on_request_headers[].factory_key",
        "Istio's name of the same factory",
    ),
    // How it comes, and where it is.
    ("chain.manager.http_filters[].config_discovery.config_source", "files, not ADS"),
    ("chain.manager.access_log", "to a file, with more fields, or none"),
    ("listener.access_log", "of connections"),
    ("listener.chain.manager.access_log", "of connections"),
    ("listener.address", "loopback"),
    ("listener.enable_reuse_port", "a second Envoy on the port must fail"),
    ("listener.chain.transport_socket.typed_config.common_tls_context", "files, not SDS"),
    ("cluster.transport_socket.typed_config.common_tls_context.combined_validation_context", "SDS"),
    ("cluster.transport_socket.typed_config.common_tls_context.validation_context", "files"),
    // What the tests are meant to reach beyond Istio.
    ("chain.manager.max_request_headers_kb", "Istio's 60 KiB are refused before the filter"),
    // What is left out of the resources of a file.
    ("listener.@type", "said elsewhere"),
    ("cluster.@type", "said elsewhere"),
    ("plugin.@type", "said elsewhere"),
];

/// What istiod sent up to a step, and what is derived of the same files.
fn at(step: usize) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let root = workspace_root();
    let mut recorded = BTreeMap::new();
    let mut applied = resources::Resources::default();
    let apply = |applied: &mut resources::Resources, file: &str| {
        applied
            .apply(&root.join("filter-config").join(file))
            .unwrap_or_else(|error| panic!("{error}"));
    };
    apply(&mut applied, "01-setup.yaml");
    for file in STEPS.iter().take(step + 1) {
        apply(&mut applied, file);
        let path = root.join("e2e/recorded/istio-1.31").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}"));
        let changed: BTreeMap<String, Value> = serde_yaml_ng::from_str(&text).expect("YAML");
        recorded.extend(changed);
    }
    let derived = Derived::new(&applied, Release::V1_30).unwrap_or_else(|error| panic!("{error}"));
    let local = Local {
        folder: "folder".into(),
        wasm: "plugin.wasm".into(),
        origins: Origins::Real("authorities.pem".into()),
        ports: Ports { hbone: 15_008, admin: 15_000, pods: Vec::new() },
        workers: 1,
        logs_requests: step + 1 == STEPS.len(),
    };
    let ours = Resources::new(&derived, &local).expect("local parts");
    (recorded, named(&ours))
}

/// As the recorded resources are named: each chain apart.
fn named(ours: &Resources) -> BTreeMap<String, Value> {
    let name = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
    let mut found = BTreeMap::new();
    for listener in &ours.listeners {
        let mut listener = listener.clone();
        if name(&listener) == "main_internal" {
            let chains = listener["filter_chains"].take();
            for chain in chains.as_array().into_iter().flatten() {
                found.insert(format!("chain {}", name(chain)), chain.clone());
            }
        }
        found.insert(format!("listener {}", name(&listener)), listener);
    }
    let is_istiods = |cluster: &&Value| name(cluster).starts_with("inbound-vip|");
    for cluster in ours.clusters.iter().filter(is_istiods) {
        found.insert(format!("cluster {}", name(cluster)), cluster.clone());
    }
    for (filter, _, config) in &ours.extensions {
        let mut plugin = json!({"name": filter, "typed_config": config});
        let value = &mut plugin["typed_config"]["config"]["configuration"]["value"];
        *value = serde_json::from_str(value.as_str().unwrap_or_default()).expect("JSON");
        found.insert(format!("plugin {filter}"), plugin);
    }
    found
}

/// The places where two values differ. An item of a list is known by its name, where it has one.
fn differences(place: &str, theirs: &Value, ours: &Value, found: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for field in theirs.keys().chain(ours.keys()) {
                let place = format!("{place}.{field}");
                both(&place, theirs.get(field), ours.get(field), found);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            let (theirs, ours) = (by_name(theirs), by_name(ours));
            for name in theirs.keys().chain(ours.keys()) {
                let place = format!("{place}[{name}]");
                both(&place, theirs.get(name), ours.get(name), found);
            }
        }
        _ if theirs == ours => {}
        _ => {
            found.insert(place.to_owned());
        }
    }
}

fn both(place: &str, theirs: Option<&Value>, ours: Option<&Value>, found: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (Some(theirs), Some(ours)) => differences(place, theirs, ours, found),
        (Some(_), None) => {
            found.insert(format!("{place}: istiod's only"));
        }
        _ => {
            found.insert(format!("{place}: ours only"));
        }
    }
}

fn by_name(items: &[Value]) -> Map<String, Value> {
    let name = |(index, item): (usize, &Value)| {
        let name = ["name", "object_key"].iter().find_map(|field| item[*field].as_str());
        (name.map_or_else(|| index.to_string(), str::to_owned), item.clone())
    };
    items.iter().enumerate().map(name).collect()
}

/// A place as it is stated: by short names, and with what identifies the items of lists or without.
fn stated_forms(place: &str) -> [String; 2] {
    let short = place
        .replace("filter_chains[default]", "chain")
        .replace("filters[envoy.filters.network.http_connection_manager].typed_config", "manager");
    let mut general = String::new();
    let mut depth = 0_u32;
    for character in short.chars() {
        if character == ']' {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            general.push(character);
        }
        if character == '[' {
            depth += 1;
        }
    }
    [short, general]
}

/// Istio's wrapper around the transport socket to an origin hands on only what metrics need.
fn unwrap_socket(cluster: &mut Value) {
    let socket = &mut cluster["transport_socket"];
    if socket["name"] == "internal_upstream" {
        *socket = socket["typed_config"]["transport_socket"].take();
    }
}

#[test]
fn what_differs_from_istiods_own_is_stated() {
    let mut found = BTreeSet::new();
    for (step, file) in STEPS.iter().enumerate() {
        let (theirs, ours) = at(step);
        assert!(theirs.keys().eq(ours.keys()), "{file}: {:?}, {:?}", ours.keys(), theirs.keys());
        for (name, mut theirs) in theirs {
            let (kind, _) = name.split_once(' ').unwrap_or_default();
            if kind == "cluster" {
                unwrap_socket(&mut theirs);
            }
            differences(kind, &theirs, &ours[&name], &mut found);
        }
    }
    let is_in = |place: &str, stated: &str| {
        let rest = stated_forms(place).into_iter().find_map(|form| {
            form.strip_prefix(stated)
                .map(|rest| rest.starts_with(['.', '[', ':']) || rest.is_empty())
        });
        rest == Some(true)
    };
    let unstated: Vec<_> = found
        .iter()
        .filter(|place| !STATED.iter().any(|(stated, _)| is_in(place, stated)))
        .map(|place| stated_forms(place)[0].clone())
        .collect();
    assert!(unstated.is_empty(), "differs, and is not stated: {unstated:#?}");
    let gone: Vec<_> = STATED
        .iter()
        .filter(|(stated, _)| !found.iter().any(|place| is_in(place, stated)))
        .collect();
    assert!(gone.is_empty(), "is stated, and does not differ: {gone:#?}");
}
