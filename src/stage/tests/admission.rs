//! What is refused whatever the rules say.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_request_must_be_for_the_service_it_was_sent_to() {
    for (host, reason) in [
        ("api.github.com:80", "no-allow-rule"),
        ("evil.example", "host-mismatch"),
        ("", "bad-host"),
        ("user@api.github.com", "bad-host"),
    ] {
        assert_eq!(decide(&[], &Request { host, ..ZEN }).reason.as_str(), reason, "{host}");
    }
    let off = json!({"policies": [], "hostBinding": "Off"});
    assert_eq!(decide_with(off, &Request { host: "evil.example", ..ZEN }).denial, None);
    let outcome = decide(&[], &Request { headers: &[("host", b"evil.example")], ..ZEN });
    assert_eq!(outcome.denial.map(|denial| denial.status), Some(400));
}

#[test]
fn no_other_name_of_a_service_walks_round_its_policies() {
    let mut deny = rule("p", "Deny", "true");
    deny["hosts"] = json!(["a.ns.svc.cluster.local"]);
    let engine = load(&json!({"policies": [deny]}));
    for host in ["a.ns.svc.cluster.local", "a", "a.ns", "a.ns.svc"] {
        let headers =
            [(&b":method"[..], &b"GET"[..]), (b":authority", host.as_bytes()), (b":path", b"/")]
                .into_iter()
                .collect();
        let source = Given {
            filter_chain_name: b"inbound-vip|80|http|a.ns.svc.cluster.local",
            ..Given::default()
        };
        assert!(!Driven::decide(&engine, &headers, &source).decision.allows(), "{host}");
    }
}

#[test]
fn a_policy_loosens_path_safety_for_its_hosts() {
    let path = Request { path: "/a%2Fb", ..ZEN };
    let decided = decide(&[], &path);
    assert_eq!(
        (decided.denial.map(|denial| denial.status), decided.detail),
        (Some(400), Some("escaped delimiter"))
    );
    let mut policy = rule("p", "Allow", "true");
    policy["hosts"] = json!(["api.github.com"]);
    policy["pathSafety"] = json!("Lenient");
    assert_eq!(decide(&[policy.clone()], &path).denial, None);
    policy["mode"] = json!("Shadow");
    assert!(decide(&[policy.clone()], &path).denial.is_some(), "a shadow policy loosens nothing");
    policy["mode"] = json!("Enforce");
    policy["hosts"] = json!(["other.example"]);
    assert!(decide(&[policy], &path).denial.is_some(), "nor does one of another host");
}
