//! The common rules, and the texts that values are joined of, where nothing is in the way: no text of the request is long enough to cost a
//! step, and none is unreadable.
//!
//! Nothing is spent here, and nothing can fail. Where something would, there is no answer, and
//! [`Run::test`] evaluates the rule with all that belongs to that. Both have the same result, which
//! a test over generated rules and requests shows.

use egress_reading::hash;

use super::attributes::{Attributes, Fault, utf8};
use super::lowered::{Number, Test, Text};
use super::meter::BYTES_A_STEP;
use super::run::Run;

/// Up to this many texts are compared one after the other, which a search for a place among them
/// does not make faster.
const FEW: usize = 8;
/// How many bytes are compared in looking for a part in a text, at most.
pub(super) const FEW_POSITIONS: usize = 32;

impl<'p, A: Attributes> Run<'p, A> {
    /// The result of a rule; none if it is to be evaluated by [`Run::test`].
    pub(super) fn quick(&self, test: &'p Test) -> Option<bool> {
        let (parts, decisive) = match test {
            Test::All(parts) => (parts, false),
            Test::Any(parts) => (parts, true),
            Test::Not(part) => return Some(!self.quick(part)?),
            leaf => return self.quick_leaf(leaf),
        };
        for part in parts {
            let value = match part {
                Test::All(_) | Test::Any(_) | Test::Not(_) => self.quick(part),
                leaf => self.quick_leaf(leaf),
            };
            // A part without an answer may be a breach, which counts whatever the others are.
            if value? == decisive {
                return Some(decisive);
            }
        }
        Some(!decisive)
    }

    /// The result of a test that has no tests in it.
    pub(super) fn quick_leaf(&self, test: &'p Test) -> Option<bool> {
        let (left, right) = match test {
            Test::Equal(left, right)
            | Test::NotEqual(left, right)
            | Test::StartsWith(left, right)
            | Test::EndsWith(left, right)
            | Test::Contains(left, right) => (self.short(left)?, self.short(right)?),
            other => return self.quick_other(other),
        };
        let rest = left.len().checked_sub(right.len());
        let part = match test {
            Test::Equal(..) => Some(left),
            Test::NotEqual(..) => return Some(!hash::same(left, right)),
            Test::StartsWith(..) => left.get(..right.len()),
            Test::EndsWith(..) => rest.and_then(|rest| left.get(rest..)),
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
        Some(part.is_some_and(|part| hash::same(part, right)))
    }

    #[inline(never)]
    fn quick_other(&self, test: &'p Test) -> Option<bool> {
        match test {
            Test::Literal(value) => Some(*value),
            Test::In(value, list) if list.len() <= FEW => {
                let value = self.short(value)?;
                Some(list.iter().any(|one| hash::same(one.as_bytes(), value)))
            }
            Test::Number(comparison, left, right) => {
                Some(comparison.holds(self.quick_number(left)?.cmp(&self.quick_number(right)?)))
            }
            Test::NumberIn(value, list) => {
                Some(list.binary_search(&self.quick_number(value)?).is_ok())
            }
            Test::HeaderIsIn(of, name) => Some(self.attributes.header(*of, name).is_some()),
            Test::HasText(id) => is_there(self.attributes.text(*id)),
            Test::HasHeader(of, name) => is_there(utf8(self.attributes.header(*of, name))),
            Test::HasObject(id) => Some(self.attributes.is_there(*id)),
            _ => None,
        }
    }

    /// Texts that are joined to one that needs no step.
    pub(super) fn quick_concat(&self, parts: &'p [Text]) -> Option<Vec<u8>> {
        let mut whole = Vec::with_capacity(BYTES_A_STEP);
        for part in parts {
            let part = self.short(part)?;
            if whole.len().saturating_add(part.len()) >= BYTES_A_STEP {
                return None;
            }
            whole.extend_from_slice(part);
        }
        Some(whole)
    }

    /// A text that needs no step; none if it does, or has no value.
    #[inline]
    fn short(&self, text: &'p Text) -> Option<&'p [u8]> {
        let found = match text {
            Text::Literal(value) => return Some(value.as_bytes()),
            Text::Attribute(id) => self.attributes.text(*id),
            Text::Header(of, name) => utf8(self.attributes.header(*of, name)),
            _ => return None,
        };
        found.ok().map(str::as_bytes).filter(|text| text.len() < BYTES_A_STEP)
    }

    fn quick_number(&self, number: &Number) -> Option<i64> {
        match number {
            Number::Literal(value) => Some(*value),
            Number::Attribute(id) => self.attributes.int(*id),
            Number::Field(_) => None,
        }
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
