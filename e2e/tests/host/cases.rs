//! The cases and their runner.

use e2e::cases::{WasmRunner, run};
use e2e::host::Module;
use egressctl::cases::{Layer, Suite, Verdict, load_dir, parse};

use crate::probe::{Probe, module};

fn suites() -> Vec<Suite> {
    load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_file_of_cases_can_be_used_and_describes_itself() {
    let suites = suites();
    assert!(suites.len() >= 30, "{} files", suites.len());
    for suite in &suites {
        let file = &suite.file;
        let description = suite.description.as_deref().unwrap_or_default();
        assert!(description.ends_with('.'), "{file}: the description is one sentence");
        assert!(suite.config.get("policies").is_some(), "{file}: the configuration has policies");
    }
}

#[test]
fn a_filter_that_lets_all_pass_and_one_that_denies_all_fail_the_cases() {
    let suites = suites();
    let pass = Probe::default();
    let deny = Probe::default()
        .request_headers(|calls| calls.local_reply(403, "", "authorization failed", b"", u32::MAX))
        .pause();
    for (probe, denies) in [(&pass, false), (&deny, true)] {
        let report = run(&suites, &mut WasmRunner::new(module(probe)));
        for suite in &suites {
            // What is true of a case with several steps is not one thing.
            for case in suite.cases.iter().filter(|case| case.steps.len() == 1) {
                let expect = &case.steps[0].expect;
                let one = |status: u16| expect.status.as_deref() == Some(&[status]);
                let not_here = !case.layers.contains(&Layer::Wasm);
                let denied = one(403) || expect.verdict == Some(Verdict::Deny);
                let allowed = one(200) && !denied;
                if not_here || !(if denies { allowed } else { denied }) {
                    continue;
                }
                // A missing audit record would give either filter away, so it does not count.
                let recorded = |field: &str| {
                    field.starts_with("audit") || ["policy", "reason", "shadow"].contains(&field)
                };
                let told = report.mismatches.iter().any(|told| {
                    suite.file.ends_with(&told.file)
                        && told.case == case.name
                        && !recorded(&told.field)
                });
                assert!(told, "{}: `{}` does not notice", suite.file, case.name);
            }
        }
    }
}

/// A filter that asks the cluster `authz` for every request, and refuses it where the answer has no
/// body.
fn asking() -> Module {
    let text = include_str!("../../proxy-wasm-host/tests/authz.wat");
    let import = "(memory (export \"memory\") 2)";
    let goes_on = "(drop (call $continue (i32.const 0)))";
    assert!(text.contains(import) && text.contains(goes_on));
    let refuse = "(import \"env\" \"proxy_send_local_response\" (func $refuse
        (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))";
    let refuses = "(if (i32.eqz (local.get 3))
        (then (drop (call $refuse (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))
        (else (drop (call $continue (i32.const 0)))))";
    let text = text.replace(import, &format!("{refuse}\n{import}")).replace(goes_on, refuses);
    Module::from_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

const SERVICES: &str = "
config: {policies: []}
services:
  authz: [{body: yes}, {status: 403}, {late: 150ms, body: yes}, {fault: cutOff}, {fault: never}]
cases:
- name: the services of the suite
  caller: none
  request: http://a.example
  steps:
  - {expect: {verdict: allow, status: 200}}
  - {expect: {verdict: deny, status: 403}}
  - {expect: {verdict: allow, status: 200}}
  - {expect: {verdict: deny, status: 403}}
  # The timeout's answer is Envoy's own, and has a body.
  - {expect: {verdict: allow, status: 200}}
  - {expect: {verdict: allow, status: 200}}
- name: a service of its own
  caller: none
  request: http://a.example
  services: {authz: {status: 403}}
  expect: {verdict: deny, status: 403}
- name: the services of the suite, from the first answer again
  caller: none
  request: http://a.example
  expect: {verdict: allow, status: 200}
";

#[test]
fn services_answer_the_calls_of_a_filter() {
    let suites = parse("services.yaml", SERVICES).unwrap_or_else(|error| panic!("{error}"));
    let report = run(&suites, &mut WasmRunner::new(asking()));
    report.assert_ok();
    assert_eq!(report.cases, 3);
}
