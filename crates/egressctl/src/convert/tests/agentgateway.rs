//! AgentGateway's fields: each is converted or noted.

mod answers;
mod backends;
mod credentials;
mod ext_auth;
pub(super) mod fields;
mod generated;
mod limits;
mod log;
mod model;
mod targets;

use serde_json::json;

use super::*;

/// A policy of the workshop's Gateway with this `spec` beside the target, as JSON.
fn with(spec: &str) -> String {
    let target = "\"targetRefs\": [{\"group\": \"gateway.networking.k8s.io\", \"kind\": \
        \"Gateway\", \"name\": \"egress\"}]";
    format!(
        "{{\"apiVersion\": \"agentgateway.dev/v1alpha1\", \"kind\": \"AgentgatewayPolicy\", \
         \"metadata\": {{\"name\": \"p\", \"namespace\": \"egress-direct\"}}, \"spec\": \
         {{{target}, {spec}}}}}"
    )
}

fn with_rule(action: &str, expressions: &[&str]) -> String {
    let authorization = json!({"action": action, "policy": {"matchExpressions": expressions}});
    with(&format!(r#""traffic": {{"authorization": {authorization}}}"#))
}

#[test]
fn the_workshops_policies_become_those_of_filter_config() {
    let read = |path: &str| {
        std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let workshop = ["03-policy-rbac", "04-policy-path", "05-policy-headers"]
        .map(|step| read(&format!("e2e/workshop/{step}.yaml")));
    let file = manifest(&read("filter-config/05-policy-headers.yaml"));
    let expected: serde_json::Value =
        serde_json::from_str(&file.plugins()[0].config.unwrap().get("policies").unwrap().to_json())
            .unwrap();
    assert_eq!(policies(&workshop.join("\n---\n")), expected);
}

#[test]
fn rules_and_headers_are_taken_word_by_word() {
    let text = with(
        r#""traffic": {
          "authorization": {"action": "Require",
            "policy": {"matchExpressions": ["  request.method ==\n 'GET'\n"]}},
          "transformation": {
            "request": {"set": [{"name": ":path", "value": "'/v1' + request.path"}],
              "remove": ["X-Debug"]},
            "response": {"add": [{"name": "x-status", "value": "string(response.code)"}]}
          }
        }"#,
    );
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        policies(&text),
        json!([{
            "name": "p",
            "traffic": {
                "authorization": {"action": "Require",
                    "policy": {"matchExpressions": ["  request.method ==\n 'GET'\n"]}},
                "transformation": {
                    "request": {"set": [{"name": ":path", "value": "'/v1' + request.path"}],
                        "remove": ["X-Debug"]},
                    "response": {"add": [{"name": "x-status", "value": "string(response.code)"}]},
                },
            },
        }])
    );
}

#[test]
fn several_expressions_match_as_the_controller_has_it() {
    let text = with_rule("Deny", &["request.method == 'PUT'", "request.method == 'POST'"]);
    assert_eq!(policies(&text)[0]["traffic"]["authorization"]["match"], "Any");
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(notes_at(&text, "spec.traffic.authorization.policy.matchExpressions").len(), 1);
    for (action, combine, why) in [
        ("Allow", "Any", "lets any of them do"),
        ("Deny", "Any", "lets any"),
        ("Require", "All", "wants all"),
    ] {
        let text = with_rule(action, &["request.method == 'PUT'", "request.path == '/zen'"]);
        assert_eq!(policies(&text)[0]["traffic"]["authorization"]["match"], combine, "{action}");
        let told = notes_at(&text, "spec.traffic.authorization.policy.matchExpressions");
        assert!(
            told.len() == 1
                && told[0].contains(&format!("`match: {combine}`"))
                && told[0].contains(why),
            "{action}: {told:?}"
        );
        assert_eq!(
            policies(&with_rule(action, &["true"]))[0]["traffic"]["authorization"].get("match"),
            None
        );
    }
    // One of two that match is enough for an Allow, and not for a Require.
    for (action, expected) in [("Allow", true), ("Require", false)] {
        let engine =
            engine(&with_rule(action, &["request.method == 'GET'", "request.path == '/none'"]));
        assert_eq!(Request::default().is_allowed_by(&engine), expected, "{action}");
    }
}

#[test]
fn header_modifiers_are_taken_as_they_are() {
    let text = with(
        r#""traffic": {"headerModifiers": {"request": {"set": [{"name": "X-A",
          "value": "say \"a\\b\""}], "remove": ["X-B"]}, "response": {"add": [{"name": "X-C",
            "value": "c"}]}}, "transformation": {"request": {"remove": ["x"]}}}"#,
    );
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        policies(&text),
        json!([{"name": "p", "traffic": {
            "transformation": {"request": {"remove": ["x"]}},
            "headerModifiers": {
                "request": {"set": [{"name": "X-A", "value": "say \"a\\b\""}],
                    "remove": ["X-B"]},
                "response": {"add": [{"name": "X-C", "value": "c"}]},
            },
        }}])
    );
    // A name that the engine refuses leaves the header as it came.
    let wrong = with(
        r#""traffic": {"headerModifiers": {"request": {"set": [{"name": "Connection",
          "value": "close"}, {"name": "x-a", "value": "b"}], "remove": ["host"]}}}"#,
    );
    let told = losses(&wrong);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told.iter().all(|told| told.starts_with("Looser spec.traffic.headerModifiers.request"))
    );
    assert_eq!(
        policies(&wrong)[0]["traffic"]["headerModifiers"]["request"],
        json!({"set": [{"name": "x-a", "value": "b"}]})
    );
}

