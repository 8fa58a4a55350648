//! Hosts that nobody can call.

use serde_json::{Value, json};

use super::{doubts, named, policy};

/// What is said of a host under a default of Deny holds: nobody can call it.
#[test]
fn a_host_that_only_denies_and_requires_name_is_told_to_be_closed() {
    let of = |default: &str, policies: &[(&str, &str, &str)]| {
        let config = json!({"defaultAction": default, "policies": named(policies)});
        let told = doubts(&config).into_iter().filter(|(name, _)| *name == "closed-host");
        told.map(|(_, message)| message).collect::<Vec<_>>()
    };
    const TEAM: &str = r#"source.identity.namespace == "a""#;
    let require = ("Require", "a.com", TEAM);
    let found = of("Deny", &[require]);
    assert!(
        found.len() == 1
            && found[0].starts_with("no request to `a.com` is ever let through")
            && found[0].ends_with("write this Require as an Allow, or add an Allow for it"),
        "{found:?}"
    );
    for (default, policies, count) in [
        ("Allow", &[require][..], 0),
        ("Deny", &[("Deny", "a.com", TEAM)], 1),
        ("Deny", &[("Deny", "a.com", "true")], 0),
        ("Deny", &[require, ("Allow", "b.com", TEAM)], 1),
        ("Deny", &[require, ("Allow", "a.com", TEAM)], 0),
        ("Deny", &[require, ("Allow", "*.com", TEAM)], 0),
        ("Deny", &[("Require", "*.b.com", TEAM), ("Allow", "a.b.com", TEAM)], 0),
        ("Deny", &[("Require", "*.b.com", TEAM), ("Allow", "b.com", TEAM)], 1),
        ("Deny", &[("Require", "*.b.com", TEAM), ("Allow", "*.c.b.com", TEAM)], 0),
    ] {
        assert_eq!(of(default, policies).len(), count, "{default} {policies:?}");
    }
    let with = |change: &dyn Fn(&mut Value)| {
        let mut policy = policy("Require", &["a.com", "b.com"], TEAM);
        change(&mut policy);
        let config = json!({"defaultAction": "Deny", "policies": [policy]});
        doubts(&config).into_iter().map(|(name, message)| format!("{name}: {message}")).collect()
    };
    let found: Vec<String> = with(&|_| {});
    assert!(found[0].contains("`a.com` (and 1 more)"), "{found:?}");
    assert_eq!(with(&|policy| policy["defaultAction"] = json!("Allow")), Vec::<String>::new());
    assert_eq!(with(&|policy| policy["mode"] = json!("Shadow")), Vec::<String>::new());
    let set = json!({"request": {"set": [{"name": "x-a", "value": "\"b\""}]}});
    let found = with(&|policy| policy["traffic"] = json!({"transformation": set.clone()}));
    assert!(found.len() == 1 && found[0].starts_with("closed-host"), "{found:?}");
    let only_denial = with(&|policy| {
        policy.as_object_mut().unwrap().remove("traffic");
        policy["denial"] = json!({"body": "ask"});
    });
    assert_eq!(only_denial, Vec::<String>::new());
    // A policy's own default of Deny closes its hosts as well.
    let own = json!({"policies": [{"name": "p", "hosts": ["a.com"], "defaultAction": "Deny",
        "traffic": {"authorization": {"action": "Require",
            "policy": {"matchExpressions": [TEAM]}}}}]});
    assert_eq!(doubts(&own).len(), 1);
}
