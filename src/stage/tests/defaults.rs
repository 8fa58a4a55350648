//! The default action of a host, and the answer to a request that is denied.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::DefaultAction;

const HOSTS: [&str; 4] = ["a.example", "b.example", "x.b.example", "example"];
const PATTERNS: [&[&str]; 5] =
    [&["a.example"], &["b.example", "x.b.example"], &["*.example"], &["*.b.example"], &["example"]];

/// A policy as the oracle sees it: its patterns, mode, default action, whether it has an Allow that
/// never matches, and whether it has a denial.
type Shape = (usize, bool, Option<bool>, bool, bool);

fn policy((number, (patterns, enforced, default, allow, denial)): (usize, &Shape)) -> Value {
    let name = format!("p{number}");
    let mut policy = json!({"name": name, "hosts": PATTERNS[*patterns], "traffic":
        {"transformation": {"request": {"remove": ["x-a"]}}}});
    if *allow {
        policy["traffic"]["authorization"] = json!({"policy": {"matchExpressions": ["false"]}});
    }
    if !enforced {
        policy["mode"] = json!("Shadow");
    }
    if let Some(denies) = default {
        policy["defaultAction"] = json!(if *denies { "Deny" } else { "Allow" });
    }
    if *denial {
        policy["denial"] = json!({"body": name});
    }
    policy
}

fn is_for(patterns: usize, host: &str) -> bool {
    PATTERNS[patterns].iter().any(|pattern| match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix) && host != suffix,
        None => *pattern == host,
    })
}

/// Reason, policy and body, by looking at one policy after the other.
fn expected(
    all_deny: bool,
    shapes: &[Shape],
    host: &str,
) -> (&'static str, Option<String>, String) {
    let in_scope: Vec<(usize, &Shape)> = shapes
        .iter()
        .enumerate()
        .filter(|(_, (patterns, enforced, ..))| *enforced && is_for(*patterns, host))
        .collect();
    let denial = in_scope.iter().find(|(_, shape)| shape.4);
    let body = denial.map_or("ask".to_owned(), |(number, _)| format!("p{number}"));
    if in_scope.iter().any(|(_, shape)| shape.3) {
        return ("no-allow-matched", None, body);
    }
    let closing = in_scope.iter().find(|(_, shape)| shape.2 == Some(true));
    let opens = in_scope.iter().any(|(_, shape)| shape.2 == Some(false));
    match closing {
        Some((number, _)) => ("default-deny", Some(format!("p{number}")), body),
        None if opens || !all_deny => ("no-allow-rule", None, String::new()),
        None => ("default-deny", None, body),
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn the_default_and_the_denial_are_those_that_the_documents_say(
            all_deny: bool,
            shapes in proptest::collection::vec(
                (
                    0..PATTERNS.len(),
                    any::<bool>(),
                    any::<Option<bool>>(),
                    any::<bool>(),
                    any::<bool>(),
                ),
                0..10,
            ),
        ) {
            // Allows are rare, so that the default decides often.
            let shapes: Vec<Shape> =
                shapes.into_iter().map(|(a, b, c, d, e)| (a, b, c, d && e && b, e)).collect();
            let policies: Vec<Value> = shapes.iter().enumerate().map(policy).collect();
            let config = json!({"policies": policies, "denial": {"body": "ask"},
                "defaultAction": if all_deny { "Deny" } else { "Allow" }, "hostBinding": "Off"});
            for host in HOSTS {
                let decided = decide_with(config.clone(), &Request { host, ..ZEN });
                let body = decided.denial.map(|reply| String::from_utf8_lossy(&reply.body).into());
                let seen = (decided.reason.as_str(), decided.policy_name, body.unwrap_or_default());
                prop_assert_eq!(&seen, &expected(all_deny, &shapes, host), "{} {}", config, host);
                let closed = load(&config).default_action_for(host) == DefaultAction::Deny;
                prop_assert!(closed || seen.0 != "default-deny");
            }
        }
    }
}

fn body_of(policies: &[Value], more: Value, request: &Request<'_>) -> (String, Vec<String>) {
    let mut config = json!({"policies": policies});
    for (name, value) in more.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    let reply = decide_with(config, request).denial.expect("a denial");
    let lines = reply
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    (String::from_utf8_lossy(&reply.body).into_owned(), lines.collect())
}

