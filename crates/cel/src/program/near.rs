//! Short texts that are at hand: attributes, literals, variables of loops, and what two of them
//! make together. Loops compare and join little else, so these are looked at where they are, and no
//! value is made of them.

use std::cell::Ref;
use std::sync::Arc;

use egress_reading::hash;

use super::each::bare;
use super::evaluate::Run;
use super::{Node, Str, Value};
use crate::meter::BYTES_A_STEP;
use crate::run::Evaluated;

/// A short text where it is.
enum Near<'s> {
    Plain(&'s str),
    Local(Ref<'s, str>),
    Joined(String),
}

impl Near<'_> {
    fn as_str(&self) -> &str {
        match self {
            Near::Plain(text) => text,
            Near::Local(text) => text,
            Near::Joined(text) => text,
        }
    }
}

impl<'p> Run<'_, 'p> {
    /// The text that a part has; none if it is to be evaluated: it is no text, it has to be made,
    /// it fails, or it is so long that reading it costs steps.
    fn near(&self, node: &'p Node) -> Option<Near<'_>> {
        let mut most = BYTES_A_STEP;
        let node = bare(node, &mut most);
        let found = match node {
            // Its parts are no sums, so that a long one is not tried again for each of its parts.
            Node::Add(parts, _) => {
                let [left, right] = &**parts;
                Near::Joined(joined(
                    self.near_part(left)?.as_str(),
                    self.near_part(right)?.as_str(),
                ))
            }
            part => self.near_part(part)?,
        };
        (found.as_str().len() < most).then_some(found)
    }

    /// The short text that a part has where it is.
    fn near_part(&self, node: &'p Node) -> Option<Near<'_>> {
        let found = match node {
            Node::Literal(Value::Text(text)) => Near::Plain(text.as_str()),
            Node::Attribute(id) => Near::Plain(self.attribute_text(*id).ok()?),
            Node::Local(place) | Node::Bound(place, _) => {
                Near::Local(self.local(*place, Value::as_text)?)
            }
            Node::Index(parts, false) => Near::Local(self.near_element(parts)?),
            _ => return None,
        };
        (found.as_str().len() < BYTES_A_STEP).then_some(found)
    }

    /// What a variable has, if it has a value.
    fn local<T: ?Sized>(
        &self,
        place: usize,
        of: impl for<'v> FnOnce(&'v Value<'p>) -> Option<&'v T>,
    ) -> Option<Ref<'_, T>> {
        let local = self.locals.get(place)?.try_borrow().ok()?;
        let found = Ref::filter_map(local, |local| match local {
            Some(Ok(value)) => of(value),
            _ => None,
        });
        found.ok()
    }

    /// A list that has been read before, in the variable of this place.
    pub(super) fn list_at(&self, place: usize) -> Option<Arc<Vec<Value<'p>>>> {
        let list = self.local(place, |value| match value {
            Value::List(list) => Some(list),
            _ => None,
        });
        list.map(|list| Arc::clone(&list))
    }

    /// `list[i]`, where both are variables, and the list has been read before: a loop over indices
    /// and elements reads each element like this.
    fn near_element(&self, parts: &'p [Node; 2]) -> Option<Ref<'_, str>> {
        let [of, index] = parts;
        let of = match of {
            Node::Expect(kinds, _, of) if Value::LIST & kinds != 0 => of,
            of => of,
        };
        let (Node::Bound(list, _), Node::Local(index)) = (of, index) else { return None };
        let index = *self.local(*index, |value| match value {
            Value::Int(index) => Some(index),
            _ => None,
        })?;
        let index = usize::try_from(index).ok()?;
        self.local(*list, |value| match value {
            Value::List(list) => list.get(index)?.as_text(),
            _ => None,
        })
    }

    /// Whether two texts are the same, if both are near.
    pub(super) fn near_and_equal(&self, parts: &'p [Node; 2]) -> Option<bool> {
        let [left, right] = parts;
        let (left, right) = (self.near(left)?, self.near(right)?);
        Some(hash::same(left.as_str().as_bytes(), right.as_str().as_bytes()))
    }

    /// Whether a text starts with another, or ends with it, if both are near.
    pub(super) fn near_affix(&self, parts: &'p [Node], ends: bool) -> Option<bool> {
        let [text, affix] = parts else { return None };
        let (text, affix) = (self.near(text)?, self.near(affix)?);
        let (text, affix) = (text.as_str().as_bytes(), affix.as_str().as_bytes());
        let part = match text.len().checked_sub(affix.len()) {
            Some(rest) if ends => text.get(rest..),
            _ => text.get(..affix.len()),
        };
        Some(part.is_some_and(|part| hash::same(part, affix)))
    }

    /// Two texts joined, if both are near. If they are bounded, they are charged for.
    pub(super) fn near_and_joined(
        &self,
        parts: &'p [Node; 2],
        bounded: bool,
    ) -> Option<Evaluated<'p, Value<'p>>> {
        let [left, right] = parts;
        let (left, right) = (self.near_part(left)?, self.near_part(right)?);
        let (left, right) = (left.as_str(), right.as_str());
        let length = left.len().saturating_add(right.len());
        if bounded && let Err(exceeded) = self.spend_on(length, BYTES_A_STEP) {
            return Some(Err(exceeded));
        }
        Some(Ok(Value::Text(Str::Shared(joined(left, right).into()))))
    }
}

fn joined(left: &str, right: &str) -> String {
    let mut both = String::with_capacity(left.len().saturating_add(right.len()));
    both.push_str(left);
    both.push_str(right);
    both
}
