//! The same policies in what Envoy brings: its RBAC filter with header_mutation, as a list of
//! policies and as a matching tree, and its Lua filter. Each is written as an expert in it would
//! write it, and does the policy alone: no path safety, no binding of the host to the service, no
//! audit record.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::policies::{self, Shape};
use e2e::pki::TEAM_A_SPIFFE_ID;

const PRINCIPAL: &str = "io.istio.peer_principal";
const HOST: &str = "api.github.com";

/// RBAC with a list of policies. It tries them in the order of their names until one matches;
/// `before` is the number of those ahead of the workshop's.
pub(super) fn native(others: usize, before: usize) -> Vec<Value> {
    let mut policies = Map::new();
    for index in 0..others {
        let side = if index < before { "a" } else { "c" };
        let (permission, caller) = match Shape::Mixed.of(index) {
            Shape::Callers | Shape::Mixed => (json!({"any": true}), policies::caller(index)),
            Shape::Paths => (
                json!({"url_path": {"path": {"prefix": policies::folder(index)}}}),
                TEAM_A_SPIFFE_ID.to_owned(),
            ),
            Shape::Hosts | Shape::HostEquals => {
                (is_host(&policies::host(index)), policies::caller(index))
            }
        };
        policies.insert(format!("{side}-{index:05}"), rbac_policy(&permission, &caller));
    }
    let listed = json!({"or_rules": {"rules": [
        {"url_path": {"path": {"exact": "/zen"}}},
        {"url_path": {"path": {"prefix": "/repos/"}}},
        {"not_rule": is_host(HOST)},
    ]}});
    policies.insert("b-workshop".to_owned(), rbac_policy(&listed, TEAM_A_SPIFFE_ID));
    vec![rbac(json!({"rules": {"action": "ALLOW", "policies": policies}})), header_mutation()]
}

fn is_host(host: &str) -> Value {
    json!({"header": {"name": ":authority", "string_match": {"exact": host}}})
}

fn rbac_policy(permission: &Value, caller: &str) -> Value {
    json!({
        "permissions": [permission],
        "principals": [{"filter_state": {"key": PRINCIPAL, "string_match": {"exact": caller}}}],
    })
}

fn rbac(mut fields: Value) -> Value {
    fields["@type"] = json!("type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC");
    json!({"name": "envoy.filters.http.rbac", "typed_config": fields})
}

/// RBAC with a matching tree: the caller is looked up in a hash map, then the host, then the
/// folder.
pub(super) fn tree(others: usize) -> Vec<Value> {
    let mut callers: BTreeMap<String, Value> = BTreeMap::new();
    let listed =
        [json!({"exact": "/zen"}), json!({"prefix": "/zen?"}), json!({"prefix": "/repos/"})];
    for index in 0..others {
        match Shape::Mixed.of(index) {
            Shape::Callers | Shape::Mixed => {
                callers.insert(policies::caller(index), allow());
            }
            Shape::Hosts | Shape::HostEquals => {
                let host = json!({
                    "matcher": exactly(
                        &header(":authority"),
                        &BTreeMap::from([(policies::host(index), allow())]),
                        deny(),
                    ),
                });
                callers.insert(policies::caller(index), host);
            }
            // Already covered by the workshop's own prefix.
            Shape::Paths => {}
        }
    }
    let predicates: Vec<Value> = listed
        .into_iter()
        .map(|value_match| {
            json!({
                "single_predicate": {"input": header(":path"), "value_match": value_match},
            })
        })
        .collect();
    let listed = json!({"matcher": {"matcher_list": {"matchers": [{
        "predicate": {"or_matcher": {"predicate": predicates}},
        "on_match": allow(),
    }]}, "on_no_match": deny()}});
    let by_host =
        exactly(&header(":authority"), &BTreeMap::from([(HOST.to_owned(), listed)]), allow());
    callers.insert(TEAM_A_SPIFFE_ID.to_owned(), json!({"matcher": by_host}));
    let principal = json!({
        "name": "principal",
        "typed_config": {
            "@type": "type.googleapis.com/\
                      envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
            "key": PRINCIPAL,
        },
    });
    vec![rbac(json!({"matcher": exactly(&principal, &callers, deny())})), header_mutation()]
}

