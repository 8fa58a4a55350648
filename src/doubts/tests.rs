mod closed;
mod slips;
mod token;

use serde_json::{Value, json};

use super::of;

/// The kinds and messages of the doubts about a configuration.
fn doubts(config: &Value) -> Vec<(&'static str, String)> {
    let text = config.to_string();
    crate::policy::Engine::load(text.as_bytes())
        .unwrap_or_else(|errors| panic!("{config}: {errors:?}"));
    of(text.as_bytes()).into_iter().map(|doubt| (doubt.name, doubt.warning.message)).collect()
}

fn policy(action: &str, hosts: &[&str], expression: &str) -> Value {
    let mut policy = json!({"name": "p", "traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": [expression]}}}});
    if !hosts.is_empty() {
        policy["hosts"] = json!(hosts);
    }
    policy
}

/// A configuration's policies: the action, host and expression of each, named in order.
fn named(policies: &[(&str, &str, &str)]) -> Vec<Value> {
    let of = |(index, (action, host, expression)): (usize, &(&str, &str, &str))| {
        let mut policy = policy(action, &[host], expression);
        policy["name"] = json!(format!("p{index}"));
        policy
    };
    policies.iter().enumerate().map(of).collect()
}

/// The doubts about one rule.
fn of_rule(action: &str, hosts: &[&str], expression: &str) -> Vec<(&'static str, String)> {
    doubts(&json!({"policies": [policy(action, hosts, expression)]}))
}

