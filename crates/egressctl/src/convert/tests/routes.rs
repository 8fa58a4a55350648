//! HTTPRoutes of an AgentGateway.

mod model;

use serde_json::json;

use super::*;

const POLICY: &str = "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: \
    {name: p, namespace: ns}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: \
    Gateway, name: egress}]\n  traffic: {authorization: {action: Deny, policy: {matchExpressions: \
    ['request.method == \"PUT\"']}}}\n";

/// The policy, and a route of its Gateway with these rules.
fn with_rules(rules: &serde_json::Value) -> String {
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {"parentRefs": [{"name": "egress"}], "hostnames": ["api.example"], "rules": rules},
    });
    format!("{POLICY}---\n{route}")
}

fn redirect() -> serde_json::Value {
    json!({"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}})
}

fn prefix(to: &str) -> serde_json::Value {
    let path = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": to});
    json!({"type": "URLRewrite", "urlRewrite": {"hostname": "new.example", "path": path}})
}

#[test]
fn what_a_route_does_to_all_requests_becomes_a_policy() {
    let text = with_rules(&json!([{
        "filters": [
            redirect(),
            {"type": "RequestHeaderModifier", "requestHeaderModifier":
                {"set": [{"name": "x-a", "value": "b"}], "remove": ["x-c"]}},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}},
        ],
        "timeouts": {"request": "9s"},
        "retry": {"attempts": 2, "codes": [503]},
    }]));
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        policies(&text)[1],
        json!({"name": "r", "hosts": ["api.example"], "traffic": {
            "headerModifiers": {
                "request": {"set": [{"name": "x-a", "value": "b"}], "remove": ["x-c"]},
                "response": {"remove": ["server"]},
            },
            "timeouts": {"request": "9s"},
            "retry": {"attempts": 2, "codes": [503]},
            "requestRedirect": {"scheme": "https", "statusCode": 301},
        }})
    );
    engine(&text);
}

