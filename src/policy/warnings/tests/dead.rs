#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::warnings;

fn policy(name: &str, action: &str, hosts: &[&str], expression: &str) -> Value {
    let mut policy = super::policy(action, hosts, &[expression]);
    policy["name"] = json!(name);
    policy
}

fn of(policies: &[Value]) -> Vec<String> {
    warnings(&json!({"policies": policies}))
}

const TEAM_A: &str = r#"source.identity.namespace == "team-a""#;

#[test]
fn a_deny_that_denies_what_an_allow_could_let_through_is_told() {
    let one = "this Deny denies whatever the Allow `allow` could let through, so it lets no \
        request through";
    for (deny_hosts, deny, allow_hosts, allow) in [
        (&[][..], "true", &[][..], TEAM_A),
        (&[], "true", &["a.com"], "true"),
        (&["a.com", "*.b.com"], "true", &["a.com", "*.c.b.com"], TEAM_A),
        (&[], r#"request.method != "GET""#, &[], r#"request.method in ["POST", "PUT"]"#),
        (&[], r#"request.host != "a.com""#, &["b.com"], TEAM_A),
        (&[], TEAM_A, &[], r#"source.identity.namespace == "team-a" && request.method == "GET""#),
        // It fails for every request that the Allow matches, and so denies it.
        (&[], r#"request.headers["x-a"] == "1""#, &[], r#"!("x-a" in request.headers)"#),
    ] {
        let found = of(&[
            policy("deny", "Deny", deny_hosts, deny),
            policy("allow", "Allow", allow_hosts, allow),
        ]);
        assert_eq!(found.iter().filter(|found| *found == one).count(), 1, "{deny} {found:?}");
    }
}

#[test]
fn a_deny_that_leaves_an_allow_something_is_not_told() {
    for (deny_hosts, deny, allow_hosts, allow) in [
        (&["a.com"][..], "true", &[][..], TEAM_A),
        (&["a.com"], "true", &["a.com", "b.com"], TEAM_A),
        (&["*.a.com"], "true", &["a.com"], TEAM_A),
        (&["x.a.com"], "true", &["*.a.com"], TEAM_A),
        (&[], r#"request.method == "DELETE""#, &[], TEAM_A),
        (&[], r#"request.path.matches("^/a")"#, &[], r#"request.path.startsWith("/a")"#),
        (&[], r#"source.identity.namespace != "team-a""#, &[], TEAM_A),
    ] {
        let found = of(&[
            policy("deny", "Deny", deny_hosts, deny),
            policy("allow", "Allow", allow_hosts, allow),
        ]);
        assert_eq!(found, [""; 0], "{deny}");
    }
}

#[test]
fn what_is_not_enforced_or_lets_errors_pass_kills_nothing() {
    let mut shadow = policy("deny", "Deny", &[], "true");
    shadow["mode"] = json!("Shadow");
    let mut ignoring = policy("deny", "Deny", &[], r#"request.headers["x-a"] == "1""#);
    ignoring["traffic"]["authorization"]["onError"] = json!("Ignore");
    let allow = policy("allow", "Allow", &[], r#"!("x-a" in request.headers)"#);
    for deny in [shadow, ignoring] {
        assert_eq!(of(&[deny.clone(), allow.clone()]), [""; 0], "{deny}");
    }
}

#[test]
fn several_dead_allows_are_told_together() {
    let mut policies = vec![policy("deny", "Deny", &[], "true")];
    policies.extend((0..5).map(|n| policy(&format!("a{n}"), "Allow", &[], TEAM_A)));
    assert_eq!(
        of(&policies),
        ["this Deny denies whatever the Allows `a0`, `a1` and `a2` and 2 more could let through, \
          so they let no request through"]
    );
}

#[test]
fn an_allow_beside_one_that_lets_everything_through_is_told() {
    let all = |name: &str, hosts: &[&str]| policy(name, "Allow", hosts, "true");
    let narrow = policy("narrow", "Allow", &["a.com"], TEAM_A);
    assert_eq!(
        of(&[narrow.clone(), all("wide", &["a.com", "b.com"])]),
        ["this Allow adds nothing: `wide` lets every request to its hosts through"]
    );
    assert_eq!(of(&[narrow.clone(), all("elsewhere", &["b.com"])]), [""; 0]);
    assert_eq!(
        of(&[all("first", &[]), all("second", &[]), narrow]),
        ["this Allow adds nothing: `first` lets every request to its hosts through"; 2]
    );
}

#[test]
fn a_large_configuration_is_not_compared_pair_by_pair() {
    let mut policies: Vec<Value> = (0..200)
        .map(|n| policy(&format!("d{n}"), "Deny", &[], r#"request.method == "PUT""#))
        .collect();
    policies.extend((0..2_000).map(|n| policy(&format!("a{n}"), "Allow", &[], TEAM_A)));
    assert_eq!(of(&policies), [""; 0]);
}
