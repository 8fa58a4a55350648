//! What an ALLOW implies for what it does not match.

use super::*;

/// With an ALLOW in scope Istio denies what none matches. That is written out, so that it stays so
/// where the policy is changed.
#[test]
fn an_allow_is_written_as_default_deny() {
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: \
        {name: e, namespace: egress-direct}\nspec: {hosts: [a.example]}\n---\n";
    let rules = "[{to: [{operation: {methods: [GET]}}]}]";
    let allow = policy("ALLOW", rules);
    let of_entry = allow
        .replace("gateway.networking.k8s.io", "networking.istio.io")
        .replace("kind: Gateway, name: egress", "kind: ServiceEntry, name: e");
    let dry = allow.replace("{name: p,", "{annotations: {istio.io/dry-run: 'true'}, name: p,");
    let deny = json!("Deny");
    for (text, of_all, of_policy) in [
        (allow.clone(), Some(&deny), None),
        (format!("{entry}{of_entry}"), None, Some(&deny)),
        (policy("DENY", rules), None, None),
        (policy("ALLOW", "[]"), Some(&deny), None),
        (dry, None, None),
    ] {
        let config = configuration(&text);
        assert_eq!(config.get("defaultAction"), of_all, "{text}");
        assert_eq!(config["policies"][0].get("defaultAction"), of_policy, "{text}");
    }
    let told = notes(&allow);
    assert!(told.iter().any(|told| told.contains("what none matches is denied")), "{told:?}");
    let post = Request { method: "POST", ..Request::default() };
    assert!(!post.is_allowed_by(&engine(&allow)));
    let elsewhere = Request { authority: "b.example", ..post };
    assert!(elsewhere.is_allowed_by(&engine(&format!("{entry}{of_entry}"))));
}