fn header(name: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": name,
        },
    })
}

fn exactly(input: &Value, map: &BTreeMap<String, Value>, otherwise: Value) -> Value {
    json!({
        "matcher_tree": {"input": input, "exact_match_map": {"map": map}},
        "on_no_match": otherwise,
    })
}

fn allow() -> Value {
    act("allow", "ALLOW")
}

/// Repeated at every end, since the outer matcher's answer counts where an inner one finds nothing.
fn deny() -> Value {
    act("deny", "DENY")
}

fn act(name: &str, action: &str) -> Value {
    json!({"action": {
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.rbac.v3.Action",
            "name": name,
            "action": action,
        },
    }})
}

/// Only team-a comes this far, so the value is a constant; Envoy has no way to take it from a
/// SPIFFE ID.
fn header_mutation() -> Value {
    let append = |key: &str, value: &str, action: &str| {
        json!({
            "append": {"header": {"key": key, "value": value}, "append_action": action},
        })
    };
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/\
                      envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [
                append("x-forwarded-by", "agentgateway-egress", "APPEND_IF_EXISTS_OR_ADD"),
                append("x-caller-identity", "team-a/team-a", "OVERWRITE_IF_EXISTS_OR_ADD"),
                {"remove": "x-internal-debug"},
            ]},
        },
    })
}

/// The Lua filter: tables by caller, by host and caller, by caller and folder.
pub(super) fn lua(others: usize) -> Vec<Value> {
    let (mut anywhere, mut hosts, mut folders) = (String::new(), String::new(), String::new());
    for index in 0..others {
        let (host, caller, folder) =
            (policies::host(index), policies::caller(index), policies::folder(index));
        let _ = match Shape::Mixed.of(index) {
            Shape::Callers | Shape::Mixed => writeln!(anywhere, "  [\"{caller}\"] = true,"),
            Shape::Hosts | Shape::HostEquals => {
                writeln!(hosts, "  [\"{host}\"] = {{[\"{caller}\"] = true}},")
            }
            Shape::Paths => writeln!(folders, "  [\"{folder}\"] = true,"),
        };
    }
    let lookup = if others == 0 {
        String::new()
    } else {
        " or anywhere[caller] or hosts[host] and hosts[host][caller] or folders[caller] and \
         folders[caller][path:match(\"^/repos/[^/]*/\")]"
            .to_owned()
    };
    let tables = if others == 0 {
        String::new()
    } else {
        format!(
            "local anywhere = {{\n{anywhere}}}\nlocal hosts = {{\n{hosts}}}\nlocal folders = \
             {{[\"{TEAM_A_SPIFFE_ID}\"] = {{\n{folders}}}}}\n"
        )
    };
    let script = format!(
        r#"{tables}
local denial = {{[":status"] = "403", ["content-type"] = "text/plain"}}
function envoy_on_request(handle)
  local headers = handle:headers()
  local caller = handle:streamInfo():filterState():get("{PRINCIPAL}") or ""
  local host = headers:get(":authority")
  local path = headers:get(":path"):match("^[^?]*")
  local allowed = caller == "{TEAM_A_SPIFFE_ID}"{lookup}
  if not allowed or (host == "{HOST}" and path ~= "/zen" and path:sub(1, 7) ~= "/repos/") then
    handle:respond(denial, "authorization failed")
    return
  end
  local namespace, account = caller:match("^spiffe://[^/]+/ns/([^/]+)/sa/([^/]+)$")
  headers:add("x-forwarded-by", "agentgateway-egress")
  headers:replace("x-caller-identity", namespace .. "/" .. account)
  headers:remove("x-internal-debug")
end
"#
    );
    vec![json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    })]
}
