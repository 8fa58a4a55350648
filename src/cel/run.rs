//! Evaluation of what was lowered.

use std::borrow::Cow;

use super::attribute::{Fault, TextAttribute, utf8};
use super::bounded::MAX_TEXT;
use super::lower::{Comparison, Headers, Number, Test, Text};
use super::view::View;
use super::{Expression, eval, meter, regex, search};

/// Why an evaluation gives no value, without the request's data in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure<'p> {
    /// An attribute or header is not there.
    Missing(&'p str),
    /// It is not UTF-8.
    NotUtf8(&'p str),
    /// What the interpreter says.
    Interpreted(String),
}

impl std::fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Missing(name) => write!(f, "no such key: {name}"),
            Failure::NotUtf8(name) => write!(f, "error in `{name}`: not UTF-8"),
            Failure::Interpreted(message) => f.write_str(message),
        }
    }
}

type Evaluated<'p, T> = Result<T, Failure<'p>>;

/// Evaluates a lowered rule.
pub(super) fn test<'p>(
    test: &'p Test,
    expression: &'p Expression,
    view: &'p View<'_>,
) -> Evaluated<'p, bool> {
    let run = |part: &'p Test| self::test(part, expression, view);
    let of = |part: &'p Text| text(part, expression, view);
    Ok(match test {
        Test::Literal(value) => *value,
        Test::Not(part) => !run(part)?,
        Test::All(parts) => return settled(parts.iter().map(run), false),
        Test::Any(parts) => return settled(parts.iter().map(run), true),
        Test::If(parts) => {
            let [condition, yes, no] = &**parts;
            run(if run(condition)? { yes } else { no })?
        }
        Test::Default(parts) => {
            let [value, fallback] = &**parts;
            run(value).or_else(|_| run(fallback))?
        }
        Test::Equal(left, right) => compare((left, right), expression, view, same)?,
        Test::NotEqual(left, right) => !compare((left, right), expression, view, same)?,
        Test::Number(comparison, left, right) => {
            let (left, right) = (number(*left, view)?, number(*right, view)?);
            match comparison {
                Comparison::Equal => left == right,
                Comparison::NotEqual => left != right,
                Comparison::Less => left < right,
                Comparison::LessOrEqual => left <= right,
                Comparison::Greater => left > right,
                Comparison::GreaterOrEqual => left >= right,
            }
        }
        Test::StartsWith(value, prefix) => {
            called((value, prefix), expression, view, |value, prefix| value.starts_with(prefix))?
        }
        Test::EndsWith(value, suffix) => {
            called((value, suffix), expression, view, |value, suffix| value.ends_with(suffix))?
        }
        Test::Contains(value, part) => {
            let part = of(part)?;
            search::contains(&of(value)?, &part)
                .ok_or_else(|| Failure::Interpreted(eval::EXCEEDED.to_owned()))?
        }
        Test::In(value, list) => {
            let value = of(value)?;
            list.binary_search_by(|one| (**one).cmp(&*value)).is_ok()
        }
        Test::Matches(value, index) => {
            let value = of(value)?;
            let missing = || Failure::Interpreted("error in `matches`".to_owned());
            let found = expression.patterns.get(*index).ok_or_else(missing)?.is_match(&value);
            found.map_err(|regex::Exceeded| Failure::Interpreted(eval::EXCEEDED.to_owned()))?
        }
        Test::HeaderIsIn(of, name) => header_bytes(*of, name, view).is_some(),
        Test::HasHeader(of, name) => there(header(*of, name, view))?,
        Test::HasAttribute(attribute) => there(self::attribute(*attribute, view))?,
        Test::HasIdentity => view.caller().is_workload(),
        Test::Interpreted(node) => {
            return eval::rule(node, &expression.env, view, &expression.patterns)
                .map_err(Failure::Interpreted);
        }
    })
}

/// Whether something holds of two texts.
fn compare<'p>(
    (left, right): (&'p Text, &'p Text),
    expression: &'p Expression,
    view: &'p View<'_>,
    holds: impl Fn(&str, &str) -> bool,
) -> Evaluated<'p, bool> {
    if let (Text::Attribute(left), Text::Literal(right)) = (left, right) {
        return Ok(holds(attribute(*left, view)?, right));
    }
    // One after the other, as the interpreter does: where the left one ends the rule, what the
    // right one holds is not looked at, and cannot breach anything.
    let left = text(left, expression, view)?;
    let right = text(right, expression, view)?;
    Ok(holds(&left, &right))
}

