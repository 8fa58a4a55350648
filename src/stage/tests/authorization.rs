//! What the rules decide together.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn no_rule_in_scope_allows() {
    assert_decided(&[], "no-allow-rule", None);
    let mut elsewhere = rule("elsewhere", "Deny", "true");
    elsewhere["hosts"] = json!(["example.com"]);
    assert_decided(&[elsewhere], "no-allow-rule", None);
}

#[test]
fn deny_beats_require_beats_allow_in_any_order() {
    let (allow, deny, require) = (
        rule("allow", "Allow", "true"),
        rule("deny", "Deny", "true"),
        rule("require", "Require", "false"),
    );
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let all = [allow.clone(), deny, require.clone()];
    for order in orders {
        let policies: Vec<Value> = order.iter().map(|index| all[*index].clone()).collect();
        assert_decided(&policies, "deny-matched", Some("deny"));
    }
    assert_decided(&[allow.clone(), require], "require-not-matched", Some("require"));
    assert_decided(
        &[rule("deny", "Deny", "false"), rule("require", "Require", "true"), allow],
        "allow-matched",
        Some("allow"),
    );
}

#[test]
fn an_allow_in_scope_must_match() {
    assert_decided(&[rule("no", "Allow", "false")], "no-allow-matched", None);
    assert_decided(
        &[rule("no", "Allow", "false"), rule("yes", "Allow", "true")],
        "allow-matched",
        Some("yes"),
    );
    assert_decided(&[rule("no", "Deny", "false")], "no-allow-rule", None);
    assert_decided(&[rule("yes", "Require", "true")], "no-allow-rule", None);
}

#[test]
fn an_error_never_opens() {
    let missing = r#"request.headers["none"] == "x""#;
    assert_decided(&[rule("p", "Allow", missing)], "no-allow-matched", None);
    assert_decided(&[rule("p", "Require", missing)], "require-not-matched", Some("p"));
    assert_decided(&[rule("p", "Deny", missing)], "deny-error", Some("p"));
    assert_decided(&[rule("p", "Deny", r#"dyn("true")"#)], "deny-error", Some("p"));
    assert_decided(&[rule("p", "Allow", r#"dyn("true")"#)], "no-allow-matched", None);
    let mut ignoring = rule("p", "Deny", missing);
    ignoring["traffic"]["authorization"]["onError"] = json!("Ignore");
    assert_decided(&[ignoring], "no-allow-rule", None);
    let outcome = decide(&[rule("p", "Deny", missing)], &ZEN);
    assert!(
        outcome.counts.contains(&Count { policy: Some(0), counter: Counter::EvaluationErrors }),
        "{outcome:?}"
    );
    assert_eq!(outcome.errors, [(0, "no such key: none".to_owned())]);
}

#[test]
fn several_expressions_combine_as_the_policy_says() {
    let err = r#"request.headers["none"] == "x""#;
    for (action, combine, expressions, reason) in [
        ("Allow", "All", ["true", "false"], "no-allow-matched"),
        ("Allow", "Any", ["false", "true"], "allow-matched"),
        ("Allow", "Any", [err, "true"], "allow-matched"),
        ("Allow", "All", [err, "true"], "no-allow-matched"),
        ("Deny", "All", ["true", "false"], "no-allow-rule"),
        ("Deny", "All", [err, "false"], "no-allow-rule"),
        ("Deny", "All", [err, "true"], "deny-error"),
        ("Deny", "Any", [err, "false"], "deny-error"),
        ("Deny", "Any", [err, "true"], "deny-matched"),
        ("Require", "Any", ["false", "true"], "no-allow-rule"),
        ("Require", "All", ["false", "true"], "require-not-matched"),
    ] {
        let policy = json!({"name": "p", "traffic": {"authorization": {"action": action,
            "match": combine, "policy": {"matchExpressions": expressions}}}});
        assert_eq!(
            decide(&[policy], &ZEN).reason.as_str(),
            reason,
            "{action} {combine} {expressions:?}"
        );
    }
}

#[test]
fn a_shadow_policy_reports_and_does_not_decide() {
    let shadow = |action: &str, expression: &str| {
        let mut policy = rule("shadow", action, expression);
        policy["mode"] = json!("Shadow");
        policy
    };
    for (policies, would_deny) in [
        (vec![shadow("Deny", "true")], true),
        (vec![shadow("Deny", "false")], false),
        (vec![shadow("Deny", r#"request.headers["none"] == "x""#)], true),
        (vec![shadow("Require", "false")], true),
        (vec![shadow("Require", "true")], false),
        (vec![shadow("Allow", "false")], true),
        (vec![shadow("Allow", "true")], false),
        (vec![rule("p", "Allow", "true"), shadow("Allow", "false")], false),
    ] {
        let outcome = decide(&policies, &ZEN);
        assert_eq!(outcome.denial, None, "{policies:?}");
        assert_eq!(!outcome.shadow.is_empty(), would_deny, "{policies:?}");
        assert_eq!(
            outcome.counts.contains(&Count { policy: None, counter: Counter::ShadowDenied }),
            would_deny,
            "{policies:?}"
        );
    }
    let outcome = decide(&[rule("p", "Deny", "true"), shadow("Deny", "true")], &ZEN);
    assert_eq!(
        (outcome.denial.is_some(), outcome.shadow.is_empty()),
        (true, true),
        "what is denied anyway is nothing new"
    );
}

#[test]
fn a_scope_is_for_its_hosts_alone() {
    let mut policy = rule("p", "Deny", "true");
    for (hosts, host, denied) in [
        (json!(["api.github.com"]), "api.github.com", true),
        (json!(["api.github.com"]), "API.GitHub.com.:443", true),
        (json!(["*.github.com"]), "api.github.com", true),
        (json!(["*.com"]), "api.github.com", true),
        (json!(["*.api.github.com"]), "api.github.com", false),
        (json!(["github.com"]), "api.github.com", false),
        (json!(["example.com", "api.github.com"]), "api.github.com", true),
    ] {
        policy["hosts"] = hosts.clone();
        let config = json!({"policies": [policy], "hostBinding": "Off"});
        assert_eq!(
            decide_with(config, &Request { host, ..ZEN }).denial.is_some(),
            denied,
            "{hosts} {host}"
        );
    }
}
