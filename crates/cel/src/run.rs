//! Evaluates lowered expressions.

use std::borrow::Cow;

use super::Expression;
use super::attributes::{Attributes, Fault, Id, utf8};
use super::bounded::MAX_TEXT;
use super::lowered::{Number, Test, Text, Time};
use super::meter::{Allowance, BYTES_A_STEP};
use super::program::Scene;
use super::regex;
use super::time::Timestamp;
use super::{eval, search, values};

/// Why an evaluation has no value, without the request's data in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure<'p> {
    /// An attribute or header is not there.
    Missing(&'p str),
    /// It is not UTF-8.
    NotUtf8(&'p str),
    /// A key is not there whose name the message gave.
    NoKey,
    /// A function or an operator has no result.
    In(&'p str),
    /// Something else, which is always said like this.
    Plain(&'static str),
    /// Something else.
    Interpreted(String),
}

impl std::fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Missing(name) => write!(f, "no such key: {name}"),
            Failure::NotUtf8(name) => write!(f, "error in `{name}`: not UTF-8"),
            Failure::NoKey => f.write_str("no such key"),
            Failure::In(name) => write!(f, "error in `{name}`"),
            Failure::Plain(message) => f.write_str(message),
            Failure::Interpreted(message) => f.write_str(message),
        }
    }
}

impl Failure<'_> {
    /// The allowance is spent.
    #[cold]
    pub(super) fn exceeded() -> Self {
        Failure::Plain(eval::EXCEEDED)
    }
}

pub(super) type Evaluated<'p, T> = Result<T, Failure<'p>>;

/// One evaluation of a lowered expression for a request.
pub(super) struct Run<'p, A> {
    pub(super) expression: &'p Expression,
    pub(super) attributes: &'p A,
    pub(super) allowance: &'p Allowance,
}

