//! AgentgatewayBackends: what their own policies become, and what is done where a request leaves
//! for a backend.

use super::*;

/// A backend of `api.example` with these policies, and further documents.
fn with_policies(policies: &serde_json::Value, others: &[serde_json::Value]) -> String {
    let backend = json!({
        "apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayBackend",
        "metadata": {"name": "b", "namespace": "egress-direct"},
        "spec": {"static": {"host": "api.example", "port": 443}, "policies": policies},
    });
    std::iter::once(&backend)
        .chain(others)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n---\n")
}

/// A policy of the workshop's Gateway, or of the backend.
fn policy(name: &str, target: &str, spec: &serde_json::Value) -> serde_json::Value {
    let group = if target == "Gateway" { "gateway.networking.k8s.io" } else { "agentgateway.dev" };
    let target_name = if target == "Gateway" { "egress" } else { "b" };
    let mut spec = spec.clone();
    spec["targetRefs"] = json!([{"group": group, "kind": target, "name": target_name}]);
    json!({"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
        "metadata": {"name": name, "namespace": "egress-direct"}, "spec": spec})
}

#[test]
fn what_has_a_counterpart_is_carried_over() {
    let own = json!({
        "auth": {"secretRef": {"name": "t"}},
        "transformation": {"request": {"set": [{"name": "x-a", "value": "'b'"}]},
            "response": {"remove": ["server"]}},
        "extAuth": {"backendRef": {"name": "authz", "port": 9000}, "grpc": {}},
        "http": {"requestTimeout": "9s"},
    });
    let text = with_policies(&own, &[]);
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        policies(&text),
        json!([
            {
                "name": "b", "hosts": ["api.example"],
                "traffic": {
                    "transformation": {
                        "request": {"set": [{"name": "x-a", "value": "'b'"}]},
                        "response": {"remove": ["server"]},
                    },
                    "extAuth": {"grpc": {}, "backendRef":
                        {"namespace": "egress-direct", "name": "authz", "port": 9000}},
                    "timeouts": {"request": "9s"},
                },
                "backend": {"auth": {"env": "T_AUTHORIZATION"}},
            },
            {
                "name": "b-callers", "hosts": ["api.example"],
                "traffic": {"authorization": {"action": "Allow",
                    "policy": {"matchExpressions": ["true"]}}},
            },
        ])
    );
    engine(&text);
}

#[test]
fn what_has_none_is_named_field_by_field() {
    for (field, value, effect, instead) in [
        ("tls", json!({"sni": "a.example"}), "Looser", "`sni` is `sni`"),
        ("tls", json!({"insecureSkipVerify": "All"}), "Looser", "is `insecureSkipVerify`"),
        ("tls", json!({"keyExchangeGroups": ["P-256"]}), "Looser", "`keyExchangeGroups` has none"),
        ("tcp", json!({"connectTimeout": "3s"}), "Lost", "is `connectTimeout`"),
        ("tcp", json!({"keepalive": {"time": "3s"}}), "Lost", "`keepalive` is `tcpKeepalive`"),
        ("health", json!({"eviction": {"duration": "3s"}}), "Lost", "`baseEjectionTime`"),
        ("health", json!({"unhealthyCondition": "true"}), "Lost", "has none"),
        ("tunnel", json!({"backendRef": {"name": "proxy"}}), "Lost", "DestinationRule"),
        ("http", json!({"version": "HTTP2"}), "Lost", "h2UpgradePolicy"),
        ("auth", json!({"key": "s3cr3t"}), "Lost", "plain text"),
        ("ai", json!({"modelAliases": {"a": "b"}}), "Looser", "image for bodies"),
        ("mcp", json!({"authorization": {}}), "Looser", "image for bodies"),
        ("newThing", json!({"a": "b"}), "Looser", "unknown field"),
    ] {
        let text = with_policies(&json!({field: value}), &[]);
        let told = losses(&text);
        let is_of = format!("{effect} spec.policies.{field}");
        let found = told.iter().any(|told| told.starts_with(&is_of) && told.contains(instead));
        assert!(found, "{field} {value}: {told:#?}");
        assert!(!configuration(&text).to_string().contains("s3cr3t"), "{field}");
    }
}