#[test]
fn what_several_policies_do_in_another_order_is_an_error() {
    let allow = "\"traffic\": {\"authorization\": {\"policy\": {\"matchExpressions\": \
        [\"request.headers['x-tenant'] == 'a'\"]}}}";
    let modify = r#""traffic": {"headerModifiers": {"request": {"remove": ["x-a"]}}}"#;
    let transform = r#""traffic": {"transformation": {"request": {"set": [{"name": "x-tenant",
      "value": "'b'"}]}}}"#;
    let early = transform.replace(r#""traffic": {"#, r#""traffic": {"phase": "PreRouting", "#);
    for (first, second, expected) in [
        (early.as_str(), allow, Some("here there is one phase")),
        (transform, allow, None),
        // Here as there, modifiers follow all transformations of a request.
        (modify, transform, None),
        (modify, allow, None),
    ] {
        let told = losses(
            &[with(first), with(second).replace(r#""name": "p""#, r#""name": "q""#)]
                .join("\n---\n"),
        );
        assert_eq!(told.len(), usize::from(expected.is_some()), "{first} {second}: {told:?}");
        assert!(
            told.iter().all(|told| told.starts_with("Looser ") && told.contains(expected.unwrap())),
            "{told:?}"
        );
    }
}

#[test]
fn a_header_that_is_another_here_is_an_error() {
    for (expression, is_told) in [
        (r#"request.headers["x_admin"] == "1""#, true),
        (r#"request.headers.x_admin == "1""#, true),
        (r#"has(request.headers.x_admin)"#, true),
        (r#"request.headers[?"x_admin"].orValue("") == "1""#, true),
        (r#"!("x_a" in request.headers)"#, true),
        (r#"request.headers["x-admin"] == "my_value" && "x-a" in request.headers"#, false),
        (r#"request.path == "/a_b""#, false),
    ] {
        let told = losses(&with_rule("Allow", &[expression]));
        assert_eq!(
            told.iter().any(
                |told| told.starts_with("Looser ") && told.contains("alone has no counterpart")
            ),
            is_told,
            "{expression}: {told:?}"
        );
    }
}

#[test]
fn a_field_without_a_counterpart_is_told_with_what_to_do_instead() {
    for (field, effect, instead) in [
        ("traffic.extAuth", "Looser", "no `backendRef` names"),
        ("traffic.entExtAuth", "Looser", "asks a service of yours"),
        ("traffic.extProc", "Looser", "no counterpart"),
        ("traffic.rateLimit", "Looser", "what is over the limit is let through"),
        ("traffic.entRateLimit.global", "Looser", "Run Envoy's rate limit service"),
        ("traffic.jwtAuthentication", "Looser", "RequestAuthentication"),
        ("traffic.basicAuthentication", "Looser", "extension provider"),
        ("traffic.apiKeyAuthentication", "Looser", "extension provider"),
        ("traffic.csrf", "Looser", "Deny"),
        ("traffic.cors", "Lost", "corsPolicy"),
        ("traffic.buffer", "Looser", "EnvoyFilter"),
        ("traffic.delay", "Lost", "fault.delay"),
        ("strategy", "Looser", "no policy takes another's place"),
        ("traffic.phase", "Hint", "one phase"),
        ("traffic.newThing", "Looser", "unknown field"),
        ("traffic.transformation.request.body", "Lost", "bodies"),
        ("traffic.transformation.request.metadata", "Lost", "`variables.NAME`"),
        ("traffic.transformation.request.newThing", "Looser", "unknown field"),
        ("traffic.authorization.newThing", "Looser", "unknown field"),
        ("traffic.headerModifiers.newThing", "Looser", "unknown field"),
        ("backend.tls", "Looser", "DestinationRule"),
        ("backend.tcp", "Lost", "DestinationRule"),
        ("backend.http.version", "Lost", "h2UpgradePolicy"),
        ("backend.http.newThing", "Looser", "unknown field"),
        ("backend.tunnel", "Lost", "DestinationRule"),
        ("backend.ai", "Looser", "image for bodies"),
        ("backend.mcp", "Looser", "image for bodies"),
        ("backend.transformation.newThing", "Looser", "unknown field"),
        ("backend.health", "Lost", "outlierDetection"),
        ("backend.extAuth", "Looser", "no `backendRef` names"),
        ("backend.newThing", "Looser", "unknown field"),
        ("frontend.tcp", "Lost", "no counterpart"),
        ("frontend.networkAuthorization", "Looser", "ztunnel"),
        ("frontend.tls", "Lost", "mTLS"),
        ("frontend.http", "Lost", "no counterpart"),
        ("frontend.proxyProtocol", "Lost", "HBONE"),
        ("frontend.connect", "Lost", "HBONE"),
        ("frontend.tracing", "Lost", "Telemetry"),
        ("frontend.metrics", "Lost", "Telemetry"),
        ("newThing", "Looser", "unknown field"),
        ("targetSelectors", "Looser", "targetRefs"),
    ] {
        let value = field
            .rsplit('.')
            .fold(r#"{"x": 1}"#.to_owned(), |inner, name| format!(r#"{{"{name}": {inner}}}"#));
        let text =
            with(value.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap());
        let path = format!("spec.{field}");
        let told = notes_at(&text, &path);
        assert_eq!(told.len(), 1, "{field}: {:?}", notes(&text));
        assert!(told[0].starts_with(effect) && told[0].contains(instead), "{field}: {told:?}");
    }
}

#[test]
fn an_expression_that_does_not_compile_is_told_where_it_goes_wrong() {
    for (action, effect, kept) in [
        ("Deny", "Looser", None),
        ("Allow", "Stricter", Some("false")),
        ("Require", "Stricter", Some("false")),
    ] {
        let text = with_rule(action, &["request.method == 'GET' && mcp.sub == 'a'"]);
        let told = losses(&text);
        assert_eq!(told.len(), 1, "{action}: {told:?}");
        let place = "spec.traffic.authorization.policy.matchExpressions[0]: unknown attribute `mcp";
        assert!(told[0].starts_with(&format!("{effect} {place}")), "{told:?}");
        let column = converted(&text, &["--kind", "pluginConfig"], |converted| {
            converted
                .notes
                .iter()
                .find(|note| note.effect != Effect::Hint)
                .map(|note| note.diagnostic.column)
        });
        assert_eq!(column, text.find("mcp").map(|at| at + 1), "{action}");
        let rule =
            policies(&text)[0]["traffic"]["authorization"]["policy"]["matchExpressions"].clone();
        assert_eq!(rule.get(0).and_then(|rule| rule.as_str()), kept, "{action}");
    }
    // What a Require wants beside is not all that it wants.
    let text = with_rule("Require", &["request.method == 'GET'", "mcp.sub == 'a'"]);
    assert!(
        losses(&text)[0].starts_with("Stricter ")
            && losses(&text)[0].contains("`false` is written"),
        "{:?}",
        losses(&text)
    );
    assert_eq!(
        policies(&text)[0]["traffic"]["authorization"],
        json!({"action": "Require", "match": "All",
            "policy": {"matchExpressions": ["request.method == 'GET'", "false"]}})
    );
    assert!(!Request::default().is_allowed_by(&engine(&text)));
    // What compiles beside it is kept.
    let text = with_rule("Deny", &["llm.requestModel == 'a'", "request.method == 'PUT'"]);
    assert_eq!(
        policies(&text)[0]["traffic"]["authorization"]["policy"]["matchExpressions"],
        json!(["request.method == 'PUT'"])
    );
}

#[test]
fn a_header_that_cannot_be_set_is_removed_lest_the_callers_own_stays() {
    let text = with(
        r#""traffic": {"transformation": {"request": {
          "set": [{"name": "X-User", "value": "mcp.sub"}, {"name": ":path", "value": "mcp.sub"},
            {"name": "Connection", "value": "'a'"}],
          "add": [{"name": "X-More", "value": "mcp.sub"}], "remove": ["Host"]}}}"#,
    );
    assert_eq!(
        policies(&text)[0]["traffic"]["transformation"],
        json!({"request": {"remove": ["X-User"]}})
    );
    let told = losses(&text);
    let effects: Vec<&str> = told.iter().map(|note| note.split(' ').next().unwrap()).collect();
    assert_eq!(effects, ["Lost", "Looser", "Looser", "Lost", "Looser"], "{told:#?}");
    assert!(told[0].contains("set[0].value: unknown attribute `mcp"), "{told:#?}");
}

#[test]
fn what_means_something_else_here_is_told_once() {
    let other =
        with_rule("Deny", &["request.host == 'b'"]).replace(r#""name": "p""#, r#""name": "q""#);
    let two = [with_rule("Deny", &["request.host == 'a' && request.path == '/'"]), other];
    let told = notes(&two.join("\n---\n"));
    for topic in
        ["a Deny whose expression errs", "`request.host` is lower-case", "refused with 400"]
    {
        assert_eq!(
            told.iter().filter(|note| note.contains(topic)).count(),
            1,
            "{topic}: {told:#?}"
        );
    }
}

#[test]
fn several_transformations_are_told_to_apply_one_after_the_other() {
    let one = with(r#""traffic": {"transformation": {"request": {"remove": ["x"]}}}"#);
    assert_eq!(losses(&one), Vec::<String>::new());
    let told =
        losses(&[one.clone(), one.replace(r#""name": "p""#, r#""name": "q""#)].join("\n---\n"));
    assert!(
        told.iter()
            .any(|note| note.starts_with("Lost spec.traffic.transformation: a second policy")),
        "{told:?}"
    );
}
