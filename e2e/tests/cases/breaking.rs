//! Each expectation of a case is checked in each layer: made wrong, it is reported.

use std::collections::{BTreeMap, BTreeSet};

use e2e::cases::{EngineRunner, EnvoyRunner, Runner, WasmRunner, run};
use e2e::envoy::filter_wasm;
use egress_filter::decision::Reason;
use egressctl::cases::{AuditExpectation, Case, Step, Suite, Values, Verdict};
use serde_json::json;

use crate::{module, module_for_tests, suites, waiting_suites};

/// What a case can expect that every layer observes.
const KINDS: [&str; 11] = [
    "audit",
    "body",
    "counters",
    "headers",
    "policy",
    "reason",
    "responseHeaders",
    "shadow",
    "status",
    "update",
    "verdict",
];

/// A case with one expectation made wrong, and the field that must be reported then.
struct Broken {
    field: String,
    case: Case,
}

/// Notes cases that differ from one in a single expectation.
struct Breaking<'c> {
    case: &'c Case,
    broken: Vec<Broken>,
}

impl Breaking<'_> {
    fn case(&mut self, field: &str, change: impl FnOnce(&mut Case)) {
        let mut case = self.case.clone();
        change(&mut case);
        case.name = format!("{} ({} {field})", case.name, self.broken.len());
        self.broken.push(Broken { field: field.to_owned(), case });
    }

    fn step(&mut self, index: usize, field: &str, change: impl FnOnce(&mut Step)) {
        self.case(field, |case| change(&mut case.steps[index]));
    }

    fn counters(&mut self, names: Vec<String>, of: fn(&mut Case) -> &mut BTreeMap<String, u64>) {
        for name in names {
            self.case(&format!("counters.{name}"), |case| {
                of(case).entry(name.clone()).and_modify(|count| *count += 1);
            });
        }
    }

    fn headers(
        &mut self,
        (index, field): (usize, &str),
        headers: &[(String, Values)],
        of: fn(&mut Step) -> &mut Vec<(String, Values)>,
    ) {
        for (at, (name, values)) in headers.iter().enumerate() {
            let wrong = match values.is_empty() {
                true => vec!["wrong".to_owned()],
                false => Vec::new(),
            };
            let field = format!("{field}.{name}");
            self.step(index, &field, |step| of(step)[at].1 = wrong.clone());
            self.step(index, &field, |step| of(step)[at].1.push("wrong".to_owned()));
        }
    }
}

/// Every way to break one expectation of a case.
fn broken(case: &Case) -> Vec<Broken> {
    let mut breaking = Breaking { case, broken: Vec::new() };
    for (index, step) in case.steps.iter().enumerate() {
        let expect = &step.expect;
        if let Some(verdict) = expect.verdict {
            let other = if verdict == Verdict::Allow { Verdict::Deny } else { Verdict::Allow };
            breaking.step(index, "verdict", |step| step.expect.verdict = Some(other));
        }
        if let Some(policy) = &expect.policy {
            let other = policy.as_ref().map_or_else(|| Some("wrong".to_owned()), |_| None);
            breaking.step(index, "policy", |step| step.expect.policy = Some(other));
        }
        if let Some(reason) = expect.reason {
            let other = Reason::ALL.into_iter().find(|other| *other != reason);
            breaking.step(index, "reason", |step| step.expect.reason = other);
        }
        if expect.status.is_some() {
            breaking.step(index, "status", |step| step.expect.status = Some(vec![599]));
        }
        if let Some(body) = &expect.body {
            breaking.step(index, "body", |step| step.expect.body = Some(format!("{body}.")));
        }
        breaking.headers((index, "headers"), &expect.headers, |step| &mut step.expect.headers);
        breaking.headers((index, "responseHeaders"), &expect.response_headers, |step| {
            &mut step.expect.response_headers
        });
        if let Some(shadow) = &expect.shadow {
            let more = [&shadow[..], &["wrong".to_owned()]].concat();
            breaking.step(index, "shadow", |step| step.expect.shadow = Some(more));
        }
        if let Some(AuditExpectation::Record(fields)) = &expect.audit {
            for name in fields.keys() {
                let mut wrong = fields.clone();
                wrong.insert(name.clone(), json!("wrong"));
                breaking.step(index, &format!("audit.{name}"), |step| {
                    step.expect.audit = Some(AuditExpectation::Record(wrong));
                });
            }
            breaking.step(index, "audit", |step| {
                step.expect.audit = Some(AuditExpectation::Absent);
            });
        }
        if let Some(update) = &step.update {
            let other = !update.accepted;
            breaking.step(index, "update", |step| {
                step.update.iter_mut().for_each(|update| update.accepted = other);
            });
        }
    }
    if let [step] = case.steps.as_slice() {
        let names = step.expect.counters.keys().cloned().collect();
        breaking.counters(names, |case| &mut case.steps[0].expect.counters);
    }
    let names = case.counters.keys().cloned().collect();
    breaking.counters(names, |case| &mut case.counters);
    breaking.broken
}

