//! What was lowered agrees with the interpreter, value or error, on generated expressions and
//! requests.
//!
//! A case is an expression and a request that were not compared with one another before.
//! `EGRESS_DIFFERENTIAL_CASES` sets how many there are; `make test` takes the default.

#![cfg(not(target_arch = "wasm32"))]

pub(crate) mod expressions;

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::agreement::{self, Agreement, Scene};
use super::{Expected, Phase};

/// How many cases there are, unless the environment says: in each of the three tests a third of
/// them.
const CASES: usize = 120_000;
/// On how many requests each expression is evaluated.
const REQUESTS: usize = 50;
/// How many expressions share their requests.
const SHARED: usize = 1_000;

/// What a request is made of, in small numbers so that expressions meet what they look for.
pub(crate) type Made = Scene<'static>;

pub(crate) fn made() -> impl Strategy<Value = Made> {
    const VALUES: &[&[u8]] =
        &[b"", b"a", b"b", b"team-a", b"\xff", b"/zen", b"caf\xc3\xa9", b"a,b", b"GET"];
    const NAMES: &[&str] = &["a", "x-b", "x_b", "host", "x-c"];
    let optional = |name: &'static str, values: &'static [&'static [u8]]| {
        proptest::option::weighted(0.9, select(values))
            .prop_map(move |value| value.map(|value| (name.as_bytes(), value)))
    };
    let line =
        || (select(NAMES), select(VALUES)).prop_map(|(name, value)| (name.as_bytes(), value));
    let lines = || proptest::collection::vec(line(), 0..5);
    let headers = (
        optional(":method", &[b"GET", b"POST", b"a", b"\xff"]),
        optional(":scheme", &[b"http", b"a"]),
        optional(
            ":authority",
            &[b"api.github.com", b"API.GITHUB.COM.:80", b"a@b", b"", b"a", b"a.b:80", b"[::1]"],
        ),
        optional(":path", &[b"/zen", b"/zen?a", b"/", b"", b"/\xff", b"/a", b"a", b"*"]),
        optional("x-request-id", &[b"a", b"\xff"]),
        lines(),
    );
    let callers: &[&[u8]] = &[
        b"",
        b"-",
        b"spiffe://a/ns/team-a/sa/b",
        b"spiffe://a/ns/team-a/sa/team-a",
        b"spiffe://a/ns/x/sa/a",
        b"spiffe://b/ns/a/sa/a",
        b"spiffe://a/other",
        b"garbage",
    ];
    let services: &[&[u8]] = &[b"", b"inbound-vip|80|http|api.github.com", b"x"];
    let addresses: &[&[u8]] = &[b"", b"10.0.0.1:80", b"[::1]:1", b"x", b"10.0.0.1:443"];
    let versions: &[&[u8]] = &[b"", b"HTTP/1.1"];
    let facts =
        (select(callers), select(services), select(addresses), select(addresses), select(versions));
    let response = (optional(":status", &[b"200", b"404", b"x", b"\xff"]), lines());
    let rest = (
        proptest::option::of((select(NAMES), 0..3_usize)),
        proptest::option::weighted(0.2, line()),
        response,
    );
    (headers, facts, rest).prop_map(
        |(headers, facts, (chosen, changed, (status, mut response)))| {
            let (method, scheme, authority, path, id, mut lines) = headers;
            let (caller, service, source, destination, version) = facts;
            lines.extend([method, scheme, authority, path, id].into_iter().flatten());
            response.extend(status);
            Scene {
                lines,
                caller,
                service,
                addresses: [source, destination],
                version,
                chosen,
                changed,
                response,
            }
        },
    )
}

fn cases() -> usize {
    std::env::var("EGRESS_DIFFERENTIAL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CASES)
}

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    /// Cases, each counted once.
    cases: usize,
    /// Of these, how many had a value.
    values: usize,
    /// The hashes of those cases.
    seen: HashSet<u64>,
}

/// Compares on requests.
fn agree(
    source: &str,
    phase: Phase,
    expected: Expected,
    requests: &[Made],
    compared: &mut Compared,
) -> Result<(), TestCaseError> {
    let Ok(both) = Agreement::of(source, phase, expected) else {
        return Err(TestCaseError::reject("the check refuses it"));
    };
    for request in requests {
        let (ours, theirs) = request.view(phase, |view| (both.ours(view), both.theirs(view)));
        prop_assert!(
            agreement::agree(&ours, &theirs),
            "{} on {:?}: {:?} against {:?}",
            source,
            request,
            ours,
            theirs
        );
        let mut hasher = DefaultHasher::new();
        (source, request).hash(&mut hasher);
        if compared.seen.insert(hasher.finish()) {
            compared.cases = compared.cases.saturating_add(1);
            compared.values = compared.values.saturating_add(usize::from(ours.is_ok()));
        }
    }
    Ok(())
}

/// Compares until there are as many cases as asked for.
fn compare(phase: Phase, expected: Expected, sources: impl Strategy<Value = String>) {
    let wanted = cases() / 3;
    let config =
        Config { failure_persistence: None, max_global_rejects: 1_000_000, ..Config::default() };
    let mut runner = TestRunner::new(config.clone());
    let compared = RefCell::new(Compared::default());
    while compared.borrow().cases < wanted {
        let mut requests = HashSet::new();
        while requests.len() < REQUESTS {
            requests.insert(made().new_tree(&mut runner).expect("a request").current());
        }
        let requests: Vec<Made> = requests.into_iter().collect();
        let expressions =
            SHARED.min(wanted.saturating_sub(compared.borrow().cases).div_ceil(REQUESTS));
        let config =
            Config { cases: u32::try_from(expressions).expect("a small number"), ..config.clone() };
        let mut runner = TestRunner::new_with_rng(config, runner.new_rng());
        let outcome = runner.run(&sources, |source| {
            agree(&source, phase, expected, &requests, &mut compared.borrow_mut())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    }
    let Compared { cases, values, .. } = compared.into_inner();
    // Were all of them errors, they would agree on nothing.
    assert!(values > cases / 4, "of {cases} cases only {values} have a value");
    println!("compared: {cases} cases, {values} with a value");
}

#[test]
fn lowered_rules_agree_with_the_interpreter() {
    compare(Phase::Request, Expected::Rule, expressions::rule());
}

#[test]
fn lowered_values_agree_with_the_interpreter() {
    compare(Phase::Request, Expected::Header, expressions::text(Phase::Request));
}

#[test]
fn lowered_values_of_responses_agree_with_the_interpreter() {
    compare(Phase::Response, Expected::Header, expressions::text(Phase::Response));
}
