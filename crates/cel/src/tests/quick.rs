//! Rules that are evaluated without steps have the result, and cost the steps, that they have and
//! cost otherwise.

#![cfg(not(target_arch = "wasm32"))]

use std::cell::Cell;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::both_ways::BothWays;
use super::generated::{made, rule};
use super::message::{Scene, TABLE};
use crate::meter::{Allowance, Meter};
use crate::{Expected, Expression, Phase, Scope, search};

/// On how many requests each rule is evaluated.
const REQUESTS: usize = 20;

#[test]
fn a_quick_answer_is_the_interpreters_and_costs_what_the_plain_one_does() {
    let config = Config { failure_persistence: None, cases: 1_500, ..Config::default() };
    let (quick, slow) = (Cell::new(0_usize), Cell::new(0_usize));
    // Every run has the same cases: how many of them are quick is asserted below.
    let runner = || {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config.clone(), rng)
    };
    let mut requests = runner();
    let requests: Vec<_> =
        (0..REQUESTS).map(|_| made().new_tree(&mut requests).expect("one").current()).collect();
    let outcome = runner().run(&rule(), |source| {
        let of = || (Scope::of(&TABLE), &*source, Phase::Request, Expected::Rule);
        let ((scope, text, phase, expected), both) = (of(), of());
        let (Ok(rule), Ok(both)) = (
            Expression::compile(scope, text, phase, expected),
            BothWays::of(both.0, both.1, both.2, both.3),
        ) else {
            return Err(TestCaseError::reject("the check refuses it"));
        };
        for request in &requests {
            request.view(Phase::Request, |view| {
                let Some((holds, steps)) = rule.quick(view) else {
                    slow.set(slow.get() + 1);
                    return Ok(());
                };
                quick.set(quick.get() + 1);
                let allowance = Allowance::whole();
                prop_assert_eq!(
                    rule.matches(view, &allowance),
                    Ok(holds),
                    "{} on {:?}",
                    source,
                    view
                );
                prop_assert_eq!(allowance.breached(), None);
                prop_assert_eq!(both.theirs(view), Ok(vec![u8::from(holds)]), "{}", source);
                prop_assert_eq!(allowance.spent(), Allowance::whole().spent() + steps);
                Ok(())
            })?;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let (quick, slow) = (quick.get(), slow.get());
    assert!(quick > 300, "{quick} of {} had a quick answer", quick + slow);
    println!("{quick} of {} had a quick answer", quick + slow);
}

#[test]
fn a_text_that_takes_a_step_has_no_quick_answer() {
    let rule = |source: &str| {
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
            .expect(source)
    };
    let (short, long) = ("a".repeat(63), "a".repeat(64));
    for source in [
        "request.headers.a == 'a'",
        "request.headers.a != 'a'",
        "request.headers.a.startsWith('b')",
        "request.headers.a.endsWith('b')",
        "request.headers.a in ['a', 'b']",
        "has(request.headers.a)",
        "!(request.method == 'GET' && request.headers.a == 'a')",
    ] {
        let answer = |value: &str| {
            let any = made().new_tree(&mut TestRunner::deterministic()).expect("one").current();
            let lines = vec![(&b":method"[..], &b"GET"[..]), (b"a", value.as_bytes())];
            let request = Scene { lines, chosen: None, changed: None, ..any };
            request.view(Phase::Request, |view| rule(source).quick(view))
        };
        assert!(answer(&short).is_some(), "{source}");
        assert_eq!(answer(&long), None, "{source}");
    }
}

#[test]
fn a_part_is_looked_for_without_steps_only_where_the_search_takes_none() {
    for length in 0..40_usize {
        for part in 0..8_usize {
            // The most work: every position is promising, and none fits.
            let text = "a".repeat(length);
            let looked_for = match part {
                0..=2 => "a".repeat(part),
                _ => format!("a{}a", "b".repeat(part - 2)),
            };
            let is_quick = length.saturating_mul(part + 1) < crate::quick::FEW_POSITIONS;
            let allowance = Allowance::whole();
            let found = search::contains(&text, &looked_for, &allowance);
            assert_eq!(found, Some(text.contains(&looked_for)));
            if is_quick {
                assert_eq!(allowance.spent(), Allowance::whole().spent(), "{text} {looked_for}");
            }
        }
    }
}

#[test]
fn a_rule_is_paid_for_only_as_a_whole() {
    let meter = Meter::of(10);
    assert!(!meter.pay_for_rule(9), "with what any rule costs, these are 11");
    assert!(meter.pay_for_rule(8));
    assert!(meter.is_exhausted());
    assert!(!meter.pay_for_rule(0));
}
