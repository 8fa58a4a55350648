//! The runner reports all that differs, and starts and updates filters as the cases say.

use std::collections::BTreeMap;

use egressctl::cases::{Reached, parse};

use super::*;

const FILE: &str = "
config: {policies: []}
workers: 2
cases:
- name: all of it
  caller: team-a/team-a
  request: {host: api.github.com, path: /zen}
  expect: {status: 200, body: hello}
- name: refused
  caller: none
  request: {host: api.github.com, path: /zen}
  expect: {status: 403}
- name: somewhere else
  caller: none
  request: {host: api.github.com, path: /zen}
  layers: [engine]
  expect: deny
- name: one after another
  caller: none
  request: {host: api.github.com, path: /a}
  steps:
  - expect: {counters: {egress_allowed: 1}}
  - after: 5s
    worker: 2
    update: {config: {policies: []}}
    request: {path: /b}
    expect: {status: 200}
  - {update: {config: 5, accepted: false}, expect: {status: 200}}
  expect: {counters: {egress_allowed: 3}}
";

/// A layer that answers every request alike, and notes what it is told to do.
#[derive(Default)]
struct Alike {
    seen: Observed,
    accepts: bool,
    events: Vec<String>,
}

impl Runner for Alike {
    fn layer(&self) -> Layer {
        Layer::Wasm
    }

    fn start(&mut self, _suite: &Suite, cases: &[&Case]) -> Result<(), String> {
        let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        self.events.push(format!("start {}", names.join(", ")));
        Ok(())
    }

    fn update(&mut self, update: &Update) -> Result<bool, String> {
        self.events.push(format!("update {}", update.config));
        Ok(self.accepts)
    }

    fn advance(&mut self, time: Duration) -> Result<(), String> {
        self.events.push(format!("advance {time:?}"));
        Ok(())
    }

    fn run(&mut self, _suite: &Suite, _case: &Case, step: &Step) -> Result<Observed, String> {
        self.events.push(format!("{} in {}", step.request.path, step.worker));
        Ok(self.seen.clone())
    }
}

fn suites() -> Vec<Suite> {
    parse("folder/file.yaml", FILE).unwrap_or_else(|error| panic!("{error}"))
}

fn report(runner: &mut Alike) -> Vec<String> {
    let report = run(&suites(), runner);
    assert_eq!(report.cases, 3);
    report.mismatches.iter().map(ToString::to_string).collect()
}

fn good() -> Observed {
    Observed {
        status: Some(200),
        body: b"hello".to_vec(),
        counters: Some(BTreeMap::from([("egress_allowed".to_owned(), 1)])),
        ..Observed::default()
    }
}

#[test]
fn cases_run_where_they_say_and_those_with_steps_by_themselves() {
    let mut runner = Alike { seen: good(), ..Alike::default() };
    report(&mut runner);
    assert_eq!(
        runner.events,
        [
            "start all of it, refused",
            "/zen in 0",
            "/zen in 0",
            "start one after another",
            "/a in 0",
            r#"update {"policies":[]}"#,
            "advance 5s",
            "/b in 1",
            "update 5",
            "/a in 0",
        ]
    );
}

#[test]
fn a_mismatch_names_file_case_layer_field_and_both_values() {
    let seen = Observed { body: b"bye".to_vec(), ..good() };
    let mut runner = Alike { seen, ..Alike::default() };
    assert_eq!(
        report(&mut runner),
        [
            r#"file.yaml: `all of it` (Wasm): body: expected "hello", got "bye""#,
            "file.yaml: `refused` (Wasm): status: expected 403, got 200",
            "file.yaml: `one after another, step 2` (Wasm): update: expected true, got false",
        ]
    );
}

#[test]
fn what_the_steps_count_is_summed() {
    let counters = Some(BTreeMap::from([("egress_allowed".to_owned(), 2)]));
    let mut runner =
        Alike { seen: Observed { counters, ..good() }, accepts: true, ..Alike::default() };
    let found = report(&mut runner);
    let expected = [
        "`one after another, step 1` (Wasm): counters.egress_allowed: expected 1, got 2",
        "`one after another, step 3` (Wasm): update: expected false, got true",
        "`one after another` (Wasm): counters.egress_allowed: expected 3, got 6",
    ];
    for expected in expected {
        assert!(found.contains(&format!("file.yaml: {expected}")), "{expected}: {found:#?}");
    }
}

#[test]
fn a_refused_request_must_not_reach_the_origin() {
    let reached =
        Reached { method: "GET".to_owned(), path: "/zen".to_owned(), ..Reached::default() };
    let seen = Observed { status: Some(403), upstream: Some(reached), ..good() };
    let found = report(&mut Alike { seen, ..Alike::default() });
    let expected = r#"file.yaml: `refused` (Wasm): origin: expected "no request", got "GET /zen""#;
    assert!(found.iter().any(|found| found == expected), "{found:#?}");
}
