//! What is read, and what is recorded.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::sync::Mutex;

use serde_json::{Value, json};

use super::driven::Driven;
use crate::decision::Reason;
use crate::request::{Given, Property, Source};
use crate::stage::tests::{Request, TEAM_A, ZEN, decide_with, load, rule};

#[test]
fn the_audit_names_caller_and_policy_and_cannot_be_forged() {
    let request = Request {
        path: "/a\"}\n{\"verdict\":\"allow\"",
        headers: &[("x-request-id", b"7")],
        ..ZEN
    };
    let config = json!({"policies": [rule("p", "Deny", "true")], "pathSafety": "Off"});
    let line = decide_with(config, &request).audit.unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let record: Value = serde_json::from_str(&line).unwrap();
    let expected = json!({
        "event": "egress", "verdict": "deny", "policy": "p", "reason": "deny-matched",
        "shadow": [], "caller": "spiffe://cluster.local/ns/team-a/sa/team-a",
        "method": "GET", "host": "api.github.com", "path": "/a\"}\n{\"verdict\":\"allow\"",
        "destination": "api.github.com", "status": 403, "requestId": "7",
    });
    assert_eq!(record, expected);
}

#[test]
fn only_the_decisions_asked_for_are_logged() {
    for (log, allowed, denied) in
        [("All", true, true), ("Denied", false, true), ("None", false, false)]
    {
        let logged = |expression: &str| {
            decide_with(
                json!({"policies": [rule("p", "Deny", expression)], "audit": {"log": log}}),
                &ZEN,
            )
            .audit
            .is_some()
        };
        assert_eq!((logged("false"), logged("true")), (allowed, denied), "{log}");
    }
}

/// Notes what it is asked for.
#[derive(Debug, Default)]
struct Noting<'a> {
    given: Given<'a>,
    failing: Option<Property>,
    asked: Mutex<Vec<Property>>,
}

impl Source for Noting<'_> {
    fn property(&self, property: Property) -> &[u8] {
        let mut asked = self.asked.lock().unwrap();
        if !asked.contains(&property) {
            asked.push(property);
        }
        self.given.property(property)
    }

    fn failed(&self) -> bool {
        self.failing.is_some_and(|failing| self.asked.lock().unwrap().contains(&failing))
    }
}

#[test]
fn only_what_something_reads_is_asked_for() {
    let unbound = |policies: Value, log: &str| {
        let audit = json!({"log": log});
        json!({"policies": policies, "hostBinding": "Off", "audit": audit})
    };
    let mut scoped = rule("p", "Deny", "source.port == 1");
    scoped["hosts"] = json!(["api.github.com"]);
    let namespace = rule("p", "Deny", "source.identity.namespace == 'x'");
    let set = json!([{"name": "x", "value": "request.version"}]);
    let version = json!({"name": "p", "traffic": {"transformation": {"response": {"set": set}}}});
    let service = [Property::FilterChainName, Property::ClusterName];
    let caller = [Property::PeerPrincipal, Property::PeerCertificate];
    for (config, host, asked) in [
        (unbound(json!([]), "None"), "api.github.com", &[][..]),
        (unbound(json!([scoped]), "None"), "api.github.com", &[Property::SourcePort]),
        (unbound(json!([scoped]), "None"), "other.example", &[]),
        (unbound(json!([namespace]), "None"), "api.github.com", &caller),
        (
            unbound(
                json!([rule(
                    "p",
                    "Deny",
                    "request.method == 'GET' || source.identity.namespace == 'x'"
                )]),
                "Denied",
            ),
            "a",
            &[caller, service].concat(),
        ),
        (
            unbound(
                json!([rule(
                    "p",
                    "Deny",
                    "request.method == 'PUT' && source.identity.namespace == 'x'"
                )]),
                "Denied",
            ),
            "a",
            &[],
        ),
        (unbound(json!([version]), "None"), "a", &[Property::Protocol]),
        (json!({"policies": [], "audit": {"log": "None"}}), "a", &service),
    ] {
        let engine = load(&config);
        let headers =
            [(&b":authority"[..], host.as_bytes()), (b":path", b"/"), (b":method", b"GET")];
        let source = Noting::default();
        let driven = Driven::decide(&engine, &headers.into_iter().collect(), &source);
        assert_ne!(driven.decision.reason, Reason::InternalError);
        assert_eq!(*source.asked.lock().unwrap(), asked, "{config} {host}");
    }
}

#[test]
fn a_fact_that_cannot_be_read_refuses_the_request() {
    let rule = rule("p", "Allow", "source.identity.namespace == 'team-a'");
    let engine = load(&json!({"policies": [rule], "audit": {"log": "All"}}));
    for failing in [Property::PeerPrincipal, Property::FilterChainName] {
        let given = Given {
            peer_principal: TEAM_A,
            filter_chain_name: b"inbound-vip|80|http|api.github.com",
            ..Given::default()
        };
        let source = Noting { given, failing: Some(failing), ..Noting::default() };
        let headers =
            [(&b":authority"[..], &b"api.github.com"[..]), (b":path", b"/"), (b":method", b"GET")];
        let outcome = Driven::decide(&engine, &headers.into_iter().collect(), &source);
        assert_eq!(
            (outcome.decision.reason, outcome.reply.map(|reply| reply.status)),
            (Reason::InternalError, Some(403)),
            "{failing:?}"
        );
        assert!(outcome.audit.is_some(), "{failing:?}");
    }
}