#[test]
fn what_is_meant_so_is_not_doubted() {
    for (action, hosts, expression) in [
        ("Allow", &["a.com"][..], r#"request.path == "*" || request.path == "/""#),
        ("Allow", &["a.com"], r#"request.path.startsWith("/v1/") || request.path == "/v1""#),
        ("Allow", &["a.com"], r#"request.path.startsWith("/reports-")"#),
        ("Deny", &["a.com"], r#"request.path.startsWith("/admin")"#),
        ("Allow", &["a.com"], r#"!request.path.startsWith("/admin")"#),
        ("Allow", &["*.github.com"], r#"request.host.endsWith("github.com")"#),
        ("Deny", &[], r#"request.host.endsWith("github.com")"#),
        ("Deny", &[], r#"request.host.matches("github")"#),
        ("Allow", &[], r#"request.host.endsWith(".github.com")"#),
        ("Allow", &[], r#"request.host.matches("^[a-z]+[.]github\\.com$")"#),
        ("Allow", &[], r#"request.host.matches(".*[.]github[.]com$")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^/v1/")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^/v1(/|$)")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^/v1/(a|b)/.*")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^(/a/|/b/)")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^/a/.+")"#),
        ("Allow", &["a.com"], r#"request.path.matches("^/a$|^/b[.]txt$")"#),
        ("Allow", &["a.com"], r#"source.identity.namespace.matches("^ci-")"#),
        ("Allow", &["a.com"], r#"request.headers["x-ticket"].matches("^JIRA-[0-9]+$")"#),
        ("Allow", &["a.com"], r#"request.headers["authorization"].matches("^Bearer ")"#),
        ("Allow", &["a.com"], r#"request.headers["x-mail"].matches("@example[.]com$")"#),
        ("Allow", &["a.com"], r#"request.headers["x-roles"].matches("\badmin\b")"#),
        ("Allow", &["a.com"], r#"request.headers["user-agent"].matches("git/[0-9]")"#),
        ("Deny", &["a.com"], r#"default(request.headers["x-a"], "").matches("test")"#),
        ("Deny", &["a.com"], r#"jwt.plan == "free""#),
        ("Deny", &["a.com"], r#"!("dev" in jwt.groups)"#),
        ("Deny", &["a.com"], r#"jwt.?plan.orValue("free") == "free""#),
        ("Deny", &["a.com"], r#"has(jwt.iss) && jwt.?plan.orValue("") == "free""#),
        ("Deny", &["a.com"], r#"!jwt.?iss.hasValue() || jwt.?plan.orValue("") == "free""#),
        ("Deny", &["a.com"], r#"jwt.?plan.orValue("") != "gold""#),
        ("Deny", &["a.com"], r#"jwt.?sub.orValue(request.path) == "/""#),
        ("Allow", &["a.com"], r#"jwt.?plan.orValue("") == "gold""#),
        ("Allow", &["a.com"], r#"request.headers["accept"] == "*/*""#),
        ("Allow", &["a.com"], r#"request.headers["x-a"] == "null""#),
        ("Allow", &["a.com"], r#"request.headers["x-a"] == "b""#),
        ("Require", &["a.com"], r#"request.headers["x-a"] == "b""#),
        ("Deny", &["a.com"], r#"request.headers["x-a"] != "b""#),
        ("Deny", &["a.com"], r#"!(request.headers["x-a"].startsWith("b"))"#),
        ("Deny", &["a.com"], r#"!request.headers["x-a"].matches("^b$")"#),
        ("Deny", &["a.com"], r#"request.headers["x-a"].matches("^b$")"#),
        ("Deny", &["a.com"], r#"default(request.headers["x-a"], "") == "b""#),
        ("Deny", &["a.com"], r#""x-a" in request.headers && request.headers["x-a"] == "b""#),
        ("Deny", &["a.com"], r#"has(request.headers.a) && request.headers.a == "b""#),
        ("Deny", &["a.com"], r#"!("x-a" in request.headers) || request.headers["x-a"] == "b""#),
        ("Deny", &["a.com"], r#"default(request.headers["x-a"] == "b", false)"#),
        ("Allow", &["a.com"], r#"source.spiffeId.startsWith("spiffe://cluster.local/ns/a/")"#),
        ("Deny", &["a.com"], r#"source.spiffeId.startsWith("spiffe://cluster.local/ns/test")"#),
        (
            "Allow",
            &["a.com"],
            r#"source.address == "10.1.2.3" || source.address.startsWith("10.")"#,
        ),
        ("Deny", &["a.com"], r#"request.path.contains("/debug/")"#),
        ("Allow", &["a.com"], r#"!request.path.contains("/debug/")"#),
        ("Allow", &["a.com"], r#"request.path.contains(":generate")"#),
        ("Allow", &["a.com"], r#"request.path.endsWith(".json")"#),
        ("Allow", &["a.com"], r#"request.path.startsWith("/@acme/..")"#),
        ("Deny", &["a.com"], r#"request.path.lowerAscii() == "/admin""#),
        ("Allow", &["a.com"], r#"request.scheme == "http""#),
        (
            "Allow",
            &["a.com"],
            r#"request.path == "/a" || (request.path == "/b" && request.method == "GET")"#,
        ),
        (
            "Allow",
            &["a.com"],
            r#"request.path == "/a" && has(request.id) || request.path == "/b" && true"#,
        ),
        (
            "Allow",
            &["a.com"],
            r#"request.method == "GET" || request.path == "/" && request.method == "PUT""#,
        ),
    ] {
        assert_eq!(of_rule(action, hosts, expression), [], "{action} {hosts:?} {expression}");
    }
    let ignoring = json!({"policies": [{"name": "p", "traffic": {"authorization": {
        "action": "Deny", "onError": "Ignore",
        "policy": {"matchExpressions": [r#"request.headers["x-a"] == "b""#]}}}}]});
    assert_eq!(doubts(&ignoring), []);
}

/// What is said of a Deny that reads a header holds: without it the request is denied, and with
/// another value it is not. Where nothing is said, both are the same.
#[test]
fn a_deny_without_its_header_is_told_where_it_denies() {
    use crate::request::Given;
    use crate::request::headers::Headers;
    let denies = |expression: &str, value: Option<&str>| {
        let config = json!({"policies": [policy("Deny", &[], expression)]}).to_string();
        let engine = crate::policy::Engine::load(config.as_bytes()).unwrap();
        let mut headers = Headers::default();
        let fixed = [(":method", "GET"), (":authority", "a.com"), (":path", "/")];
        for (name, value) in fixed.into_iter().chain(value.map(|value| ("x-a", value))) {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        !crate::trial::allows(&engine, &headers, &Given::default())
    };
    for expression in [
        r#"request.headers["x-a"] == "b""#,
        r#"request.headers["x-a"] != "b""#,
        r#"request.headers["x-a"].startsWith("b") && request.method == "GET""#,
        r#"request.headers["x-a"] in ["b"] || request.method == "PUT""#,
        r#"default(request.headers["x-a"], "") == "b""#,
        r#"default(request.headers["x-a"], "") != "b""#,
        r#""x-a" in request.headers && request.headers["x-a"] == "b""#,
        r#"request.headers["x-a"] + "c" == "bc""#,
        r#"(request.method == "GET" ? request.headers["x-a"] : "") == "b""#,
    ] {
        let differs = denies(expression, None) && !denies(expression, Some(""));
        let is_told = !of_rule("Deny", &[], expression).is_empty();
        // What the form of an expression hides is not told.
        let is_hidden = expression.contains('+') || expression.contains('?');
        assert!(is_told == differs || (is_hidden && !is_told), "{expression}: {differs}");
    }
}

#[test]
fn any_of_a_caller_and_a_method_is_open_to_all() {
    let any = |expressions: &[&str]| {
        let mut config = json!({"policies": [policy("Allow", &["a.com"], "true")]});
        let rule = &mut config["policies"][0]["traffic"]["authorization"];
        rule["match"] = json!("Any");
        rule["policy"]["matchExpressions"] = json!(expressions);
        doubts(&config).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let namespace = r#"source.identity.namespace == "a""#;
    assert_eq!(any(&[namespace, r#"request.method == "POST""#]), ["any-of-unlike"]);
    let path = r#"request.path == "/healthz""#;
    assert_eq!(any(&[namespace, path]), [""; 0]);
    let both = r#"source.identity.namespace == "b" && request.method == "GET""#;
    assert_eq!(any(&[namespace, both]), [""; 0]);
}

#[test]
fn header_rules_that_do_less_than_they_seem_to_are_told() {
    let of = |traffic: Value| {
        let found = doubts(&json!({"policies": [{"name": "p", "traffic": traffic}]}));
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let remove = json!({"remove": ["x-internal-*", "x-b"]});
    assert_eq!(of(json!({"transformation": {"request": remove}})), ["star-is-literal"]);
    assert_eq!(of(json!({"transformation": {"response": remove}})), ["star-is-literal"]);
    assert_eq!(of(json!({"headerModifiers": {"request": remove}})), ["star-is-literal"]);
    let entries = json!([{"policy": {"request": remove}}]);
    assert_eq!(of(json!({"transformation": {"conditional": entries}})), ["star-is-literal"]);
    let path = |value: &str| {
        of(json!({"transformation": {"request": {"set": [{"name": ":path", "value": value}]}}}))
    };
    assert_eq!(path(r#""/v2" + request.path"#), ["path-without-query"]);
    assert_eq!(path(r#""/v2" + request.pathAndQuery"#), [""; 0]);
    assert_eq!(path(r#""/fixed""#), [""; 0]);
}

#[test]
fn an_allow_in_shadow_that_narrows_another_is_told_to_be_a_require() {
    let pair = |narrow: &str, mode: &str| {
        let mut shadow = policy("Allow", &["a.com"], narrow);
        shadow["name"] = json!("narrow");
        shadow["mode"] = json!(mode);
        let wide = policy("Allow", &["a.com"], r#"source.identity.namespace == "a""#);
        doubts(&json!({"policies": [wide, shadow]}))
    };
    let narrow = r#"source.identity.namespace == "a" && request.method == "GET""#;
    let found = pair(narrow, "Shadow");
    assert!(
        found.len() == 1
            && found[0].0 == "shadow-allow-narrows-nothing"
            && found[0].1.starts_with("`p` lets all of this through already"),
        "{found:?}"
    );
    assert_eq!(pair(narrow, "Enforce"), []);
    assert_eq!(pair(r#"source.identity.namespace == "b""#, "Shadow"), []);
}

#[test]
fn a_configuration_with_an_error_has_errors_and_no_doubts() {
    let config = json!({"policies": [policy("Allow", &[], r#"request.path == "/*" && x"#)]});
    assert_eq!(of(config.to_string().as_bytes()), []);
}

#[test]
fn doubts_are_bounded() {
    let policies: Vec<Value> = (0..1_100)
        .map(|index| {
            let mut policy = policy("Allow", &["a.com"], r#"request.path == "/*""#);
            policy["name"] = json!(format!("p{index}"));
            policy
        })
        .collect();
    assert_eq!(doubts(&json!({ "policies": policies })).len(), super::MAX_DOUBTS);
}

/// Whatever a source is, looking at it ends and does not panic.
mod any_source {
    use proptest::prelude::*;

    use super::super::{patterns, source};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn is_looked_at(text in "[a-z.\"'\\\\rb/ \n=!(),|$^+\\[\\]ä]{0,60}") {
            source::slips(&text);
            patterns::of(&text);
            for name in ["request.host", "request.path", "request.headers[x]"] {
                patterns::doubt(name, &text);
            }
            prop_assert!(source::shown(&text).chars().count() <= 63);
        }
    }
}
