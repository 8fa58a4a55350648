//! Hostile requests in a real Envoy: nothing that a rule forbids comes to an origin, and a mend
//! that is taken out is noticed.

use std::time::Duration;

use e2e::attack::{self, Finding, Options, Report, Until};
use e2e::envoy::trapping_wasm;

/// The same requests each time.
const SEED: u64 = 20_261_127;

/// How many requests are tried before a missing mend counts as unnoticed.
const SEARCH: u64 = 60_000;

async fn attacked(options: &Options) -> Report {
    attack::run(options).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_comes_to_an_origin_that_a_rule_forbids() {
    let report = attacked(&Options::new(SEED, Until::Elapsed(Duration::from_secs(12)))).await;
    println!("{report}");
    assert!(report.faults().is_empty(), "{report}");
    for rule in &report.of_rules {
        assert!(rule.sent >= 100, "hardly tried: {rule:?}");
        // Nobody calls from 10.0.0.0/8, so nothing may arrive there.
        assert_eq!(rule.arrived > 0, rule.name != "address", "{rule:?}");
    }
}

/// Whether a finding is of the kind that one of the red team's is.
fn is_of(number: u8, finding: &Finding) -> bool {
    match number {
        // Blanks around a value, or behind the comma of a joined line.
        1 => {
            ["by name", "list", "CGI"].contains(&finding.reader)
                && !["changes", "cookie", "path", "query"].contains(&finding.rule)
        }
        // A value that cannot be read is taken for a missing one.
        2 => !["changes", "method", "path", "address"].contains(&finding.rule),
        // `Connection` takes off what the filter has set.
        6 => (finding.rule, finding.reader) == ("changes", "httpd"),
        7 => (finding.rule, finding.reader) == ("changes", "trailers"),
        // Names that are one variable, also in trailers, and where their value is more than a word.
        8 => ["CGI", "dropping", "replacing", "trailers", "JSON", "list"].contains(&finding.reader),
        _ => false,
    }
}

/// Takes a mend out and attacks until that is found.
async fn found_without(number: u8) {
    let mut options = Options::new(SEED, Until::Requests(SEARCH));
    options.wasm = trapping_wasm();
    options.unmended = vec![number];
    let report = attacked(&options).await;
    let [first, ..] = &report.findings[..] else {
        panic!("finding {number}, its mend taken out, was not found again: {report}");
    };
    println!("finding {number}: found after {} requests\n{first}", first.after);
    for finding in &report.findings {
        assert!(is_of(number, finding), "not of finding {number}: {finding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mend_that_is_taken_out_is_missed() {
    // They run one after the other, since each has an Envoy of its own, with two workers.
    for number in [1, 2, 6, 7, 8] {
        found_without(number).await;
    }
}
