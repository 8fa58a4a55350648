//! The common rules, where nothing is in the way: no text of the request is long enough to cost a
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
        match test {
            Test::All(parts) => self.quick_parts(parts, false),
            Test::Any(parts) => self.quick_parts(parts, true),
            Test::Not(part) => Some(!self.quick(part)?),
            leaf => self.quick_leaf(leaf),
        }
    }

    fn quick_parts(&self, parts: &'p [Test], decisive: bool) -> Option<bool> {
        for part in parts {
            // A part without an answer may be a breach, which counts whatever the others are.
            if self.quick(part)? == decisive {
                return Some(decisive);
            }
        }
        Some(!decisive)
    }

    /// The result of a test that has no tests in it.
    pub(super) fn quick_leaf(&self, test: &'p Test) -> Option<bool> {
        match test {
            Test::Literal(value) => Some(*value),
            Test::Equal(left, right) => Some(hash::same(self.short(left)?, self.short(right)?)),
            Test::NotEqual(left, right) => Some(!hash::same(self.short(left)?, self.short(right)?)),
            Test::StartsWith(value, prefix) => {
                let (value, prefix) = (self.short(value)?, self.short(prefix)?);
                Some(value.get(..prefix.len()).is_some_and(|start| hash::same(start, prefix)))
            }
            Test::EndsWith(value, suffix) => {
                let (value, suffix) = (self.short(value)?, self.short(suffix)?);
                let start = value.len().checked_sub(suffix.len());
                let end = start.and_then(|start| value.get(start..));
                Some(end.is_some_and(|end| hash::same(end, suffix)))
            }
            Test::Contains(value, part) => {
                let (value, part) = (self.short(value)?, self.short(part)?);
                // Each position may cost as much as comparing the part there (`search`).
                let each = part.len().saturating_add(1);
                if value.len().saturating_mul(each) >= FEW_POSITIONS {
                    return None;
                }
                Some(part.is_empty() || value.windows(part.len()).any(|at| hash::same(at, part)))
            }
            Test::In(value, list) if list.len() <= FEW => {
                let value = self.short(value)?;
                Some(list.iter().any(|one| hash::same(one.as_bytes(), value)))
            }
            Test::Number(comparison, left, right) => {
                Some(comparison.holds(self.quick_number(left)?.cmp(&self.quick_number(right)?)))
            }
            Test::NumberIn(value, list) => Some(list.contains(&self.quick_number(value)?)),
            Test::HeaderIsIn(of, name) => Some(self.attributes.header(*of, name).is_some()),
            Test::HasText(id) => is_there(self.attributes.text(*id)),
            Test::HasHeader(of, name) => is_there(utf8(self.attributes.header(*of, name))),
            Test::HasObject(id) => Some(self.attributes.is_there(*id)),
            _ => None,
        }
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