#[test]
fn a_denial_is_that_of_the_policy_that_decides() {
    let with = |name: &str, action: &str, expression: &str| {
        let mut policy = rule(name, action, expression);
        policy["denial"] = json!({"body": name});
        policy
    };
    let top = || json!({"denial": {"body": "top"}});
    for (policies, expected) in [
        (vec![with("a", "Allow", "false"), with("d", "Deny", "true")], "d"),
        (vec![with("a", "Allow", "false"), with("r", "Require", "false")], "r"),
        (vec![with("r", "Require", "true"), with("a", "Allow", "false")], "r"),
        (vec![with("a", "Allow", "true"), rule("d", "Deny", "true")], "top"),
        (vec![rule("a", "Allow", "false")], "top"),
    ] {
        assert_eq!(body_of(&policies, top(), &ZEN).0, expected, "{policies:?}");
    }
    assert_eq!(body_of(&[rule("a", "Allow", "false")], json!({}), &ZEN).0, "authorization failed");
}

/// What a pod sends cannot become a header of its own, nor make the denial an allowance.
#[test]
fn what_cannot_be_a_header_or_a_body_is_left_out() {
    let denial = json!({"denial": {
        "bodyExpression": "request.headers['x-b']",
        "headers": [{"name": "x-echo", "value": "request.headers['x-b']"},
            {"name": "x-fixed", "value": "'a'"}],
    }});
    let policies = [rule("a", "Allow", "false")];
    let long = "b".repeat(4_097);
    for (value, body, headers) in [
        (&b"hello"[..], "hello", &["x-echo: hello", "x-fixed: a"][..]),
        (b"a\xffb", "authorization failed", &["x-fixed: a"]),
        (long.as_bytes(), "authorization failed", &[&format!("x-echo: {long}"), "x-fixed: a"]),
    ] {
        let request = Request { headers: &[("x-b", value)], ..ZEN };
        let (found, lines) = body_of(&policies, denial.clone(), &request);
        assert_eq!(
            (found.as_str(), lines.iter().map(String::as_str).collect::<Vec<_>>()),
            (body, headers.to_vec())
        );
    }
    let breaking = json!({"denial": {"headers": [
        {"name": "x-echo", "value": r#"request.headers['x-b'] + "\r\nset-cookie: a=b""#}]}});
    let request = Request { headers: &[("x-b", b"1")], ..ZEN };
    assert_eq!(body_of(&policies, breaking, &request).1, [""; 0]);
}

#[test]
fn a_grpc_answer_keeps_its_own_headers() {
    let denial = json!({"denial": {"headers": [
        {"name": "content-type", "value": "'text/html'"}, {"name": "grpc-status", "value": "'0'"},
        {"name": "x-a", "value": "'1'"}]}});
    let lines = |content_type: &[u8]| {
        let request = Request { headers: &[("content-type", content_type)], ..ZEN };
        body_of(&[rule("a", "Allow", "false")], denial.clone(), &request).1
    };
    for grpc in [&b"application/grpc"[..], b"application/grpc+proto"] {
        assert_eq!(lines(grpc), ["x-a: 1"]);
    }
    for other in [&b"application/grpc-web"[..], b"text/plain", b"application/grpcx"] {
        assert_eq!(lines(other), ["content-type: text/html", "grpc-status: 0", "x-a: 1"]);
    }
}

/// However dear the answer is, the request stays denied for the reason that the rules gave.
#[test]
fn an_answer_that_takes_too_many_steps_changes_no_reason() {
    let dear = "request.headers['x-b'].replace('b', request.headers['x-b'])\
        .replace('b', request.headers['x-b'])";
    let config = json!({"policies": [rule("a", "Deny", "true")],
        "denial": {"bodyExpression": dear}});
    let long = "b".repeat(4_000);
    let request = Request { headers: &[("x-b", long.as_bytes())], ..ZEN };
    let decided = decide_with(config, &request);
    assert_eq!(decided.reason.as_str(), "deny-matched");
    assert_eq!(&*decided.denial.expect("a denial").body, b"authorization failed");
}
