//! Denies that let through what has no token.

use serde_json::json;

use super::{doubts, named, policy};

/// What is said of a Deny that reads a token holds: a request without one is let through.
#[test]
fn a_deny_that_lets_through_what_has_no_token_is_told() {
    let free = r#"jwt.?plan.orValue("") == "free""#;
    let of = |others: &[(&str, &str, &str)]| {
        let mut policies = named(others);
        policies.push(policy("Deny", &["a.com"], free));
        let config = json!({ "policies": policies });
        let engine = crate::policy::Engine::load(config.to_string().as_bytes()).unwrap();
        let trial = crate::trial::Trial { authority: "a.com".to_owned(), ..Default::default() };
        let passes = trial.run(&engine).denial.is_none();
        let told = doubts(&config).iter().any(|(name, _)| *name == "deny-without-token");
        (told, passes)
    };
    let any = r#"jwt.iss == "https://staff.example""#;
    for (others, is_told, passes) in [
        (&[][..], true, true),
        // Another rule that a request without a token does not pass.
        (&[("Require", "a.com", any)][..], false, false),
        (&[("Require", "*.com", any)], false, false),
        (&[("Allow", "a.com", any)], false, false),
        (&[("Require", "b.com", any)], true, true),
        (&[("Require", "a.com", "has(jwt.iss) || true")], true, true),
        (&[("Allow", "a.com", any), ("Allow", "a.com", "true")], true, true),
    ] {
        assert_eq!(of(others), (is_told, passes), "{others:?}");
    }
    let all = |expressions: &[&str]| {
        let mut config = json!({"policies": [policy("Deny", &["a.com"], "true")]});
        let rule = &mut config["policies"][0]["traffic"]["authorization"];
        rule["match"] = json!("All");
        rule["policy"]["matchExpressions"] = json!(expressions);
        doubts(&config).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(all(&[free, r#"request.method == "PUT""#]), ["deny-without-token"]);
    assert_eq!(all(&[free, r#"jwt.sub == "x""#]), ["deny-without-token"]);
    assert_eq!(all(&[r#"jwt.plan == "x""#, r#"request.method == "PUT""#]), [""; 0]);
}
