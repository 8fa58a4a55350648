//! The values shown for an expression's parts lead to the engine's value of the whole, on generated
//! expressions and requests.

#![expect(clippy::arithmetic_side_effects, reason = "what a test counts stays small")]

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::super::*;
use crate::tests::generated;
use crate::tests::message::TABLE;
use crate::{Expected, Expression, Phase, Scope, meter};

/// What a step says that it is; nothing where it was not needed, or says something else each time.
fn said(value: &Value) -> Option<Found> {
    match value {
        Value::Known(text) => Some(match text.as_str() {
            "true" => Found::Bool(true),
            "false" => Found::Bool(false),
            "null" => Found::Null,
            _ => Found::Other,
        }),
        Value::Error(_) => Some(Found::Error),
        Value::NotNeeded | Value::Varies => None,
    }
}

/// What a part must be by what its parts are shown to be; nothing where more than that has to be
/// known.
fn follows(part: &Part, step: &Step) -> Option<Found> {
    let mut steps = step.parts.iter();
    // A part that is plain is not shown, and its text says what it is.
    let mut next = |part: &Part| match (part.plain, part.text.as_str()) {
        (true, "true") => Some(Found::Bool(true)),
        (true, "false") => Some(Found::Bool(false)),
        (true, _) => Some(Found::Other),
        (false, _) => said(&steps.next().expect("a step for each part").value),
    };
    match &part.shape {
        Shape::Until(decisive, parts) => {
            let (mut settled, mut error) = (false, false);
            for part in parts {
                let found = next(part);
                assert!(
                    part.plain || found.is_none() == settled,
                    "{}: needed and left out, or shown and settled: {step:?}",
                    part.text
                );
                settled |= !settled && found == Some(Found::Bool(*decisive));
                error |= !settled && !matches!(found, Some(Found::Bool(_)));
            }
            Some(if settled {
                Found::Bool(*decisive)
            } else if error {
                Found::Error
            } else {
                Found::Bool(!decisive)
            })
        }
        Shape::Variable(part) => next(part),
        Shape::FirstOf(parts) => {
            let mut last = None;
            for part in parts {
                let found = next(part);
                if !matches!(last, Some(found) if found != Found::Error && found != Found::Null) {
                    last = found;
                }
            }
            last
        }
        Shape::If(parts) => {
            let [condition, yes, no] = &**parts;
            let (met, yes, no) = (next(condition), next(yes), next(no));
            match met? {
                Found::Bool(met) => {
                    let (taken, other) = if met { (yes, no) } else { (no, yes) };
                    assert!(
                        taken.is_some(),
                        "{}: the branch that is taken is left out: {step:?}",
                        part.text
                    );
                    assert!(
                        matches!(other, None | Some(Found::Other | Found::Bool(_))),
                        "{}: both are shown: {step:?}",
                        part.text
                    );
                    taken
                }
                _ => Some(Found::Error),
            }
        }
        Shape::All(parts) if part.text.starts_with('!') && parts.len() == 1 => {
            match next(&parts[0])? {
                Found::Bool(value) => Some(Found::Bool(!value)),
                _ => Some(Found::Error),
            }
        }
        // Nothing that these do catches an error.
        Shape::All(parts) => {
            parts.iter().filter_map(next).any(|found| found == Found::Error).then_some(Found::Error)
        }
        Shape::OrElse(parts) => {
            let [optional, otherwise] = &**parts;
            match (next(optional), next(otherwise)) {
                (Some(Found::Error), _) => Some(Found::Error),
                (_, taken) if !otherwise.plain => taken,
                _ => None,
            }
        }
        // The body comes last.
        Shape::Bound(bound) if !bound.optional => said(&step.parts.last().expect("a body").value),
        Shape::Whole | Shape::Loop(_) | Shape::Bound(_) => None,
    }
}

/// Checks each part against its own parts, and returns how many follow from them.
fn hold(part: &Part, step: &Step) -> Result<u32, String> {
    let mut held = 0;
    if let (Some(shown), Some(followed)) = (said(&step.value), follows(part, step)) {
        // Of other values it is only known that they are some; a rule that is one is an error.
        let no_bool =
            matches!(&step.value, Value::Error(message) if message.starts_with("the result is "));
        // Nothing catches what cannot be read: the whole is an error, too.
        let unreadable =
            matches!(&step.value, Value::Error(message) if message == meter::UNREADABLE);
        let same = shown == followed
            || unreadable
            || (followed == Found::Other && (shown != Found::Error || no_bool));
        if !same {
            return Err(format!(
                "`{}` is shown as {:?}, and its parts make it {followed:?}: {step:?}",
                part.text, step.value
            ));
        }
        held += 1;
    }
    let parts: Vec<&Part> = match &part.shape {
        Shape::All(parts) | Shape::Until(_, parts) | Shape::FirstOf(parts) => {
            parts.iter().collect()
        }
        Shape::If(parts) => parts.iter().collect(),
        Shape::OrElse(parts) => parts.iter().collect(),
        Shape::Bound(bound) if !bound.optional => {
            let step = step.parts.last().expect("a body");
            return Ok(held + hold(&bound.body, step)?);
        }
        Shape::Variable(part) => vec![&**part],
        Shape::Whole | Shape::Loop(_) | Shape::Bound(_) => return Ok(held),
    };
    for (part, step) in parts.into_iter().filter(|part| !part.plain).zip(&step.parts) {
        if step.value != Value::NotNeeded {
            held += hold(part, step)?;
        }
    }
    Ok(held)
}

/// The values shown for the parts lead to the engine's value of the whole, on generated expressions
/// and requests.
fn the_parts_give_the_whole(expected: Expected, sources: impl Strategy<Value = String>) {
    let cases = std::env::var("EGRESS_DIFFERENTIAL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CASES);
    let config = Config {
        cases: cases / 2,
        failure_persistence: None,
        max_global_rejects: 1_000_000,
        ..Config::default()
    };
    let held = std::cell::Cell::new(0_u32);
    let requests = proptest::collection::vec(generated::made(), 4);
    let outcome = TestRunner::new(config).run(&(sources, requests), |(source, requests)| {
        let Ok(compiled) =
            Expression::compile(Scope::of(&TABLE), &source, Phase::Request, expected)
        else {
            return Err(TestCaseError::reject("the check refuses it"));
        };
        let explainable =
            Explainable::of(&source, Scope::of(&TABLE)).expect("what compiles is explained");
        for request in &requests {
            let shown = request.view(Phase::Request, |view| {
                let allowance = Allowance::whole();
                let value = match expected {
                    Expected::Rule => {
                        compiled.matches(view, &allowance).map(|value| value.to_string())
                    }
                    _ => compiled.header_value(view, &allowance).map(|value| of_bytes(&value)),
                };
                let value = match allowance.breached() {
                    Some(breach) => value.and(Err(breach.to_owned())),
                    None => value,
                };
                explainable.explain(view, value.map_or_else(Value::Error, Value::Known))
            });
            held.set(
                held.get()
                    + hold(&explainable.root, &shown).map_err(|message| {
                        TestCaseError::fail(format!("{source} on {request:?}: {message}"))
                    })?,
            );
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(held.get() > cases, "only {} parts followed from theirs", held.get());
}

/// How many generated expressions there are, unless the environment says.
const CASES: u32 = 2_000;

#[test]
fn the_parts_of_a_rule_give_its_answer() {
    the_parts_give_the_whole(Expected::Rule, generated::rule());
}

#[test]
fn the_parts_of_a_value_give_it() {
    the_parts_give_the_whole(Expected::Header, generated::text(Phase::Request));
}
