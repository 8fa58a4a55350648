//! The common rules, where nothing is in the way: no text of the request is long enough to cost a
//! step, and none is unreadable.
//!
//! Nothing is spent here, and nothing can fail. Where something would, there is no answer, and
//! `Run::test` (`run`) evaluates the rule with all that belongs to that. Both have the same result,
//! which a test over generated rules and requests shows.

use egress_reading::hash;

use super::attributes::{Attributes, Fault, utf8};
use super::lowered::{Number, Test, Text};
use super::meter::BYTES_A_STEP;

/// Up to this many texts are compared one after the other, which a search for a place among them
/// does not make faster.
const FEW: usize = 8;
/// How many bytes are compared in looking for a part in a text, at most.
pub(super) const FEW_POSITIONS: usize = 32;

/// The result of a rule; none if it is to be evaluated by `Run::test`.
pub(super) fn holds<A: Attributes>(mut test: &Test, attributes: &A) -> Option<bool> {
    let mut negated = false;
    while let Test::Not(part) = test {
        (test, negated) = (part, !negated);
    }
    let (parts, decisive) = match test {
        Test::All(parts) => (parts, false),
        Test::Any(parts) => (parts, true),
        leaf => return leaf_holds(leaf, attributes).map(|value| value != negated),
    };
    for part in parts {
        // A part without an answer may be a breach, which counts whatever the others are.
        if holds(part, attributes)? == decisive {
            return Some(decisive != negated);
        }
    }
    Some(decisive == negated)
}

/// Whether a rule may have a result: its first test, which may settle it, is none of those that are
/// always evaluated by `Run::test`.
pub(super) fn may_hold(test: &Test) -> bool {
    match test {
        Test::Not(part) => may_hold(part),
        Test::All(parts) | Test::Any(parts) => parts.first().is_none_or(may_hold),
        Test::If(_)
        | Test::Default(_)
        | Test::Time(..)
        | Test::Matches(..)
        | Test::Variable(_)
        | Test::Interpreted(_) => false,
        _ => true,
    }
}

/// The result of a test that has no tests in it. It is called from one place.
#[inline(always)]
fn leaf_holds<A: Attributes>(test: &Test, attributes: &A) -> Option<bool> {
    let (left, right) = match test {
        Test::Equal(left, right)
        | Test::NotEqual(left, right)
        | Test::StartsWith(left, right)
        | Test::EndsWith(left, right)
        | Test::Contains(left, right) => (left, right),
        other => return other_holds(other, attributes),
    };
    let left = match left {
        Text::Attribute(id) => attributes.text(*id).ok()?.as_bytes(),
        other => short(other, attributes)?,
    };
    let right = match right {
        Text::Literal(value) => value.as_bytes(),
        other => short(other, attributes)?,
    };
    if left.len() >= BYTES_A_STEP {
        return None;
    }
    let part = match test {
        Test::Equal(..) => left,
        Test::NotEqual(..) => return Some(!hash::same(left, right)),
        Test::StartsWith(..) => left.get(..right.len()).unwrap_or_default(),
        Test::EndsWith(..) => {
            let start = left.len().checked_sub(right.len()).unwrap_or(left.len());
            left.get(start..).unwrap_or_default()
        }
        _ => {
            // Each position may cost as much as comparing the part there (`search`).
            let each = right.len().saturating_add(1);
            if left.len().saturating_mul(each) >= FEW_POSITIONS {
                return None;
            }
            let mut places = left.windows(right.len().max(1));
            return Some(right.is_empty() || places.any(|place| hash::same(place, right)));
        }
    };
    // What is too short for it is no longer than nothing, and differs from it in its length.
    Some(hash::same(part, right))
}

#[inline(never)]
fn other_holds<A: Attributes>(test: &Test, attributes: &A) -> Option<bool> {
    match test {
        Test::Literal(value) => Some(*value),
        Test::In(value, list) if list.len() <= FEW => {
            let value = short(value, attributes)?;
            Some(list.iter().any(|one| hash::same(one.as_bytes(), value)))
        }
        Test::Number(comparison, left, right) => {
            let left = number(left, attributes)?;
            Some(comparison.holds(left.cmp(&number(right, attributes)?)))
        }
        Test::NumberIn(value, list) => {
            Some(list.binary_search(&number(value, attributes)?).is_ok())
        }
        Test::HeaderIsIn(of, name) => Some(attributes.header(*of, name).is_some()),
        Test::HasText(id) => is_there(attributes.text(*id)),
        Test::HasHeader(of, name) => is_there(utf8(attributes.header(*of, name))),
        Test::HasObject(id) => Some(attributes.is_there(*id)),
        _ => None,
    }
}

/// A text that needs no step; none if it does, or has no value.
fn short<'a, A: Attributes>(text: &'a Text, attributes: &'a A) -> Option<&'a [u8]> {
    let found = match text {
        Text::Literal(value) => return Some(value.as_bytes()),
        Text::Attribute(id) => attributes.text(*id),
        Text::Header(of, name) => utf8(attributes.header(*of, name)),
        _ => return None,
    };
    found.ok().map(str::as_bytes).filter(|text| text.len() < BYTES_A_STEP)
}

fn number<A: Attributes>(number: &Number, attributes: &A) -> Option<i64> {
    match number {
        Number::Literal(value) => Some(*value),
        Number::Attribute(id) => attributes.int(*id),
        Number::Field(_) => None,
    }
}

/// The value of `has` of a text that needs no step.
fn is_there(found: Result<&str, Fault>) -> Option<bool> {
    match found {
        Ok(text) => (text.len() < BYTES_A_STEP).then_some(true),
        Err(Fault::Missing) => Some(false),
        Err(Fault::NotUtf8) => None,
    }
}
