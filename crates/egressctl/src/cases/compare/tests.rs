//! Each thing that a case may expect is noticed when it is not so.

use std::collections::BTreeMap;

use egress_filter::decision::Reason;
use serde_json::json;

use super::*;
use crate::cases::read;
use crate::cases::{Decision, File, Reached};
use crate::manifest::Manifest;
use crate::source::Source;
use crate::yaml;

const FILE: &str = r#"
description: All that can be expected.
config: {policies: []}
cases:
- name: all of it
  caller: team-a/team-a
  request: {host: api.github.com, path: /zen}
  expect:
    verdict: allow
    policy: null
    reason: no-allow-rule
    status: [200, 201]
    body: hello
    headers:
      :method: GET
      :authority: api.github.com
      :path: /zen
      x-tag: [a, b]
      x-debug: null
    responseHeaders: {x-a: ['1', '2'], x-gone: null}
    shadow: [s, r]
    errors: [e]
    audit: {verdict: allow, policy: null}
    counters: {egress_allowed: 1, egress_denied: 0}
- name: refused
  caller: none
  request: {host: api.github.com, path: /zen}
  expect: {verdict: deny, status: 403, responseHeaders: {x-a: null}, audit: none}
"#;

fn steps() -> [Step; 2] {
    let documents = yaml::parse(FILE).unwrap();
    let source = Source::new("file.yaml".to_owned(), FILE);
    let File { mut suites, .. } = read::of(Manifest { source, documents }).unwrap();
    let cases = suites.remove(0).cases;
    let steps: Vec<Step> = cases.into_iter().flat_map(|case| case.steps).collect();
    steps.try_into().unwrap()
}

