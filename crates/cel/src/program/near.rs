//! Short texts that are at hand: attributes, literals, and variables of loops. Loops compare and
//! join little else, so these are looked at where they are, and no value is made of them.

use std::cell::Ref;

use super::evaluate::Run;
use super::{Node, Str, Value};
use crate::meter::BYTES_A_STEP;
use crate::run::Evaluated;

/// A short text where it is.
enum Near<'s> {
    Plain(&'s str),
    Local(Ref<'s, str>),
}

impl Near<'_> {
    fn as_str(&self) -> &str {
        match self {
            Near::Plain(text) => text,
            Near::Local(text) => text,
        }
    }
}

impl<'p> Run<'_, 'p> {
    /// The text that a part has; none if it is to be evaluated: it is no text, it has to be made,
    /// it fails, or it is so long that reading it costs steps.
    fn near(&self, node: &'p Node) -> Option<Near<'_>> {
        let (mut node, mut most) = (node, BYTES_A_STEP);
        loop {
            match node {
                Node::Compared(part) => node = part,
                Node::Read(bytes_a_step, part) => {
                    most = most.min(*bytes_a_step);
                    node = part;
                }
                _ => break,
            }
        }
        let found = match node {
            Node::Literal(Value::Text(text)) => Near::Plain(text.as_str()),
            Node::Attribute(id) => Near::Plain(self.scene.attributes.text(*id).ok()?),
            Node::Local(place) => {
                let local = self.locals.get(*place)?.try_borrow().ok()?;
                Near::Local(
                    Ref::filter_map(local, |local| match local {
                        Some(Ok(value)) => value.as_text(),
                        _ => None,
                    })
                    .ok()?,
                )
            }
            _ => return None,
        };
        (found.as_str().len() < most).then_some(found)
    }

    /// Whether two texts are the same, if both are near.
    pub(super) fn near_and_equal(&self, parts: &'p [Node; 2]) -> Option<bool> {
        let [left, right] = parts;
        let (left, right) = (self.near(left)?, self.near(right)?);
        Some(egress_reading::hash::same(left.as_str().as_bytes(), right.as_str().as_bytes()))
    }

    /// Two texts joined, if both are near. If they are bounded, they are charged for.
    pub(super) fn near_and_joined(
        &self,
        parts: &'p [Node; 2],
        bounded: bool,
    ) -> Option<Evaluated<'p, Value<'p>>> {
        let [left, right] = parts;
        let (left, right) = (self.near(left)?, self.near(right)?);
        let (left, right) = (left.as_str(), right.as_str());
        let length = left.len().saturating_add(right.len());
        if bounded && let Err(exceeded) = self.spend_on(length, BYTES_A_STEP) {
            return Some(Err(exceeded));
        }
        let mut both = String::with_capacity(length);
        both.push_str(left);
        both.push_str(right);
        Some(Ok(Value::Text(Str::Shared(both.into()))))
    }
}
