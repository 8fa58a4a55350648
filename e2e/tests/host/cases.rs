//! The cases and their runner.

use e2e::cases::{WasmRunner, run};
use egressctl::cases::{Layer, Suite, Verdict, load_dir};

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