fn lines(lines: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// As a layer sees it that cannot ask the engine.
fn good() -> Observed {
    Observed {
        status: Some(201),
        body: b"hello".to_vec(),
        headers: lines(&[("x-a", "1"), ("x-a", "2")]),
        upstream: Some(Reached {
            method: "GET".to_owned(),
            host: "api.github.com".to_owned(),
            path: "/zen".to_owned(),
            headers: lines(&[("x-tag", "a"), ("x-tag", "b")]),
        }),
        decision: None,
        errors: Some(vec!["e".to_owned()]),
        audit: Some(vec![record()]),
        counters: Some(BTreeMap::from([("egress_allowed".to_owned(), 1)])),
    }
}

fn record() -> Value {
    json!({
        "verdict": "allow", "policy": null, "reason": "no-allow-rule", "shadow": ["r", "s"],
        "more": 1,
    })
}

/// As the engine tells it, without a record.
fn decided() -> Observed {
    let decision = Decision {
        verdict: Verdict::Allow,
        policy: None,
        reason: Reason::NoAllowRule,
        shadow: vec!["r".to_owned(), "s".to_owned()],
    };
    Observed { decision: Some(decision), ..good() }
}

/// The paths of what differs.
fn differing(step: &Step, seen: &Observed) -> Vec<String> {
    let facts = compare(step, seen);
    facts.iter().filter(|fact| !fact.holds).map(Fact::path).collect()
}

fn without(record: &Value, name: &str) -> Option<Vec<Value>> {
    let mut record = record.clone();
    record.as_object_mut().unwrap().remove(name).unwrap();
    Some(vec![record])
}

#[test]
fn what_is_as_expected_differs_in_nothing() {
    let [all, _] = steps();
    assert_eq!(differing(&all, &good()), <[String; 0]>::default());
    assert_eq!(differing(&all, &decided()), <[String; 0]>::default());
    let blind = Observed { audit: None, counters: None, errors: None, ..good() };
    assert_eq!(
        differing(&all, &blind),
        <[String; 0]>::default(),
        "what a layer cannot see is left out"
    );
    let unlogged = Observed { audit: Some(Vec::new()), ..decided() };
    assert_eq!(differing(&all, &unlogged), ["audit"], "the engine says what it decided");
}

#[test]
fn each_difference_is_reported() {
    type Spoil = fn(&mut Observed);
    let [all, _] = steps();
    let changed = |name: &str, value: Value| {
        let mut record = record();
        record[name] = value;
        Some(vec![record])
    };
    let table: &[(&str, Spoil)] = &[
        ("status", |seen| seen.status = Some(403)),
        ("status", |seen| seen.status = None),
        ("body", |seen| seen.body.push(b'\n')),
        ("responseHeaders.x-a", |seen| drop(seen.headers.pop())),
        ("responseHeaders.x-gone", |seen| seen.headers.push(("X-Gone".to_owned(), Vec::new()))),
        ("errors", |seen| seen.errors = Some(Vec::new())),
        ("counters.egress_allowed", |seen| seen.counters = Some(BTreeMap::new())),
        ("counters.egress_denied", |seen| {
            let counters = seen.counters.as_mut().unwrap();
            counters.insert("egress_denied".to_owned(), 1);
        }),
    ];
    for (field, spoil) in table {
        for mut seen in [good(), decided()] {
            spoil(&mut seen);
            assert_eq!(differing(&all, &seen), [*field]);
        }
    }
    for (audit, expected) in [
        (changed("verdict", json!("deny")), &["verdict", "audit.verdict"][..]),
        (changed("policy", json!("p")), &["policy", "audit.policy"]),
        (changed("reason", json!("allow-matched")), &["reason"]),
        (changed("shadow", json!(["r"])), &["shadow"]),
        (without(&record(), "shadow"), &["shadow"]),
        (without(&record(), "reason"), &["reason"]),
        (without(&record(), "verdict"), &["verdict", "audit.verdict"]),
        (without(&record(), "policy"), &["audit.policy"]),
        (Some(Vec::new()), &["policy", "reason", "shadow", "audit"]),
        (Some(vec![record(), record()]), &["policy", "reason", "shadow", "audit"]),
    ] {
        let seen = Observed { audit: audit.clone(), ..good() };
        assert_eq!(differing(&all, &seen), expected, "{audit:?}");
    }
}

#[test]
fn each_difference_of_a_decision_is_reported() {
    type Spoil = fn(&mut Decision);
    let [all, _] = steps();
    let table: &[(&str, Spoil)] = &[
        ("verdict", |decision| decision.verdict = Verdict::Deny),
        ("policy", |decision| decision.policy = Some("p".to_owned())),
        ("reason", |decision| decision.reason = Reason::AllowMatched),
        ("shadow", |decision| drop(decision.shadow.pop())),
    ];
    for (field, spoil) in table {
        let mut seen = decided();
        spoil(seen.decision.as_mut().unwrap());
        assert_eq!(differing(&all, &seen), [*field]);
    }
}

#[test]
fn each_difference_at_the_origin_is_reported() {
    let [all, _] = steps();
    let mut seen = good();
    let reached = seen.upstream.as_mut().unwrap();
    reached.method = "POST".to_owned();
    reached.host.push('.');
    reached.path.push('?');
    reached.headers = lines(&[("x-tag", "a"), ("x-debug", "")]);
    let headers = [
        "headers.:method",
        "headers.:authority",
        "headers.:path",
        "headers.x-tag",
        "headers.x-debug",
    ];
    assert_eq!(differing(&all, &seen), headers, "all of them, not just the first");
    let unreached = Observed { upstream: None, ..good() };
    let answers = ["responseHeaders.x-a", "responseHeaders.x-gone"];
    assert_eq!(differing(&all, &unreached), [&headers[..], &answers[..]].concat());
}

#[test]
fn a_refused_request_reaches_no_origin_and_leaves_no_record_where_none_is_expected() {
    let [_, refused] = steps();
    let seen = Observed { status: Some(403), audit: Some(Vec::new()), ..Observed::default() };
    assert_eq!(differing(&refused, &seen), <[String; 0]>::default());
    let reached = Observed { upstream: good().upstream, ..seen.clone() };
    assert_eq!(differing(&refused, &reached), ["verdict"]);
    let told = Observed { audit: good().audit, ..seen.clone() };
    assert_eq!(differing(&refused, &told), ["verdict", "audit"]);
    let answered = Observed { headers: lines(&[("x-a", "1")]), ..seen };
    assert_eq!(differing(&refused, &answered), ["responseHeaders.x-a"]);
}
