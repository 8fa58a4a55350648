//! What an attribute must be for a rule to matter: read off a lowered rule, for the index of
//! policies.

use super::attribute::TextAttribute;
use super::lower::{Test, Text};
use super::view::View;

/// The most values that a guard may name; a rule with more is not looked up by them.
const MAX_VALUES: usize = 128;

/// Where the attribute has a value that is none of these, the rule's answer is settled, whatever
/// else the request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) attribute: TextAttribute,
    pub(crate) values: Vec<Wanted>,
}

/// What the attribute's value is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is this.
    Exactly(Box<str>),
    /// It starts with this.
    Prefix(Box<str>),
}

/// The guards of a test, any of which may be used: where one names none of the request's values,
/// the test gives `settled`.
pub(super) fn guards(test: &Test, settled: bool) -> Vec<Guard> {
    match (test, settled) {
        (Test::Equal(left, right), false) | (Test::NotEqual(left, right), true) => {
            compared(left, right)
                .or_else(|| compared(right, left))
                .map_or_else(Vec::new, |(attribute, value)| {
                    one(attribute, vec![Wanted::Exactly(value.into())])
                })
        }
        (Test::In(Text::Attribute(attribute), list), false) => {
            one(*attribute, list.iter().map(|value| Wanted::Exactly(value.clone())).collect())
        }
        (Test::StartsWith(Text::Attribute(TextAttribute::Path), Text::Literal(prefix)), false) => {
            one(TextAttribute::Path, vec![Wanted::Prefix(prefix.clone())])
        }
        (Test::Not(part), _) => guards(part, !settled),
        // One operand settles it.
        (Test::All(parts), false) | (Test::Any(parts), true) => {
            any_of(parts.iter().map(|part| guards(part, settled)))
        }
        // All of them must.
        (Test::All(parts), true) | (Test::Any(parts), false) => {
            all_of(parts.iter().map(|part| guards(part, settled)))
        }
        // Of `default(a, b)` nothing is used: where the attribute cannot be read, `b` may match.
        _ => Vec::new(),
    }
}

fn one(attribute: TextAttribute, values: Vec<Wanted>) -> Vec<Guard> {
    if values.len() > MAX_VALUES || !is_key(attribute) {
        Vec::new()
    } else {
        vec![Guard { attribute, values }]
    }
}

fn compared<'t>(left: &'t Text, right: &'t Text) -> Option<(TextAttribute, &'t str)> {
    match (left, right) {
        (Text::Attribute(attribute), Text::Literal(value)) => Some((*attribute, value)),
        _ => None,
    }
}

/// Whether policies are looked up by this attribute: what hardly ever tells callers or destinations
/// apart is left out.
fn is_key(attribute: TextAttribute) -> bool {
    use TextAttribute as A;
    matches!(
        attribute,
        A::SpiffeId
            | A::TrustDomain
            | A::Namespace
            | A::ServiceAccount
            | A::Host
            | A::Path
            | A::Method
    )
}

/// Whether one of these settles its test for a request.
pub(crate) fn settle(guards: &[Guard], view: &View<'_>) -> bool {
    guards.iter().any(|guard| {
        let fits = |value: &str| {
            guard.values.iter().any(|wanted| match wanted {
                Wanted::Exactly(text) => **text == *value,
                Wanted::Prefix(text) => value.starts_with(&**text),
            })
        };
        // In every reading of the path.
        let other = if guard.attribute == TextAttribute::Path { view.other_path() } else { None };
        let other_fits =
            other.is_some_and(|other| fits(other.split('?').next().unwrap_or_default()));
        guard.attribute.read(view).is_ok_and(|value| !fits(value)) && !other_fits
    })
}

/// The guards of parts of which one settles the whole.
pub(crate) fn any_of(parts: impl Iterator<Item = Vec<Guard>>) -> Vec<Guard> {
    parts.flatten().collect()
}

/// The guards of parts that settle the whole together: those on an attribute that each has one on.
pub(crate) fn all_of(mut parts: impl Iterator<Item = Vec<Guard>>) -> Vec<Guard> {
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
