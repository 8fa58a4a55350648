//! What the turns of a loop have in common: a test that compares each element with the same text,
//! which is found once, before the turns.
//!
//! Only short texts are compared like this, which takes no steps. For all other elements, the test
//! is evaluated as it is anywhere.

use std::sync::Arc;

use egress_reading::hash;

use super::evaluate::Run;
use super::{Node, Value};
use crate::meter::BYTES_A_STEP;

/// A text in a test of elements.
enum Operand<'p> {
    /// One that is the same at each turn.
    Fixed(&'p str),
    /// The element.
    Element,
    /// The element of this list whose index is the element of the loop.
    Of(Arc<Vec<Value<'p>>>),
}

impl<'p> Operand<'p> {
    /// The operand that a node is, and how short its text must be; none if it is none of these.
    fn of(run: &Run<'_, 'p>, node: &'p Node, element: usize) -> Option<Operand<'p>> {
        Some(match node {
            Node::Literal(Value::Text(text)) => Operand::Fixed(text.as_str()),
            Node::Attribute(id) => Operand::Fixed(run.attribute_text(*id).ok()?),
            Node::Local(place) if *place == element => Operand::Element,
            Node::Index(parts, false) => {
                let [of, Node::Local(index)] = &**parts else { return None };
                let of = match of {
                    Node::Expect(kinds, _, of) if Value::LIST & kinds != 0 => of,
                    of => of,
                };
                match of {
                    Node::Bound(place, _) if *index == element => Operand::Of(run.list_at(*place)?),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    /// Its text for an element, if it is short.
    fn text<'v>(&'v self, element: Option<&'v Value<'p>>) -> Option<&'v str> {
        let text = match (self, element) {
            (Operand::Fixed(text), _) => text,
            (Operand::Element, Some(element)) => element.as_text()?,
            (Operand::Of(list), Some(Value::Int(index))) => {
                list.get(usize::try_from(*index).ok()?)?.as_text()?
            }
            _ => return None,
        };
        (text.len() < BYTES_A_STEP).then_some(text)
    }
}

/// Two texts that are joined.
pub(super) struct Sum<'p>([Operand<'p>; 2]);

impl<'p> Sum<'p> {
    pub(super) fn of(run: &Run<'_, 'p>, parts: &'p [Node; 2], element: usize) -> Option<Sum<'p>> {
        let [left, right] = parts;
        Some(Sum([Operand::of(run, left, element)?, Operand::of(run, right, element)?]))
    }

    /// Joins them for an element; none if that takes steps.
    pub(super) fn join(&self, element: Option<&Value<'p>>, joined: &mut String) -> Option<()> {
        let Sum([left, right]) = self;
        let (left, right) = (left.text(element)?, right.text(element)?);
        joined.clear();
        if left.len().saturating_add(right.len()) >= BYTES_A_STEP {
            return None;
        }
        joined.push_str(left);
        joined.push_str(right);
        Some(())
    }
}

/// What a test does with two texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compares {
    Equal,
    Start,
    End,
}

/// A test that compares texts.
pub(super) struct Each<'p> {
    compares: Compares,
    negated: bool,
    text: Operand<'p>,
    /// What it is compared with: one text, or two that are joined.
    with: Sum<'p>,
    /// How short the latter must be.
    most: usize,
    /// Whether the result costs a step.
    pub(super) is_made: bool,
}

impl<'p> Each<'p> {
    /// The form of a test, of elements that are in the variable of this place; none if it has
    /// another, or if a text that it compares them with has no value.
    pub(super) fn of(run: &Run<'_, 'p>, test: &'p Node, element: usize) -> Option<Each<'p>> {
        let (test, is_made) = match test {
            Node::Made(part) if matches!(**part, Node::Affix(..)) => (&**part, true),
            test => (test, false),
        };
        let (compares, negated, left, right) = match test {
            Node::Equal(parts, negated) | Node::EqualAny(parts, negated) => {
                let [left, right] = &**parts;
                (Compares::Equal, *negated, left, right)
            }
            Node::Affix(_, parts, ends) => {
                let [left, right] = &**parts else { return None };
                (if *ends { Compares::End } else { Compares::Start }, false, left, right)
            }
            _ => return None,
        };
        let mut most = BYTES_A_STEP;
        let text = Operand::of(run, bare(left, &mut most), element)?;
        let with = match bare(right, &mut most) {
            Node::Add(parts, _) => Sum::of(run, parts, element)?,
            one => Sum([Operand::of(run, one, element)?, Operand::Fixed("")]),
        };
        Some(Each { compares, negated, text, with, most, is_made })
    }

    /// Its result for an element; none if it is to be evaluated.
    pub(super) fn holds(&self, element: Option<&Value<'p>>) -> Option<bool> {
        let Sum([first, second]) = &self.with;
        let text = self.text.text(element)?.as_bytes();
        let first = first.text(element)?.as_bytes();
        let second = second.text(element)?.as_bytes();
        let length = first.len().saturating_add(second.len());
        if length >= self.most || text.len() >= self.most {
            return None;
        }
        let part = match (self.compares, text.len().checked_sub(length)) {
            (_, None) => None,
            (Compares::Equal, Some(0)) => Some(text),
            (Compares::Equal, Some(_)) => None,
            (Compares::Start, Some(_)) => text.get(..length),
            (Compares::End, Some(start)) => text.get(start..),
        };
        let is_so =
            part.and_then(|part| part.split_at_checked(first.len())).is_some_and(|(start, end)| {
                hash::same(start, first) && (second.is_empty() || hash::same(end, second))
            });
        Some(is_so != self.negated)
    }
}

/// A node without the guards that a short text passes.
pub(super) fn bare<'n>(mut node: &'n Node, most: &mut usize) -> &'n Node {
    loop {
        node = match node {
            Node::Compared(part) => part,
            Node::Expect(kinds, _, part) if Value::TEXT & kinds != 0 => part,
            Node::Read(bytes_a_step, part) => {
                *most = (*most).min(*bytes_a_step);
                part
            }
            bare => return bare,
        };
    }
}
