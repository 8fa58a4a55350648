//! Maps, whose entries are in the order of their keys: bools, numbers, strings. So the order in
//! which a macro visits them is always the same, and finding one among many is cheap.

use std::cmp::Ordering;

use super::Value;
use crate::sort;

/// A map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map<'p> {
    /// By their keys; no two are equal.
    entries: Vec<(Value<'p>, Value<'p>)>,
}

/// Two keys are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Twice;

/// A key, as maps order them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'k> {
    Bool(bool),
    Number(i128),
    Text(&'k str),
}

/// What looks something up in a map.
enum LookedUp<'k> {
    Key(Key<'k>),
    /// A number that no key is.
    Never,
    /// A value that is no key.
    NoKey,
}

#[allow(clippy::cast_possible_truncation, reason = "the number is whole and in range")]
fn looked_up<'k>(value: &'k Value<'_>) -> LookedUp<'k> {
    LookedUp::Key(match value {
        Value::Bool(value) => Key::Bool(*value),
        Value::Int(number) => Key::Number(i128::from(*number)),
        Value::Uint(number) => Key::Number(i128::from(*number)),
        Value::Text(text) => Key::Text(text.as_str()),
        // Below 2^64, and above the least int.
        Value::Double(number)
            if number.trunc() == *number
                && *number > -9_223_372_036_854_775_808.0
                && *number < 18_446_744_073_709_551_616.0 =>
        {
            Key::Number(*number as i128)
        }
        Value::Double(_) => return LookedUp::Never,
        _ => return LookedUp::NoKey,
    })
}

/// Whether a value can be the key of a map.
pub(super) fn is_key(value: &Value<'_>) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Text(_))
}

/// The order of two keys.
fn order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (looked_up(a), looked_up(b)) {
        (LookedUp::Key(a), LookedUp::Key(b)) => a.cmp(&b),
        // INVARIANT: keys are checked before a map is made of them.
        _ => Ordering::Equal,
    }
}

impl<'p> Map<'p> {
    /// A map of these entries, in any order.
    #[inline(never)]
    pub(crate) fn of(mut entries: Vec<(Value<'p>, Value<'p>)>) -> Result<Map<'p>, Twice> {
        sort::by(&mut entries, |(a, _), (b, _)| order(a, b));
        let mut neighbours = entries.iter().zip(entries.iter().skip(1));
        match neighbours.any(|((a, _), (b, _))| order(a, b).is_eq()) {
            true => Err(Twice),
            false => Ok(Map { entries }),
        }
    }

    /// A map of these entries, in any order; of two with one key, the first counts.
    pub(super) fn first_of(mut entries: Vec<(Value<'p>, Value<'p>)>) -> Map<'p> {
        sort::by(&mut entries, |(a, _), (b, _)| order(a, b));
        entries.dedup_by(|(a, _), (b, _)| order(a, b).is_eq());
        Map { entries }
    }

    /// Puts an entry into its place, instead of one with the same key.
    pub(super) fn put(&mut self, key: Value<'p>, value: Value<'p>) {
        match self.entries.binary_search_by(|(known, _)| order(known, &key)) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.entries.insert(at, (key, value)),
        }
    }

    pub(crate) fn entries(&self) -> &[(Value<'p>, Value<'p>)] {
        &self.entries
    }

    /// The value of a key; an error for what is no key.
    pub(super) fn find(&self, key: &Value<'_>) -> Result<Option<&Value<'p>>, ()> {
        match looked_up(key) {
            LookedUp::Key(key) => Ok(self.search(&key)),
            LookedUp::Never => Ok(None),
            LookedUp::NoKey => Err(()),
        }
    }

    /// The value of a key that is a text.
    pub(super) fn field(&self, name: &str) -> Option<&Value<'p>> {
        self.search(&Key::Text(name))
    }

    fn search(&self, key: &Key<'_>) -> Option<&Value<'p>> {
        let at = self.entries.binary_search_by(|(known, _)| match looked_up(known) {
            LookedUp::Key(known) => known.cmp(key),
            _ => Ordering::Less,
        });
        self.entries.get(at.ok()?).map(|(_, value)| value)
    }

    pub(super) fn equals(&self, other: &Map<'_>) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|(key, value)| {
                other.find(key).is_ok_and(|found| found.is_some_and(|found| value.equals(found)))
            })
    }

    pub(super) fn lasting(&self, nesting: usize) -> Option<Map<'static>> {
        let kept = self
            .entries
            .iter()
            .map(|(key, value)| Some((key.lasting(nesting)?, value.lasting(nesting)?)));
        Some(Map { entries: kept.collect::<Option<Vec<_>>>()? })
    }
}