/// Breaks the expectations of the suites' cases, or of each suite only the first of each field, and
/// checks that each is reported. Returns what was expected.
fn each_is_reported(suites: Vec<Suite>, runner: &mut dyn Runner, all: bool) -> BTreeSet<String> {
    let layer = runner.layer();
    let mut kinds = BTreeSet::new();
    let mut count = 0;
    for mut suite in suites {
        let here = suite.cases.iter().filter(|case| case.layers.contains(&layer));
        let mut broken: Vec<Broken> = here.flat_map(broken).collect();
        if !all {
            let mut seen = BTreeSet::new();
            broken.retain(|broken| seen.insert(broken.field.clone()));
        }
        suite.cases = broken.iter().map(|broken| broken.case.clone()).collect();
        let report = run(std::slice::from_ref(&suite), runner);
        for Broken { field, case } in &broken {
            let is_reported = report
                .mismatches
                .iter()
                .any(|told| told.case.starts_with(&case.name) && told.field == *field);
            assert!(is_reported, "{}, {layer:?}: `{}` passes", suite.file, case.name);
            kinds.insert(field.split('.').next().unwrap_or_default().to_owned());
            count += 1;
        }
    }
    println!("{count} broken expectations were reported in the layer {layer:?}");
    kinds
}

/// Every kind of expectation that there is.
fn kinds() -> BTreeSet<String> {
    KINDS.map(str::to_owned).into()
}

#[test]
fn a_broken_expectation_is_reported_by_the_engine() {
    assert_eq!(each_is_reported(suites(), &mut EngineRunner::default(), true), kinds());
}

#[test]
fn a_broken_expectation_is_reported_by_the_compiled_wasm() {
    assert_eq!(each_is_reported(suites(), &mut WasmRunner::new(module()), true), kinds());
}

#[test]
fn a_broken_expectation_of_a_request_that_waits_is_reported() {
    let mut runner = WasmRunner::new(module_for_tests());
    let kinds = each_is_reported(waiting_suites(), &mut runner, true);
    for kind in ["audit", "body", "counters", "headers", "reason", "status", "verdict"] {
        assert!(kinds.contains(kind), "{kind}");
    }
}

/// In a few suites that have all kinds of expectations, for each starts an Envoy.
#[test]
fn a_broken_expectation_is_reported_in_a_real_envoy() {
    let of = ["denials.yaml", "responses.yaml", "shadow.yaml", "updates.yaml", "workshop.yaml"];
    let mut few = suites();
    few.retain(|suite| of.iter().any(|name| suite.file.ends_with(name)));
    assert_eq!(few.len(), of.len());
    let mut runner = EnvoyRunner::new(filter_wasm()).expect("an origin on a free port");
    assert_eq!(each_is_reported(few, &mut runner, false), kinds());
}
