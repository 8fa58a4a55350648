//! The outcomes of variables for one reading of a message.

use std::sync::OnceLock;

use crate::lowered::{Test, Text};
use crate::program::Value;
use crate::{Code, Expression};

/// From how many lowered parts on an outcome is kept: finding one takes as long as evaluating some
/// comparisons.
const PARTS_WORTH_IT: usize = 8;

/// The outcomes of a configuration's variables for one reading of a message, as far as they are
/// known.
///
/// They are in a chain, in the order in which they were found. There are few, and until the first
/// one nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    first: OnceLock<Box<Link>>,
}

#[derive(Debug, Clone)]
struct Link {
    position: u8,
    kept: Kept,
    next: OnceLock<Box<Link>>,
}

/// The outcome of a variable.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Value(Value<'static>),
    /// It has no value, for this reason.
    Failed(String),
}

impl Memo {
    /// No outcomes yet.
    #[must_use]
    pub const fn new() -> Memo {
        Memo { first: OnceLock::new() }
    }

    /// The outcome of the variable at this position.
    pub(super) fn get(&self, position: u8) -> Option<&Kept> {
        let mut next = &self.first;
        while let Some(link) = next.get() {
            if link.position == position {
                return Some(&link.kept);
            }
            next = &link.next;
        }
        None
    }

    /// Keeps the outcome of the variable at this position, unless there is one.
    pub(super) fn keep(&self, position: u8, kept: Kept) -> &Kept {
        let mut next = &self.first;
        while let Some(link) = next.get() {
            if link.position == position {
                return &link.kept;
            }
            next = &link.next;
        }
        let link = || Box::new(Link { position, kept, next: OnceLock::new() });
        &next.get_or_init(link).kept
    }
}

/// Whether evaluating an expression takes longer than finding its outcome.
pub(super) fn is_worth_it(expression: &Expression) -> bool {
    match &expression.code {
        Code::Interpreted(_) => true,
        Code::Rule(test) => work_of_test(test) >= PARTS_WORTH_IT,
        Code::Value(text) => work_of_text(text) >= PARTS_WORTH_IT,
    }
}

/// The work for a test, in comparisons of attributes.
fn work_of_test(test: &Test) -> usize {
    let sum = |parts: &[Test]| parts.iter().map(work_of_test).fold(0, usize::saturating_add);
    match test {
        Test::Literal(_) => 0,
        Test::Not(part) => work_of_test(part),
        Test::All(parts) | Test::Any(parts) => sum(parts),
        Test::If(parts) => sum(parts.as_slice()),
        Test::Default(parts) => sum(parts.as_slice()),
        Test::Equal(left, right)
        | Test::NotEqual(left, right)
        | Test::StartsWith(left, right)
        | Test::EndsWith(left, right) => {
            work_of_text(left).saturating_add(work_of_text(right)).saturating_add(1)
        }
        Test::In(text, _) => work_of_text(text).saturating_add(2),
        Test::Number(..)
        | Test::NumberIn(..)
        | Test::Time(..)
        | Test::HasText(_)
        | Test::HasObject(_) => 1,
        Test::HeaderIsIn(..) | Test::HasHeader(..) => HEADER,
        // These read the whole text.
        Test::Contains(..) | Test::Matches(..) | Test::Interpreted(_) => PARTS_WORTH_IT,
        // It is kept itself, or is little work.
        Test::Variable(_) => 1,
    }
}

fn work_of_text(text: &Text) -> usize {
    match text {
        Text::Literal(_) | Text::Attribute(_) | Text::Variable(_) => 0,
        Text::Header(..) => HEADER,
        Text::Default(parts) => parts.iter().map(work_of_text).fold(0, usize::saturating_add),
        Text::If(parts) => {
            let (condition, yes, no) = &**parts;
            work_of_test(condition).saturating_add(work_of_text(yes).max(work_of_text(no)))
        }
        // These allocate.
        Text::Concat(_) | Text::FromNumber(_) | Text::FromTime(_) => PARTS_WORTH_IT,
        // This reads the whole body.
        Text::FromBytes(_) => PARTS_WORTH_IT,
    }
}

/// The work of looking a header up, in comparisons of attributes.
const HEADER: usize = 4;
