//! Rate limits.

use super::*;

const SERVICE: &str = "rate-limit";

fn of_limit(limit: &serde_json::Value) -> String {
    with(&format!("\"traffic\": {{\"rateLimit\": {limit}}}"))
}

/// The one policy's limits.
fn limits(text: &str) -> serde_json::Value {
    policies(text)[0]["traffic"]["rateLimit"].clone()
}

#[test]
fn limits_are_taken_with_what_agentgateway_means_by_them() {
    let descriptors = json!([
        {"entries": [{"name": "user", "expression": "source.identity.serviceAccount"}],
            "unit": "Requests", "cost": "2", "limitOverride":
            "{\"unit\": \"minute\", \"requestsPerUnit\": 5}"},
        {"entries": [{"name": "path", "expression": "request.path"}]},
    ]);
    let global = |service: serde_json::Value| {
        json!({"backendRef": service, "failureMode": "FailOpen", "domain": "egress",
            "descriptors": descriptors})
    };
    let text = of_limit(&json!({
        "local": [{"requests": 100, "unit": "Minutes", "burst": 20},
            {"requests": 1, "unit": "Hours", "key": "source.spiffeId"}],
        "global": global(json!({"name": SERVICE, "port": 8081})),
    }));
    assert_eq!(losses(&text), Vec::<String>::new());
    let service = json!({"name": SERVICE, "namespace": "egress-direct", "port": 8081});
    assert_eq!(
        limits(&text),
        json!({
            "local": [
                {"requests": 100, "unit": "Minutes", "burst": 20, "key": "\"all callers\""},
                {"requests": 1, "unit": "Hours", "key": "source.spiffeId"},
            ],
            "global": global(service),
            "headers": "All",
        })
    );
    engine(&text);
    let told = notes(&text);
    for difference in [
        "all callers are counted together",
        "request by request",
        "100 ms",
        "extensionProviders",
        "an expression that fails refuses",
    ] {
        assert_eq!(told.iter().filter(|told| told.contains(difference)).count(), 1, "{told:?}");
    }
}

#[test]
fn a_service_is_taken_as_what_a_waypoint_can_call() {
    let hostname = |name: &str, port: u16| json!({"kind": "Hostname", "name": name, "port": port});
    let group = "networking.istio.io";
    for (field, given, expected, told) in [
        ("url", json!("http://rls.example"), hostname("rls.example", 80), None),
        ("url", json!("http://rls.example:8081/"), hostname("rls.example", 8081), None),
        ("url", json!("https://rls.example"), hostname("rls.example", 443), Some("plain text")),
        ("url", json!("http://rls.example/path"), json!(null), Some("no `http(s)://")),
        ("url", json!("rls.example:80"), json!(null), Some("no `http(s)://")),
        (
            "backendRef",
            json!({"group": group, "kind": "Hostname", "name": "rls.example", "port": 81}),
            hostname("rls.example", 81),
            None,
        ),
        (
            "backendRef",
            json!({"group": "agentgateway.dev", "kind": "AgentgatewayBackend", "name": "a"}),
            json!(null),
            Some("nothing that a waypoint can call"),
        ),
        (
            "backendRef",
            json!({"name": "a", "namespace": "b", "port": 1}),
            json!({"name": "a", "namespace": "b", "port": 1}),
            None,
        ),
    ] {
        let descriptors = json!([{"entries": [{"name": "a", "expression": "request.path"}]}]);
        let text = of_limit(&json!({"global": {field: given, "domain": "d",
            "descriptors": descriptors}}));
        assert_eq!(limits(&text)["global"]["backendRef"], expected, "{given}");
        let losses = losses(&text);
        match told {
            None => assert_eq!(losses, Vec::<String>::new(), "{given}"),
            Some(told) => {
                assert!(losses.iter().any(|one| one.contains(told)), "{given}: {losses:?}");
                assert!(losses.iter().all(|one| one.starts_with("Looser ")), "{losses:?}");
            }
        }
    }
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n\
        spec: {host: rls.example, trafficPolicy: {tls: {mode: SIMPLE}}}\n";
    let text = of_limit(&json!({"global": {"url": "https://rls.example", "domain": "d",
        "descriptors": [{"entries": [{"name": "a", "expression": "request.path"}]}]}}));
    assert_eq!(losses(&format!("{text}\n---\n{rule}")), Vec::<String>::new());
}

#[test]
fn what_of_a_limit_is_lost_is_told_where_it_stands() {
    let service = json!({"name": SERVICE, "port": 8081});
    let entries = json!([{"name": "a", "expression": "request.path"}]);
    let requests = json!({"requests": 1, "unit": "Hours"});
    for (limit, place, message, is_there) in [
        (
            json!({"local": [requests, {"tokens": 5, "unit": "Minutes"}]}),
            "local[1]",
            "language models",
            true,
        ),
        (json!({"local": [{"tokens": 5, "unit": "Minutes"}]}), "", "no limit is left", false),
        (
            json!({"global": {"backendRef": service, "domain": "d", "descriptors": [
                {"entries": entries}, {"entries": entries, "unit": "Tokens"}]}}),
            "global.descriptors[1]",
            "language models",
            true,
        ),
        (
            json!({"global": {"backendRef": service, "domain": "d", "descriptors": [
                {"entries": [{"name": "a", "expression": "mcp.sub"}]}]}}),
            "global.descriptors[0].entries[0].expression",
            "no limit is in the result",
            false,
        ),
        (
            json!({"global": {"domain": "d", "descriptors": [{"entries": entries}]}}),
            "global",
            "no `backendRef` names",
            false,
        ),
        (
            json!({"conditional": [{"condition": "mcp.sub == 'a'", "policy": {"local": [requests]}},
                {"policy": {"local": [requests]}}]}),
            "conditional",
            "the rate limits are not in the result",
            false,
        ),
        (json!({"local": [requests], "windows": 1}), "windows", "unknown field", true),
    ] {
        let text = of_limit(&limit);
        let place = ["spec.traffic.rateLimit", place].join(if place.is_empty() { "" } else { "." });
        let told = notes_at(&text, &place);
        let is_told = told.iter().any(|told| told.starts_with("Looser ") && told.contains(message));
        assert!(is_told, "{limit}: {:?}", notes(&text));
        assert_eq!(limits(&text).is_object(), is_there, "{limit}");
        engine(&text);
    }
}

