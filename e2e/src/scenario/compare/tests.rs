//! Each thing that a case may expect is noticed when it is missing.

use std::collections::BTreeMap;

use super::*;

const FILE: &str = r#"
description: All that can be expected.
config: {policies: []}
cases:
- name: all of it
  caller: team-a
  request: {host: api.github.com, path: /zen}
  expect:
    status: [200, 201]
    body: hello
    headers: {x-a: "1, 2"}
    absentHeaders: [x-gone]
    upstream:
      method: GET
      host: api.github.com
      path: /zen
      headers: {x-tag: [a, b]}
      absent: [x-debug]
    audit: {verdict: allow, policy: null}
    counters: {egress_allowed: 1, egress_denied: 0}
- name: refused
  caller: none
  request: {host: api.github.com, path: /zen}
  expect: {status: 403, audit: none}
"#;

fn lines(lines: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn good() -> Observed {
    Observed {
        status: 201,
        body: b"hello".to_vec(),
        headers: lines(&[("x-a", "1"), ("x-a", "2")]),
        upstream: Some(Reached {
            method: "GET".to_owned(),
            host: "api.github.com".to_owned(),
            path: "/zen".to_owned(),
            headers: lines(&[("x-tag", "a"), ("x-tag", "b")]),
        }),
        audit: Some(vec![serde_json::json!({"verdict": "allow", "policy": null, "more": 1})]),
        counters: Some(BTreeMap::from([("egress_allowed".to_owned(), 1)])),
    }
}

fn fields(case: usize, seen: &Observed) -> Vec<String> {
    let scenario = Scenario::parse("file.yaml", FILE).expect("it can be used");
    let found = compare(&scenario, &scenario.cases[case], Layer::Wasm, seen);
    found.into_iter().map(|mismatch| mismatch.field).collect()
}

#[test]
fn what_is_as_expected_differs_in_nothing() {
    assert_eq!(fields(0, &good()), Vec::<String>::new());
    let blind = Observed { audit: None, counters: None, ..good() };
    assert_eq!(fields(0, &blind), Vec::<String>::new(), "what a layer cannot see is passed over");
}

#[test]
fn each_difference_is_told() {
    type Spoil = fn(&mut Observed);
    let upstream: fn(&mut Observed) -> &mut Reached =
        |seen| seen.upstream.as_mut().expect("it is there");
    let table: &[(&str, Spoil)] = &[
        ("status", |seen| seen.status = 403),
        ("body", |seen| seen.body.push(b'\n')),
        ("headers.x-a", |seen| drop(seen.headers.pop())),
        ("headers.x-gone", |seen| seen.headers.push(("X-Gone".to_owned(), Vec::new()))),
        ("upstream", |seen| seen.upstream = None),
        ("audit", |seen| seen.audit = Some(Vec::new())),
        ("audit.verdict", |seen| seen.audit = Some(vec![serde_json::json!({"policy": null})])),
        ("audit.policy", |seen| seen.audit = Some(vec![serde_json::json!({"verdict": "allow"})])),
        ("counters.egress_allowed", |seen| seen.counters = Some(BTreeMap::new())),
        ("counters.egress_denied", |seen| {
            let counters = seen.counters.as_mut().expect("it is there");
            counters.insert("egress_denied".to_owned(), 1);
        }),
    ];
    for (field, spoil) in table {
        let mut seen = good();
        spoil(&mut seen);
        assert_eq!(fields(0, &seen), [*field]);
    }
    let mut seen = good();
    let reached = upstream(&mut seen);
    reached.method = "POST".to_owned();
    reached.host.push('.');
    reached.path.push('?');
    reached.headers = lines(&[("x-tag", "a"), ("x-debug", "")]);
    let all = [
        "upstream.method",
        "upstream.host",
        "upstream.path",
        "upstream.headers.x-tag",
        "upstream.headers.x-debug",
    ];
    assert_eq!(fields(0, &seen), all, "all of them, not just the first");
}

#[test]
fn a_refused_request_must_not_reach_the_origin() {
    let refused = Observed { status: 403, audit: Some(Vec::new()), ..Observed::default() };
    assert_eq!(fields(1, &refused), Vec::<String>::new());
    assert_eq!(fields(1, &Observed { upstream: good().upstream, ..refused.clone() }), ["upstream"]);
    assert_eq!(fields(1, &Observed { audit: good().audit, ..refused }), ["audit"]);
}

#[test]
fn a_mismatch_names_file_case_layer_field_and_both_values() {
    let scenario = Scenario::parse("file.yaml", FILE).expect("it can be used");
    let seen = Observed { body: b"bye".to_vec(), ..good() };
    let found = compare(&scenario, &scenario.cases[0], Layer::Envoy, &seen);
    assert_eq!(
        found[0].to_string(),
        r#"file.yaml: `all of it` (Envoy): body: expected "hello", got "bye""#
    );
}

#[test]
fn a_file_that_shows_nothing_or_is_misspelt_is_refused() {
    let refused =
        |text: &str| Scenario::parse("file.yaml", text).expect_err("it is refused").to_string();
    let twice = FILE.replace("name: refused", "name: all of it");
    assert_eq!(refused(&twice), "`file.yaml`: two cases are named `all of it`");
    assert_eq!(refused("{description: x, config: {}, cases: []}"), "`file.yaml`: it has no cases");
    for (good, misspelt) in [
        ("absentHeaders", "absentheaders"),
        ("counters:", "counter:"),
        ("caller: none", "caller: team-c"),
        ("audit: none", "audit: nothing"),
        ("path: /zen}", "path: /zen, pth: x}"),
    ] {
        let text = FILE.replacen(good, misspelt, 1);
        assert_ne!(text, FILE);
        assert!(refused(&text).starts_with("`file.yaml`: "), "{misspelt}");
    }
}