/// A filter applies to what its rule is for, and a request belongs to the most specific rule.
#[test]
fn a_filter_does_not_apply_to_more_than_it_did() {
    let text = with_rules(&json!([
        {"matches": [{"path": {"type": "PathPrefix", "value": "/api/"}}], "filters": [prefix("/")]},
        {"matches": [{"path": {"value": "/api/v1"}}, {"path": {"type": "Exact", "value": "/x"}}]},
        {
            "matches": [{"method": "GET", "headers": [{"name": "X-Old", "value": "1"}]}],
            "filters": [{"type": "RequestHeaderModifier",
                "requestHeaderModifier": {"add": [{"name": "x-a", "value": "b"}]}}],
        },
    ]));
    assert_eq!(losses(&text), Vec::<String>::new());
    let api = r#"(request.path == "/api" || request.path.startsWith("/api/"))"#;
    let v1 = r#"(request.path == "/api/v1" || request.path.startsWith("/api/v1/"))"#;
    let exact = r#"request.path == "/x""#;
    let old = r#"request.method == "GET" && "x-old" in request.headers"#;
    let old = format!(r#"{old} && request.headers["x-old"] == "1""#);
    let of_old = format!("{old} && !({exact}) && !({v1}) && !({api})");
    let rewrite = json!({"hostname": "new.example", "path": {"type": "ReplacePrefixMatch",
        "prefix": "/api", "replacePrefixMatch": "/"}});
    assert_eq!(
        policies(&text)[1]["traffic"],
        json!({
            "authorization": {"action": "Require", "policy": {"matchExpressions":
                [format!("({exact}) || ({v1}) || ({api}) || ({old})")]}},
            "transformation": {"conditional": [{"condition": of_old,
                "policy": {"request": {"add": [{"name": "x-a", "value": "\"b\""}]}}}]},
            "urlRewrite": {"conditional": [
                {"condition": format!("{api} && !({v1})"), "policy": rewrite}]},
        })
    );
    let engine = engine(&text);
    for (path, headers, expected) in [
        ("/api/zen", vec![], true),
        ("/apix", vec![], false),
        ("/x", vec![], true),
        ("/x/y", vec![], false),
        ("/y", vec![("x-old", "1")], true),
        ("/y", vec![("x-old", "2")], false),
    ] {
        let request = Request { authority: "api.example", path, headers, ..Request::default() };
        assert_eq!(request.is_allowed_by(&engine), expected, "{request:?}");
    }
}

#[test]
fn the_last_rule_is_that_of_all_other_requests() {
    let text = with_rules(&json!([
        {"filters": [redirect()]},
        {"matches": [{"path": {"value": "/up"}}]},
    ]));
    assert_eq!(losses(&text), Vec::<String>::new());
    let up = r#"!((request.path == "/up" || request.path.startsWith("/up/")))"#;
    let form = json!({"scheme": "https", "statusCode": 301});
    assert_eq!(
        policies(&text)[1]["traffic"],
        json!({"requestRedirect": {"conditional": [{"condition": up, "policy": form}]}})
    );
}

#[test]
fn what_of_a_route_is_lost_is_told_where_it_stands() {
    let filter = |filter: serde_json::Value| json!([{"filters": [filter]}]);
    let with_match = |one: serde_json::Value| json!([{"matches": [one], "filters": [redirect()]}]);
    for (rules, place, effect, message) in [
        (
            filter(json!({"type": "RequestMirror", "requestMirror": {}})),
            "filters[0]",
            "Lost",
            "`mirrors`",
        ),
        (filter(json!({"type": "CORS", "cors": {}})), "filters[0]", "Lost", "`corsPolicy`"),
        (
            filter(json!({"type": "ExtensionRef", "extensionRef": {}})),
            "filters[0]",
            "Looser",
            "not known here",
        ),
        (
            filter(json!({"type": "ExternalAuth", "externalAuth": {}})),
            "filters[0]",
            "Looser",
            "CUSTOM",
        ),
        (filter(json!({"type": "New"})), "filters[0]", "Looser", "unknown filter"),
        (
            filter(json!({"type": "RequestHeaderModifier", "requestHeaderModifier":
                {"set": [{"name": "connection", "value": "a"}]}})),
            "filters[0].requestHeaderModifier.set[0].name",
            "Looser",
            "stays as it came",
        ),
        (
            filter(json!({"type": "URLRewrite", "urlRewrite":
                {"path": {"type": "ReplaceRegex", "replaceRegex": "a"}}})),
            "filters[0].urlRewrite.path.replaceRegex",
            "Looser",
            "unknown field",
        ),
        (
            json!([{"matches": [{"path": {"type": "Exact", "value": "/a"}}],
                "filters": [prefix("/b")]}]),
            "filters[0].urlRewrite.path",
            "Looser",
            "a match of a prefix",
        ),
        (
            with_match(json!({"path": {"type": "RegularExpression", "value": "/a.*"}})),
            "matches[0].path",
            "Looser",
            "kind of path",
        ),
        (
            with_match(json!({"queryParams": [{"name": "a", "value": "b"}]})),
            "matches[0].queryParams",
            "Looser",
            "query parameters",
        ),
        (
            with_match(json!({"headers": [{"name": "x_a", "value": "b"}]})),
            "matches[0].headers[0]",
            "Looser",
            "kind of header",
        ),
        (
            json!([{"matches": [{"method": "GET"}], "timeouts": {"request": "1s"}}]),
            "timeouts.request",
            "Lost",
            "for some requests of its hosts only",
        ),
        (
            json!([{"matches": [{"method": "GET"}], "retry": {"attempts": 1}}]),
            "retry",
            "Lost",
            "for some requests of its hosts only",
        ),
        (
            json!([{"timeouts": {"backendRequest": "1s"}}]),
            "timeouts.backendRequest",
            "Lost",
            "`retries.perTryTimeout`",
        ),
        (json!([{"retry": {"backoff": "1s"}}]), "retry.backoff", "Lost", "VirtualService"),
        (
            json!([{"filters": [redirect()], "backendRefs": [{"name": "a", "filters": [1]}]}]),
            "backendRefs[0].filters",
            "Looser",
            "put them into the rule",
        ),
        (
            json!([{"filters": [redirect()], "backendRefs": [{"name": "a"}, {"name": "b"}]}]),
            "backendRefs",
            "Lost",
            "several backends",
        ),
        (
            json!([{"filters": [redirect()], "sessionPersistence": {}}]),
            "sessionPersistence",
            "Lost",
            "consistentHash",
        ),
        (
            json!([{"filters": [redirect(), redirect()]}]),
            "filters[1].requestRedirect",
            "Looser",
            "a second",
        ),
    ] {
        let text = with_rules(&rules);
        let told = losses(&text);
        let expected = format!("{effect} spec.rules[0].{place}: ");
        assert!(
            told.iter().any(|told| told.starts_with(&expected) && told.contains(message)),
            "{rules}: {told:#?}"
        );
        assert!(!told.iter().any(|told| told.contains("would not load")), "{rules}: {told:#?}");
    }
}

#[test]
fn routes_that_share_hosts_are_not_put_together() {
    let text = with_rules(&json!([{"filters": [redirect()]}]));
    let route = text.split_once("---\n").unwrap().1.replace(r#""name":"r""#, r#""name":"s""#);
    for (hosts, is_told) in
        [(r#"["api.example"]"#, true), (r#"["*.example"]"#, true), (r#"["b.example"]"#, false)]
    {
        let other = route.replace(r#"["api.example"]"#, hosts);
        let told = losses(&format!("{text}\n---\n{other}"));
        let looser = told.iter().filter(|told| told.contains("put their rules into one route"));
        assert_eq!(looser.count(), if is_told { 2 } else { 0 }, "{hosts}: {told:#?}");
    }
}

/// Istio's waypoint applies the routes of services; a Gateway that no policy is for is another.
#[test]
fn routes_that_go_on_applying_are_left_to_istio() {
    let text = with_rules(&json!([{"filters": [redirect()]}]));
    for (parent, is_ours) in [
        (r#"{"name":"egress"}"#, true),
        (r#"{"name":"ingress"}"#, false),
        (r#"{"group":"networking.istio.io","kind":"ServiceEntry","name":"e"}"#, false),
        (r#"{"group":"","kind":"Service","name":"egress"}"#, false),
    ] {
        let text = text.replace(r#"{"name":"egress"}"#, parent);
        assert_eq!(losses(&text), Vec::<String>::new(), "{parent}");
        assert_eq!(policies(&text).get(1).is_some(), is_ours, "{parent}");
        let told = notes(&text).iter().any(|told| told.contains("goes on applying"));
        assert_eq!(told, !is_ours, "{parent}");
    }
    let grpc = text.replace("HTTPRoute", "GRPCRoute");
    assert!(losses(&grpc)[0].contains("of a GRPCRoute are not converted"), "{:?}", losses(&grpc));
}

/// A modifier with a condition is a transformation, whose place in the order is another.
#[test]
fn modifiers_of_single_rules_beside_other_header_rules_are_an_error() {
    let rules = json!([{
        "matches": [{"method": "GET"}],
        "filters": [{"type": "ResponseHeaderModifier",
            "responseHeaderModifier": {"set": [{"name": "x-a", "value": "b"}]}}],
    }, {}]);
    let text = with_rules(&rules);
    assert_eq!(losses(&text), Vec::<String>::new());
    let authorization = "authorization: {action: Deny";
    for (traffic, is_told) in [
        ("transformation: {response: {remove: [x-a]}}", true),
        ("transformation: {request: {remove: [x-a]}}", false),
        ("headerModifiers: {response: {remove: [x-a]}}", true),
    ] {
        let told = losses(&text.replace(authorization, &format!("{traffic}, {authorization}")));
        let expected = "Looser : the header modifiers of single rules";
        assert_eq!(told.iter().any(|told| told.starts_with(expected)), is_told, "{told:#?}");
        assert_eq!(told.len(), usize::from(is_told), "{traffic}: {told:#?}");
    }
}
