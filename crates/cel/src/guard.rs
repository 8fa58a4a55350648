//! Conditions on attributes without which a rule cannot matter, found in a lowered rule. The index
//! of policies uses them.

use super::attributes::{Id, Lookup, Table};
use super::lowered::{Test, Text};

/// The most values that a guard may name; a rule with more is not looked up by them.
const MAX_VALUES: usize = 128;

/// If the attribute's value is none of these, the rule's result is settled, whatever else is in the
/// request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The attribute.
    pub attribute: Id,
    /// The values, in any order.
    pub values: Vec<Wanted>,
}

/// What an attribute's value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The whole value equals this.
    Exactly(Box<str>),
    /// The value starts with this.
    Prefix(Box<str>),
}

/// Finds the guards of rules that use one table of attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guards {
    pub(super) table: &'static Table,
}

impl Guards {
    /// The guards of a test, any of which may be used: where one names none of the request's
    /// values, the test returns `settled`.
    pub(super) fn of(self, test: &Test, settled: bool) -> Vec<Guard> {
        match (test, settled) {
            (Test::Equal(left, right), false) | (Test::NotEqual(left, right), true) => {
                let (left, right) = (left.written_out(), right.written_out());
                compared(left, right)
                    .or_else(|| compared(right, left))
                    .map_or_else(Vec::new, |(attribute, value)| {
                        self.one(attribute, vec![Wanted::Exactly(value.into())])
                    })
            }
            (Test::In(text, list), false) => match text.written_out() {
                Text::Attribute(attribute) => {
                    self.one(*attribute, list.iter().cloned().map(Wanted::Exactly).collect())
                }
                _ => Vec::new(),
            },
            (Test::StartsWith(text, prefix), false) => {
                match (text.written_out(), prefix.written_out()) {
                    (Text::Attribute(attribute), Text::Literal(prefix))
                        if self.lookup(*attribute) == Lookup::Prefix =>
                    {
                        self.one(*attribute, vec![Wanted::Prefix(prefix.clone())])
                    }
                    _ => Vec::new(),
                }
            }
            (Test::Variable(variable), _) => {
                variable.test().map_or_else(Vec::new, |test| self.of(test, settled))
            }
            (Test::Not(part), _) => self.of(part, !settled),
            // One operand settles it.
            (Test::All(parts), false) | (Test::Any(parts), true) => {
                any_of(parts.iter().map(|part| self.of(part, settled)))
            }
            // All of them must.
            (Test::All(parts), true) | (Test::Any(parts), false) => {
                all_of(parts.iter().map(|part| self.of(part, settled)))
            }
            // `default(a, b)` has no guards: if the attribute cannot be read, `b` may match.
            _ => Vec::new(),
        }
    }

    fn one(self, attribute: Id, values: Vec<Wanted>) -> Vec<Guard> {
        if values.len() > MAX_VALUES || self.lookup(attribute) == Lookup::None {
            Vec::new()
        } else {
            vec![Guard { attribute, values }]
        }
    }

    fn lookup(self, attribute: Id) -> Lookup {
        self.table.attribute(attribute).map_or(Lookup::None, |attribute| attribute.lookup)
    }
}

fn compared<'t>(left: &'t Text, right: &'t Text) -> Option<(Id, &'t str)> {
    match (left, right) {
        (Text::Attribute(attribute), Text::Literal(value)) => Some((*attribute, value)),
        _ => None,
    }
}

/// The guards of parts of which one settles the whole.
#[must_use]
pub fn any_of(parts: impl Iterator<Item = Vec<Guard>>) -> Vec<Guard> {
    parts.flatten().collect()
}

/// The guards of parts that settle the whole together: one for each attribute on which every part
/// has a guard.
#[must_use]
pub fn all_of(mut parts: impl Iterator<Item = Vec<Guard>>) -> Vec<Guard> {
    let mut common = parts.next().unwrap_or_default();
    for part in parts {
        common.retain_mut(|guard| {
            let Some(other) = part.iter().find(|other| other.attribute == guard.attribute) else {
                return false;
            };
            guard.values.extend(other.values.iter().cloned());
            guard.values.len() <= MAX_VALUES
        });
    }
    common
}