impl<'p, A: Attributes> Run<'p, A> {
    /// Evaluates a rule.
    pub(super) fn test(&self, test: &'p Test) -> Evaluated<'p, bool> {
        let run = |part: &'p Test| self.test(part);
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
            Test::Equal(left, right) => self.compare(left, right, same)?,
            Test::NotEqual(left, right) => !self.compare(left, right, same)?,
            Test::Number(comparison, left, right) => {
                let left = self.number(left)?;
                comparison.holds(left.cmp(&self.number(right)?))
            }
            Test::Time(comparison, operands) => {
                let [left, right] = **operands;
                let left = self.time(left)?;
                comparison.holds(left.cmp(&self.time(right)?))
            }
            Test::StartsWith(value, prefix) => {
                self.called(value, prefix, |value, prefix| value.starts_with(prefix))?
            }
            Test::EndsWith(value, suffix) => {
                self.called(value, suffix, |value, suffix| value.ends_with(suffix))?
            }
            Test::Contains(value, part) => {
                let part = self.text(part)?;
                search::contains(&self.text(value)?, &part, self.allowance)
                    .ok_or_else(Failure::exceeded)?
            }
            Test::In(value, list) => {
                let value = self.text(value)?;
                list.binary_search_by(|one| (**one).cmp(&*value)).is_ok()
            }
            Test::NumberIn(value, list) => list.binary_search(&self.number(value)?).is_ok(),
            Test::Matches(value, index) => {
                let value = self.text(value)?;
                let missing = || Failure::Interpreted("error in `matches`".to_owned());
                let pattern = self.expression.patterns.get(*index).ok_or_else(missing)?;
                let found = pattern.is_match(&value, self.allowance);
                found.map_err(|regex::Exceeded| Failure::exceeded())?
            }
            Test::HeaderIsIn(of, name) => self.attributes.header(*of, name).is_some(),
            Test::HasHeader(of, name) => there(self.header(*of, name))?,
            Test::HasText(id) => there(self.attribute(*id))?,
            Test::HasObject(id) => self.attributes.is_there(*id),
            Test::Variable(variable) => {
                return variable.is_true(self.attributes, self.allowance);
            }
            Test::Interpreted(node) => {
                return node.0.rule(self.scene());
            }
        })
    }

    /// Whether something holds of two texts.
    fn compare(
        &self,
        left: &'p Text,
        right: &'p Text,
        holds: impl Fn(&str, &str) -> bool,
    ) -> Evaluated<'p, bool> {
        if let (Text::Attribute(left), Text::Literal(right)) = (left, right) {
            return Ok(holds(self.attribute(*left)?, right));
        }
        // In the order of the language: if the left operand fails, the right one is not evaluated,
        // and cannot cause a breach.
        let left = self.text(left)?;
        let right = self.text(right)?;
        Ok(holds(&left, &right))
    }

    /// Whether something holds of a text and the argument of a function that is called on it. As
    /// in `program`, the argument is evaluated first.
    fn called(
        &self,
        value: &'p Text,
        argument: &'p Text,
        holds: impl Fn(&str, &str) -> bool,
    ) -> Evaluated<'p, bool> {
        if let (Text::Attribute(value), Text::Literal(argument)) = (value, argument) {
            return Ok(holds(self.attribute(*value)?, argument));
        }
        let argument = self.text(argument)?;
        Ok(holds(&self.text(value)?, &argument))
    }

    /// Evaluates a string.
    pub(super) fn text(&self, text: &'p Text) -> Evaluated<'p, Cow<'p, str>> {
        match text {
            Text::Literal(value) => Ok(Cow::Borrowed(value)),
            Text::Attribute(from) => self.attribute(*from).map(Cow::Borrowed),
            Text::Header(of, name) => self.header(*of, name).map(Cow::Borrowed),
            Text::Concat(parts) => {
                let mut whole = String::with_capacity(64);
                for part in parts {
                    match part {
                        Text::Literal(value) => whole.push_str(value),
                        Text::Attribute(from) => whole.push_str(self.attribute(*from)?),
                        part => whole.push_str(&self.text(part)?),
                    }
                    if whole.len() > MAX_TEXT {
                        self.allowance.breach();
                        return Err(Failure::Interpreted("error in `+`".to_owned()));
                    }
                }
                self.allowance.spend_on(whole.len(), BYTES_A_STEP);
                Ok(Cow::Owned(whole))
            }
            Text::Default(parts) => {
                let [value, fallback] = &**parts;
                self.text(value).or_else(|_| self.text(fallback))
            }
            Text::If(parts) => {
                let (condition, yes, no) = &**parts;
                self.text(if self.test(condition)? { yes } else { no })
            }
            Text::Variable(variable) => variable.string(self.attributes, self.allowance),
            Text::FromNumber(value) => Ok(Cow::Owned(self.number(value)?.to_string())),
            Text::FromTime(id) => Ok(Cow::Owned(self.moment(*id)?.to_string())),
            Text::FromBytes(id) => self.text_of_bytes(*id).map(Cow::Borrowed),
        }
    }

    #[inline(never)]
    fn text_of_bytes(&self, id: Id) -> Evaluated<'p, &'p str> {
        let name = || self.attributes.table().attribute(id).map_or("", |attribute| attribute.name);
        match self.attributes.bytes(id) {
            Ok(bytes) => self.read(utf8(Some(bytes)), name),
            Err(why) => {
                self.allowance.unreadable();
                Err(Failure::Interpreted(values::unread_message(why, name())))
            }
        }
    }

    fn number(&self, number: &Number) -> Evaluated<'p, i64> {
        match number {
            Number::Literal(value) => Ok(*value),
            Number::Attribute(id) => {
                self.attributes.int(*id).ok_or_else(|| Failure::Missing(self.missing_name(*id)))
            }
            Number::Field(parts) => {
                let (id, field, zone) = **parts;
                let time = self.moment(id)?;
                // Finding a date takes more than a sixteenth of a step.
                if !self.allowance.spend(1) {
                    return Err(Failure::exceeded());
                }
                Ok(time.field(field, zone))
            }
        }
    }

    fn time(&self, time: Time) -> Evaluated<'p, Timestamp> {
        match time {
            Time::Literal(value) => Ok(value),
            Time::Attribute(id) => self.moment(id),
        }
    }

    /// A timestamp of the request.
    fn moment(&self, id: Id) -> Evaluated<'p, Timestamp> {
        self.attributes.time(id).ok_or_else(|| Failure::Missing(self.missing_name(id)))
    }

    #[inline]
    fn attribute(&self, id: Id) -> Evaluated<'p, &'p str> {
        self.read(self.attributes.text(id), || self.missing_name(id))
    }

    #[cold]
    fn missing_name(&self, id: Id) -> &'static str {
        self.attributes.table().missing_name(id, self.attributes)
    }

    fn header(&self, of: Id, name: &'p str) -> Evaluated<'p, &'p str> {
        self.read(utf8(self.attributes.header(of, name)), || name)
    }

    pub(super) fn scene(&self) -> Scene<'p> {
        Scene {
            attributes: self.attributes,
            allowance: self.allowance,
            patterns: &self.expression.patterns,
            variables: &self.expression.variables,
        }
    }

    /// A text of the request, which is charged for. One that cannot be read is a breach, because it
    /// must not be treated as missing.
    #[inline]
    fn read(
        &self,
        found: Result<&'p str, Fault>,
        name: impl FnOnce() -> &'p str,
    ) -> Evaluated<'p, &'p str> {
        match found {
            Ok(text) if self.allowance.spend_on(text.len(), BYTES_A_STEP) => Ok(text),
            Ok(_) => Err(Failure::exceeded()),
            Err(Fault::Missing) => Err(Failure::Missing(name())),
            Err(Fault::NotUtf8) => {
                self.allowance.unreadable();
                Err(Failure::NotUtf8(name()))
            }
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    egress_reading::hash::same(a.as_bytes(), b.as_bytes())
}

/// The value of `has`. An attribute that cannot be read is an error here, too.
fn there<'p>(found: Evaluated<'p, &'p str>) -> Evaluated<'p, bool> {
    match found {
        Ok(_) => Ok(true),
        Err(Failure::Missing(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// `&&` and `||`. One decisive operand settles the result, whatever the others are; without one, an
/// error makes it an error.
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
