#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod changes;
mod dodges;

use super::*;
use crate::counters::{Count, Counter};
use crate::decision::{Change, Reason, Reply};
use crate::exchange::tests::driven::Driven;
use crate::request::headers::Headers;
use crate::request::{Given, Property, Source};
use serde_json::{Value, json};

const TEAM_A: &[u8] = b"spiffe://cluster.local/ns/team-a/sa/team-a";

/// A request: method GET unless there is another in `headers`.
struct Request<'a> {
    caller: &'a [u8],
    host: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a [u8])],
}

const ZEN: Request<'static> =
    Request { caller: TEAM_A, host: "api.github.com", path: "/zen", headers: &[] };

fn rule(name: &str, action: &str, expression: &str) -> Value {
    json!({"name": name, "traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": [expression]}}}})
}

/// What was decided, with names in place of numbers.
#[derive(Debug)]
struct Decided {
    denial: Option<Reply>,
    detail: Option<&'static str>,
    policy_name: Option<String>,
    reason: Reason,
    shadow: Vec<usize>,
    errors: Vec<(usize, String)>,
    changes: Vec<Change<'static>>,
    counts: Vec<Count>,
    audit: Option<String>,
}

fn decide(policies: &[Value], request: &Request<'_>) -> Decided {
    decide_with(json!({"policies": policies, "audit": {"log": "All"}}), request)
}

fn load(config: &Value) -> Engine {
    Engine::load(config.to_string().as_bytes())
        .unwrap_or_else(|errors| panic!("{config}: {errors:?}"))
}

fn decide_with(config: Value, request: &Request<'_>) -> Decided {
    let engine = load(&config);
    let mut headers: Headers<'_> = [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", request.host.as_bytes()),
        (b":path", request.path.as_bytes()),
    ]
    .into_iter()
    .collect();
    for (name, value) in request.headers {
        headers.add(name.as_bytes(), value);
    }
    let source = Given {
        peer_principal: request.caller,
        filter_chain_name: b"inbound-vip|80|http|api.github.com",
        ..Given::default()
    };
    let Driven { decision, reply, changes, audit, counts, .. } =
        Driven::decide(&engine, &headers, &source);
    Decided {
        policy_name: decision.policy.and_then(|index| engine.policy_name(index)).map(str::to_owned),
        changes,
        counts,
        denial: reply,
        detail: decision.detail,
        reason: decision.reason,
        shadow: decision.shadow,
        errors: decision.errors,
        audit,
    }
}

#[track_caller]
fn assert_decided(policies: &[Value], reason: &str, policy: Option<&str>) {
    let outcome = decide(policies, &ZEN);
    assert_eq!(
        (outcome.reason.as_str(), outcome.policy_name.as_deref()),
        (reason, policy),
        "{policies:?}"
    );
}

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

#[test]
fn all_errors_of_a_configuration_are_told_with_their_places() {
    let mut misspelt = rule("b", "Allow", "source.identty.namespace == 'a'");
    misspelt["mod"] = json!("Shadow");
    let config = json!({"policies": [rule("a", "Allow", "1 +"), misspelt]});
    let errors: Vec<String> = Engine::load(config.to_string().as_bytes())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        errors.iter().any(|error| error.starts_with(
            "policy `a`: \
             policies[0].traffic.authorization.policy.matchExpressions[0]: line 1, column"
        )),
        "{errors:#?}"
    );
    assert!(
        errors.iter().any(|error| error
            .starts_with("policy `b`: policies[1]: unknown field `mod` (did you mean `mode`?)")),
        "{errors:#?}"
    );
    let expected = "policy `b`: policies[1].traffic.authorization.policy.matchExpressions[0]: \
        line 1, column 1: unknown attribute `source.identty` (did you mean `source.identity`?)";
    assert!(errors.iter().any(|error| error == expected), "{errors:#?}");
}

#[test]
fn patterns_of_all_policies_together_are_bounded() {
    let pattern = r#"request.path.matches("[a-c]{1000}[d-f]{1000}[g-i]{1000}")"#;
    let policies: Vec<Value> =
        (0..500).map(|number| rule(&format!("p{number}"), "Deny", pattern)).collect();
    let load = |count: usize| {
        Engine::load(json!({"policies": policies.get(..count)}).to_string().as_bytes())
    };
    assert!(load(400).is_ok());
    let errors = load(500).unwrap_err();
    assert_eq!(errors.len(), 1);
    let expected = "policy `p464`: policies[464]: the patterns of the policies up to this one \
        take 16801380 bytes once compiled, the limit is 16777216";
    assert!(errors[0].to_string().starts_with(expected), "{}", errors[0]);
}
