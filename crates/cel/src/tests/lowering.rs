//! What was lowered agrees with the interpreter, value or error, on generated expressions and
//! requests.
//!
//! A case is an expression and a request that were not compared with one another before.
//! `EGRESS_DIFFERENTIAL_CASES` sets how many there are; `make test` takes the default.

#![cfg(not(target_arch = "wasm32"))]

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::both_ways::{self, BothWays};
use super::generated::{self, Made, made};
use super::message::TABLE;
use crate::{Expected, Phase, Scope};

/// How many cases there are, unless the environment says: in each of the three tests a third of
/// them.
const CASES: usize = 120_000;
/// On how many requests each expression is evaluated.
const REQUESTS: usize = 50;
/// How many expressions share their requests.
const SHARED: usize = 1_000;

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
    let Ok(both) = BothWays::of(Scope::of(&TABLE), source, phase, expected) else {
        return Err(TestCaseError::reject("the check refuses it"));
    };
    for request in requests {
        let (ours, theirs) = request.view(phase, |view| (both.ours(view), both.theirs(view)));
        prop_assert!(
            both_ways::agree(&ours, &theirs),
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
    compare(Phase::Request, Expected::Rule, generated::rule());
}

#[test]
fn lowered_values_agree_with_the_interpreter() {
    compare(Phase::Request, Expected::Header, generated::text(Phase::Request));
}

#[test]
fn lowered_values_of_responses_agree_with_the_interpreter() {
    compare(Phase::Response, Expected::Header, generated::text(Phase::Response));
}
