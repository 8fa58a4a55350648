//! Hostile requests in a real Envoy: nothing that a rule forbids comes to an origin, and a mend
//! that is taken out is noticed.

use std::time::Duration;

use e2e::attack::{self, Finding, Options, Report, Until, Way, WayReport};
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

async fn attacked_by(way: Way, options: &Options) -> WayReport {
    attack::run_way(way, options).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn every_law_holds(way: Way) -> WayReport {
    let report = attacked_by(way, &Options::new(SEED, Until::Requests(3_000))).await;
    println!("{report}");
    assert!(report.faults().is_empty(), "{report}");
    report
}

/// How many requests were answered with one of these.
fn answered(report: &WayReport, statuses: &[u16]) -> u64 {
    statuses.iter().filter_map(|status| report.statuses.get(status)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_forbidden_body_comes_to_the_origin() {
    let report = every_law_holds(Way::Bodies).await;
    assert!(report.arrived > 300 && answered(&report, &[403]) > 1_000, "{report}");
    // Those that are too long, and those whose end is withheld.
    assert!(answered(&report, &[413]) > 30 && report.cut_off > 50, "{report}");
    assert!(report.in_part > 300, "the heads of forbidden bodies have arrived: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_callers_making_is_limited_like_any_other() {
    let report = every_law_holds(Way::Keys).await;
    assert!(report.arrived > 1_000 && answered(&report, &[429]) > 500, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_brings_about_what_no_answer_may() {
    let report = every_law_holds(Way::Answers).await;
    assert!(report.arrived > 500 && answered(&report, &[401, 403]) > 1_000, "{report}");
    assert!(answered(&report, &[302, 304]) > 20, "denials of the service are relayed: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_law_is_broken_without_its_mend() {
    for (way, number, laws) in [
        (Way::Bodies, 2, &["JSON", "gzip", "UTF-16", "UTF-7", "bytes", "an answer"][..]),
        (Way::Bodies, 9, &["an early answer", "an answer"]),
        (Way::Keys, 1, &["more than the limit"]),
        (Way::Answers, 8, &["the caller's own copy", "a rule about what was said"]),
    ] {
        let mut options = Options::new(SEED, Until::Requests(SEARCH));
        options.wasm = trapping_wasm();
        options.unmended = vec![number];
        let report = attacked_by(way, &options).await;
        let [first, ..] = &report.findings[..] else {
            panic!("{} without mend {number}: nothing was found: {report}", way.name());
        };
        println!("mend {number}: found after {} requests\n{first}", first.after);
        for finding in &report.findings {
            assert!(laws.contains(&finding.reader), "not of mend {number}: {finding}");
        }
    }
}
