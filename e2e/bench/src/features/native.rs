//! What Envoy brings for the jobs of the features.

use serde_json::{Value, json};

use super::PLENTY;
use crate::envoys::{AUTHORIZER, SERVICE};

/// One of Envoy's own HTTP filters.
fn filter(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{message}"));
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

pub(super) fn header_mutation() -> Vec<Value> {
    let set = json!({"header": {"key": "x-caller-identity", "value": "fixed"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    let mutations = json!({"request_mutations": [{"append": set}, {"remove": "x-internal-debug"}]});
    let config = json!({"mutations": mutations});
    vec![filter("header_mutation", "header_mutation.v3.HeaderMutation", config)]
}

pub(super) fn credential_injector() -> Vec<Value> {
    let generic = "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3\
                   .Generic";
    let credential = json!({"name": "generic", "typed_config": {"@type": generic,
        "credential": {"name": "credential"}, "header": "x-caller-identity"}});
    let config = json!({"credential": credential, "overwrite": true});
    vec![filter("credential_injector", "credential_injector.v3.CredentialInjector", config)]
}

pub(super) fn ext_authz() -> Vec<Value> {
    let uri = json!({"uri": "http://service.example", "cluster": SERVICE, "timeout": "1s"});
    let config = json!({"http_service": {"server_uri": uri}});
    vec![filter("ext_authz", "ext_authz.v3.ExtAuthz", config)]
}

pub(super) fn local_ratelimit() -> Vec<Value> {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let bucket = json!({"max_tokens": PLENTY, "tokens_per_fill": PLENTY, "fill_interval": "1s"});
    let config = json!({"stat_prefix": "limit", "token_bucket": bucket,
        "filter_enabled": always, "filter_enforced": always});
    vec![filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", config)]
}

/// Envoy's RBAC, which allows one namespace.
pub(super) fn rbac() -> Vec<Value> {
    let caller = json!({"filter_state": {"key": "io.istio.peer_principal",
        "string_match": {"contains": "/ns/team-a/"}}});
    let policy = json!({"permissions": [{"any": true}], "principals": [caller]});
    let rules = json!({"action": "ALLOW", "policies": {"p": policy}});
    vec![filter("rbac", "rbac.v3.RBAC", json!({"rules": rules}))]
}

/// Envoy's RBAC as a matching tree: these hosts are looked up in a hash map.
pub(super) fn rbac_tree(hosts: &[String]) -> Vec<Value> {
    let act = |action: &str| {
        let action = json!({"@type": "type.googleapis.com/envoy.config.rbac.v3.Action",
            "name": action, "action": action});
        json!({"action": {"name": "act", "typed_config": action}})
    };
    let host = json!({"name": "host", "typed_config": {
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": ":authority"}});
    let map: serde_json::Map<String, Value> =
        hosts.iter().map(|host| (host.clone(), act("ALLOW"))).collect();
    let matcher = json!({"matcher_tree": {"input": host, "exact_match_map": {"map": map}},
        "on_no_match": act("DENY")});
    vec![filter("rbac", "rbac.v3.RBAC", json!({"matcher": matcher}))]
}

/// The Lua filter: one header set.
pub(super) fn lua() -> Vec<Value> {
    let script = "function envoy_on_request(handle)\n  \
                  handle:headers():replace(\"x-caller-identity\", \"fixed\")\nend\n";
    let config = json!({"default_source_code": {"inline_string": script}});
    vec![filter("lua", "lua.v3.Lua", config)]
}

fn grpc(cluster: &str) -> Value {
    json!({"envoy_grpc": {"cluster_name": cluster}, "timeout": "1s"})
}

pub(super) fn ext_authz_grpc() -> Vec<Value> {
    let config = json!({"grpc_service": grpc(AUTHORIZER), "transport_api_version": "V3"});
    vec![filter("ext_authz", "ext_authz.v3.ExtAuthz", config)]
}
