//! Local rate limits: what a request takes tokens of, and what a caller can send as a key.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::load;
use crate::decision::Reason;
use crate::request::SharedData;
use crate::trial::{Trial, Tried};

const HOST: &str = "a.example";

fn limits(host: &str, local: Value) -> Value {
    let name = host.trim_start_matches("*.");
    json!({"name": name, "hosts": [host], "traffic": {"rateLimit": {"local": local}}})
}

fn hour(requests: u32, key: &str) -> Value {
    json!({"requests": requests, "unit": "Hours", "key": key})
}

fn ask(policies: &[Value], shared: &SharedData, headers: &[(&str, &str)]) -> Tried {
    let engine = load(&json!({"policies": policies, "hostBinding": "Off"}));
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let trial = Trial {
        principal: "spiffe://cluster.local/ns/team-a/sa/team-a".to_owned(),
        authority: HOST.to_owned(),
        headers: headers.collect(),
        ..Trial::default()
    };
    trial.run_with(&engine, shared)
}

#[test]
fn all_limits_in_scope_must_admit_and_those_of_other_hosts_do_not_count() {
    let shared = SharedData::default();
    let policies = [
        limits("b.example", json!([hour(1, "'x'")])),
        limits(HOST, json!([hour(9, "'x'"), hour(2, "'y'")])),
        limits("*.example", json!([hour(3, "'x'")])),
    ];
    let reasons: Vec<_> = (0..4)
        .map(|_| {
            let tried = ask(&policies, &shared, &[]);
            (tried.reason, tried.policy)
        })
        .collect();
    let refused = (Reason::RateLimited, Some(HOST.to_owned()));
    assert_eq!(reasons[2..], [refused.clone(), refused]);
    assert!(reasons[..2].iter().all(|(reason, _)| reason.allows()), "{reasons:?}");
}

#[test]
fn values_of_a_key_are_told_apart_by_type_and_content() {
    let values =
        [r#""1""#, r#"b"1""#, "1", "true", "false", r#""""#, r#""true""#, r#""0""#, "0", "-1"];
    // One limit, so that only the values differ.
    let entries = values.iter().enumerate().map(|(at, value)| format!("\"{at}\": {value}"));
    let entries: Vec<String> = entries.collect();
    let key = format!("{{{}}}[request.headers[\"x-k\"]]", entries.join(", "));
    let policies = [limits(HOST, json!([hour(1, &key)]))];
    let shared = SharedData::default();
    for round in 0..2 {
        for (at, value) in values.iter().enumerate() {
            let tried = ask(&policies, &shared, &[("x-k", &at.to_string())]);
            assert_eq!(tried.denial.is_none(), round == 0, "{value}: {tried:?}");
        }
    }
}

#[test]
fn a_key_that_fails_or_takes_too_many_steps_admits_nobody() {
    let long = "a".repeat(200_000);
    for (key, headers, expected) in [
        (r#"request.headers["x-k"]"#, vec![], Reason::CalloutError),
        (r#"int(request.headers["x-k"])"#, vec![("x-k", "one")], Reason::CalloutError),
        (r#"[1][int(request.headers["x-k"])]"#, vec![("x-k", "7")], Reason::CalloutError),
        (
            r#"request.headers["x-k"].split("a").map(x, x.split("").size() + 1).size()"#,
            vec![("x-k", long.as_str())],
            Reason::CalloutError,
        ),
    ] {
        let shared = SharedData::default();
        let tried = ask(&[limits(HOST, json!([hour(9, key)]))], &shared, &headers);
        assert_eq!(tried.reason, expected, "{key}");
        let reply = tried.denial.expect(key);
        assert_eq!((reply.status, &*reply.body), (500, &b"rate limit failed"[..]), "{key}");
        assert_eq!(shared.count(), 0, "{key}: nothing was counted");
    }
}

#[test]
fn a_long_key_takes_no_more_memory_than_a_short_one() {
    let shared = SharedData::default();
    let policies = [limits(HOST, json!([hour(1, r#"request.headers["x-k"]"#)]))];
    let (long, other) = ("a".repeat(50_000), "a".repeat(50_001));
    assert!(ask(&policies, &shared, &[("x-k", &long)]).denial.is_none());
    assert!(ask(&policies, &shared, &[("x-k", &other)]).denial.is_none());
    assert_eq!(ask(&policies, &shared, &[("x-k", &long)]).reason, Reason::RateLimited);
}

#[test]
fn nobody_is_admitted_where_nothing_can_be_shared() {
    let policies = [limits(HOST, json!([{"requests": 9, "unit": "Hours"}]))];
    let engine = load(&json!({"policies": policies}));
    let request = Trial { authority: HOST.to_owned(), ..Trial::default() };
    let source = crate::request::Given::default();
    let allows = crate::trial::allows(&engine, &request.request_headers(), &source);
    assert!(!allows);
}

#[test]
fn a_limit_counts_nothing_of_a_shadow_policy() {
    let shared = SharedData::default();
    let mut policy = limits(HOST, json!([hour(1, "'x'")]));
    policy["mode"] = json!("Shadow");
    assert!((0..3).all(|_| ask(&[policy.clone()], &shared, &[]).denial.is_none()));
    assert_eq!(shared.count(), 0);
}