/// Whether something holds of a text and what a function is called on it with, which is asked for
/// first.
fn called<'p>(
    (value, argument): (&'p Text, &'p Text),
    expression: &'p Expression,
    view: &'p View<'_>,
    holds: impl Fn(&str, &str) -> bool,
) -> Evaluated<'p, bool> {
    if let (Text::Attribute(value), Text::Literal(argument)) = (value, argument) {
        return Ok(holds(attribute(*value, view)?, argument));
    }
    let argument = text(argument, expression, view)?;
    Ok(holds(&text(value, expression, view)?, &argument))
}

fn same(a: &str, b: &str) -> bool {
    crate::hash::same(a.as_bytes(), b.as_bytes())
}

fn attribute<'p>(attribute: TextAttribute, view: &'p View<'_>) -> Evaluated<'p, &'p str> {
    read(attribute.read(view), || attribute.missing_name(view))
}

fn header<'p>(of: Headers, name: &'p str, view: &'p View<'_>) -> Evaluated<'p, &'p str> {
    read(utf8(header_bytes(of, name, view)), || name)
}

/// A text of the request, which is charged for. One that cannot be read is there all the same, so
/// nothing may take it for one that is not.
#[inline]
fn read<'p>(
    found: Result<&'p str, Fault>,
    name: impl FnOnce() -> &'p str,
) -> Evaluated<'p, &'p str> {
    match found {
        Ok(text) if meter::spend_on(text.len(), meter::BYTES_A_STEP) => Ok(text),
        Ok(_) => Err(Failure::Interpreted(eval::EXCEEDED.to_owned())),
        Err(Fault::Missing) => Err(Failure::Missing(name())),
        Err(Fault::NotUtf8) => {
            meter::unreadable();
            Err(Failure::NotUtf8(name()))
        }
    }
}

/// What `has` says: reading what cannot be read is an error, as it is in any other place.
fn there<'p>(found: Evaluated<'p, &'p str>) -> Evaluated<'p, bool> {
    match found {
        Ok(_) => Ok(true),
        Err(Failure::Missing(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// `&&` and `||`: one decisive operand settles it, whatever the others are; else one error makes it
/// an error.
fn settled<'p>(
    parts: impl Iterator<Item = Evaluated<'p, bool>>,
    decisive: bool,
) -> Evaluated<'p, bool> {
    let mut failure = None;
    for part in parts {
        match part {
            Ok(value) if value == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(found) => failure = failure.or(Some(found)),
        }
    }
    failure.map_or(Ok(!decisive), Err)
}

/// Evaluates a lowered string.
pub(super) fn text<'p>(
    text: &'p Text,
    expression: &'p Expression,
    view: &'p View<'_>,
) -> Evaluated<'p, Cow<'p, str>> {
    let of = |part: &'p Text| self::text(part, expression, view);
    match text {
        Text::Literal(value) => Ok(Cow::Borrowed(value)),
        Text::Attribute(from) => attribute(*from, view).map(Cow::Borrowed),
        Text::Header(of, name) => header(*of, name, view).map(Cow::Borrowed),
        Text::Concat(parts) => {
            let mut whole = String::with_capacity(64);
            for part in parts {
                whole.push_str(&of(part)?);
                if whole.len() > MAX_TEXT {
                    meter::breach();
                    return Err(Failure::Interpreted("error in `+`".to_owned()));
                }
            }
            meter::spend_on(whole.len(), meter::BYTES_A_STEP);
            Ok(Cow::Owned(whole))
        }
        Text::Default(parts) => {
            let [value, fallback] = &**parts;
            of(value).or_else(|_| of(fallback))
        }
        Text::If(parts) => {
            let (condition, yes, no) = &**parts;
            of(if self::test(condition, expression, view)? { yes } else { no })
        }
        Text::FromNumber(value) => Ok(Cow::Owned(number(*value, view)?.to_string())),
    }
}

fn number<'p>(number: Number, view: &View<'_>) -> Evaluated<'p, i64> {
    match number {
        Number::Literal(value) => Ok(value),
        Number::Attribute(attribute) => {
            attribute.read(view).ok_or(Failure::Missing(attribute.name()))
        }
    }
}

fn header_bytes<'s>(of: Headers, name: &str, view: &'s View<'_>) -> Option<&'s [u8]> {
    match of {
        Headers::Request => view.request_headers().value(name),
        Headers::Response => view.response_headers()?.value(name),
    }
}