#[test]
fn conditions_of_limits_are_taken() {
    let form =
        |requests: u32| json!({"local": [{"requests": requests, "unit": "Hours", "key": "'a'"}]});
    let text = of_limit(&json!({"conditional": [
        {"condition": "request.path == '/a'", "policy": form(1)}, {"policy": form(2)}]}));
    assert_eq!(losses(&text), Vec::<String>::new());
    let told = |requests| {
        let mut form = form(requests);
        form["headers"] = json!("All");
        form
    };
    assert_eq!(
        limits(&text),
        json!({"conditional": [
            {"condition": "request.path == '/a'", "policy": told(1)}, {"policy": told(2)}]})
    );
    engine(&text);
}

/// An Enterprise policy with these limits, and the RateLimitConfig that it refers to.
fn enterprise(traffic: &serde_json::Value) -> String {
    let policy = with(&format!("\"traffic\": {traffic}"))
        .replace("agentgateway.dev/v1alpha1", "enterpriseagentgateway.solo.io/v1alpha1")
        .replace("AgentgatewayPolicy", "EnterpriseAgentgatewayPolicy");
    let config = json!({
        "apiVersion": "ratelimit.solo.io/v1alpha1", "kind": "RateLimitConfig",
        "metadata": {"name": "quota", "namespace": "egress-direct"},
        "spec": {"raw": {
            "descriptors": [{"key": "generic_key", "value": "per-minute",
                "rateLimit": {"unit": "MINUTE", "requestsPerUnit": 5}}],
            "rateLimits": [
                {"actions": [
                    {"genericKey": {"descriptorValue": "per-\"minute"}},
                    {"requestHeaders": {"headerName": "x-tenant", "descriptorKey": "tenant"}},
                    {"cel": {"expression": "source.identity.namespace", "key": "ns"}},
                ], "type": "REQUEST"},
                {"actions": [{"genericKey": {"descriptorValue": "t"}}], "type": "TOKEN"},
                {"actions": [{"remoteAddress": {}}]},
            ],
        }},
    });
    format!("{policy}\n---\n{config}")
}

#[test]
fn actions_of_the_enterprise_resource_are_entries_of_descriptors() {
    let service = json!({"name": SERVICE, "namespace": "infra", "port": 8081});
    let limit = json!({"global": {"backendRef": service,
        "rateLimitConfigRefs": [{"name": "quota"}, {"name": "elsewhere", "namespace": "x"}]}});
    let text = enterprise(&json!({"entRateLimit": limit}));
    assert_eq!(
        limits(&text),
        json!({"global": {"backendRef": service, "domain": "p", "descriptors": [{"entries": [
            {"name": "generic_key", "expression": "\"per-\\\"minute\""},
            {"name": "tenant", "expression": "request.headers[?\"x-tenant\"]"},
            {"name": "ns", "expression": "source.identity.namespace"},
        ]}]}, "headers": "All"})
    );
    engine(&text);
    let told = losses(&text);
    for (place, message) in [
        ("spec.raw.descriptors", "under `domain: p`"),
        ("spec.raw.rateLimits[1]", "language models"),
        ("spec.raw.rateLimits[2].actions[0]", "an action that is not known here"),
        ("spec.traffic.entRateLimit.global.rateLimitConfigRefs[1]", "no such RateLimitConfig"),
    ] {
        let start = format!("Looser {place}: ");
        let is_told = |told: &&String| told.starts_with(&start) && told.contains(message);
        assert_eq!(told.iter().filter(is_told).count(), 1, "{place}: {told:?}");
    }
    assert_eq!(told.len(), 4, "{told:?}");

    // Without a service of its own, it is AgentGateway's.
    let text = enterprise(
        &json!({"entRateLimit": {"global": {"rateLimitConfigRefs": [{"name": "quota"}]}}}),
    );
    assert!(losses(&text).iter().any(|told| told.contains("Run Envoy's rate limit service")));
    assert_eq!(policies(&text), json!([]));
}

#[test]
fn the_enterprise_resources_limits_stand_beside_the_others() {
    let service = json!({"name": SERVICE, "namespace": "infra", "port": 8081});
    let text = enterprise(&json!({
        "rateLimit": {"local": [{"requests": 1, "unit": "Hours"}]},
        "entRateLimit": {"global": {"backendRef": service,
            "rateLimitConfigRefs": [{"name": "quota"}]}},
    }));
    let made = policies(&text);
    assert_eq!((&made[0]["name"], &made[1]["name"]), (&json!("p"), &json!("p-limits")));
    assert!(made[0]["traffic"]["rateLimit"]["local"].is_array());
    assert!(made[1]["traffic"]["rateLimit"]["global"].is_object());
    engine(&text);
}
