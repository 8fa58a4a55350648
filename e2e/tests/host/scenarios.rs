//! The scenarios and their runner.

use e2e::scenario::{Layer, Statuses, Upstream, WasmRunner, load_dir, run};

use crate::probe::{Probe, module};

#[test]
fn every_scenario_file_can_be_used_and_describes_itself() {
    let scenarios = load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("all load");
    assert!(scenarios.len() >= 30, "{} files", scenarios.len());
    for scenario in &scenarios {
        assert!(
            scenario.description.ends_with('.'),
            "{}: the description is one sentence",
            scenario.file
        );
        assert!(
            scenario.config.get("policies").is_some(),
            "{}: the configuration has policies",
            scenario.file
        );
    }
}

#[test]
fn a_filter_that_lets_all_pass_and_one_that_denies_all_fail_the_scenarios() {
    let scenarios = load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("all load");
    let pass = Probe::default();
    let deny = Probe::default()
        .request_headers(|calls| calls.local_reply(403, "", "authorization failed", b"", u32::MAX))
        .pause();
    for (probe, denies) in [(&pass, false), (&deny, true)] {
        let report = run(&scenarios, &mut WasmRunner::new(module(probe)));
        for scenario in &scenarios {
            for case in &scenario.cases {
                let not_here = !case.layers.contains(&Layer::Wasm);
                let denied = case.expect.status == Statuses::One(403)
                    || matches!(case.expect.upstream, Some(Upstream::Absent(_)));
                let allowed = case.expect.status == Statuses::One(200) && !denied;
                if not_here || !(if denies { allowed } else { denied }) {
                    continue;
                }
                // A missing audit record would give either filter away, so it does not count.
                let told = report.mismatches.iter().any(|told| {
                    (&told.file, &told.case) == (&scenario.file, &case.name)
                        && !told.field.starts_with("audit")
                });
                assert!(told, "{}: `{}` does not notice", scenario.file, case.name);
            }
        }
    }
}