#[test]
fn a_backend_without_a_host_has_no_policies_here() {
    for (kind, of, effect) in [
        ("static", json!({"unixPath": "/run/a"}), None),
        ("dynamicForwardProxy", json!({}), Some("DYNAMIC_DNS")),
        ("ai", json!({"provider": {"openai": {}}}), Some("no model")),
        ("mcp", json!({"targets": []}), Some("shared out")),
        ("aws", json!({"agentCore": {"agentRuntimeArn": "a"}}), Some("signed")),
    ] {
        let text = with_policies(&json!({"auth": {"secretRef": {"name": "t"}}}), &[])
            .replace(r#""static":{"host":"api.example","port":443}"#, &format!("\"{kind}\":{of}"));
        let told = losses(&text);
        assert!(
            told.iter().any(|told| told.starts_with("Looser spec.policies: ")),
            "{kind}: {told:#?}"
        );
        if let Some(message) = effect {
            let is_of = format!("Lost spec.{kind}: ");
            assert!(told.iter().any(|it| it.starts_with(&is_of) && it.contains(message)), "{kind}");
        }
        assert_eq!(policies(&text), json!([]), "{kind}");
    }
    let inner = json!({"groups": [{"providers": [{"name": "p", "policies": {"auth": {}}}]}]});
    let text = with_policies(&json!({"tcp": {}}), &[])
        .replace(r#""static":{"host":"api.example","port":443}"#, &format!("\"ai\":{inner}"));
    let told = losses(&text);
    let place = "Looser spec.ai.groups[0].providers[0].policies: ";
    assert!(told.iter().any(|told| told.starts_with(place)), "{told:#?}");
}

#[test]
fn a_backends_own_credential_takes_the_place_of_a_policys() {
    let own = json!({"auth": {"secretRef": {"name": "own"}}});
    let others = json!({"backend": {"auth": {"secretRef": {"name": "others"}}}});
    let text = with_policies(&own, &[policy("p", "AgentgatewayBackend", &others)]);
    assert_eq!(losses(&text), Vec::<String>::new());
    let made = policies(&text);
    assert_eq!(made[0]["backend"]["auth"]["env"], "OWN_AUTHORIZATION", "{made}");
    assert!(!made.to_string().contains("OTHERS"), "{made}");
    engine(&text);
    // Another host of the policy keeps its own.
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "e", "namespace": "egress-direct"},
        "spec": {"hosts": ["api.example", "other.example"]}});
    let mut both = policy("p", "AgentgatewayBackend", &others);
    both["spec"]["targetRefs"] =
        json!([{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "e"}]);
    let made = policies(&with_policies(&own, &[both, entry]));
    let of_others =
        made.as_array().unwrap().iter().find(|policy| policy["name"] == "p-credentials");
    assert_eq!(of_others.unwrap()["hosts"], json!(["other.example"]), "{made}");
}

/// What comes behind a backend's transformation here, and before it there.
#[test]
fn another_order_is_an_error_where_it_shows() {
    let modify = |name: &str| json!({"headerModifiers": {"request": {"remove": [name]}}});
    let set = |name: &str, value: &str| {
        let set = json!([{"name": name, "value": value}]);
        json!({"transformation": {"request": {"set": set}}})
    };
    for (own, traffic, is_told) in [
        (set("x-a", "'b'"), modify("x-b"), false),
        (set("x-a", "'b'"), modify("X-A"), true),
        (set("x-a", "request.headers['x-b']"), modify("x-b"), true),
        (set("x-a", "request.path"), json!({"urlRewrite": {"hostname": "h.example"}}), true),
        (set("x-a", "'b'"), json!({"hostRewrite": {"mode": "Auto"}}), false),
        (set("x-a", "'b'"), set("x-a", "'c'"), false),
        (
            json!({"extAuth": {"backendRef": {"name": "a", "port": 9}, "grpc": {}}}),
            modify("x-b"),
            true,
        ),
    ] {
        let text = with_policies(&own, &[policy("p", "Gateway", &json!({"traffic": traffic}))]);
        let told = losses(&text);
        assert_eq!(!told.is_empty(), is_told, "{own} {traffic}: {told:#?}");
        assert!(told.iter().all(|it| it.starts_with("Looser spec.policies.")), "{told:#?}");
        let names: Vec<_> =
            policies(&text).as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        assert_eq!(names, ["p", "b"], "{own}: the backend's is the last");
    }
    let mut own = set("Authorization", "'mine'");
    own["auth"] = json!({"secretRef": {"name": "t"}});
    let told = losses(&with_policies(&own, &[]));
    assert!(told.len() == 1 && told[0].contains("the header `authorization`"), "{told:#?}");
}

#[test]
fn a_timeout_of_each_attempt_is_told_where_there_are_several() {
    let own = json!({"http": {"requestTimeout": "9s"}});
    for (traffic, effect, kept) in [
        (json!({"retry": {"attempts": 2, "codes": [503]}}), Some("for all of them together"), "9s"),
        (json!({"timeouts": {"request": "20s"}}), Some("left out"), "20s"),
        (json!({"hostRewrite": {"mode": "Auto"}}), None, "9s"),
    ] {
        let text = with_policies(&own, &[policy("p", "Gateway", &json!({"traffic": traffic}))]);
        let told = losses(&text);
        let expected = effect.into_iter().count();
        assert_eq!(told.len(), expected, "{traffic}: {told:#?}");
        assert!(told.iter().all(|it| it.starts_with("Lost spec.policies.http.requestTimeout")));
        assert!(effect.is_none_or(|effect| told[0].contains(effect)), "{told:#?}");
        let made = policies(&text);
        let timeouts: Vec<&str> = made
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["traffic"]["timeouts"]["request"].as_str())
            .collect();
        assert_eq!(timeouts, [kept], "{made}");
    }
}
