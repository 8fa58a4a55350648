//! Denies that read a header which need not be there: reading it fails then, and a Deny that fails
//! denies.

use super::Found;
use super::rules::spot_of;
use crate::attributes::REQUEST_HEADERS;
use crate::cel::lowered::{Test, Text};
use crate::cel::{Expression, Scope};
use crate::config::{AuthorizationConfig, Expr, OnError, PolicyConfig};

/// The most doubts of this kind about one expression.
pub(super) const MAX: usize = 8;

/// What a test gives for a request without a header, and for one in which it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Is {
    False,
    True,
    /// It may be either.
    Unknown,
    Error,
}

type Pair = (Is, Is);

/// Looks for headers without which a Deny fails, where their being empty would not be denied: then
/// it is hardly meant that a request without them is.
pub(super) fn examine(
    policy: &PolicyConfig,
    authorization: &AuthorizationConfig,
    (expr, expression): (&Expr, &Expression),
    scope: Scope<'_>,
    found: &mut Found,
) {
    if authorization.on_error != OnError::Deny {
        return;
    }
    let Some(test) = expression.rule() else { return };
    let mut names = Vec::new();
    headers(test, &mut names);
    for name in names.into_iter().take(MAX) {
        if !outcomes(test, name).contains(&(Is::Error, Is::False)) {
            continue;
        }
        let spot = spot_of(scope, expr, |part| {
            let mut read = Vec::new();
            headers(part, &mut read);
            read.contains(&name) && outcomes(part, name).contains(&(Is::Error, Is::False))
        });
        let message = format!(
            "a request without `{name}` is denied as well, since reading it fails then: if that \
             is not meant, write `default(request.headers[\"{name}\"], \"\")`"
        );
        found.add(policy, "deny-without-header", (&expr.place, spot), message);
    }
}

/// The headers that a test reads, each once.
fn headers<'t>(test: &'t Test, names: &mut Vec<&'t str>) {
    let mut of = |text: &'t Text| in_text(text, names);
    match test {
        Test::Not(part) => headers(part, names),
        Test::All(parts) | Test::Any(parts) => parts.iter().for_each(|part| headers(part, names)),
        Test::If(parts) => parts.iter().for_each(|part| headers(part, names)),
        Test::Default(parts) => parts.iter().for_each(|part| headers(part, names)),
        Test::Equal(a, b)
        | Test::NotEqual(a, b)
        | Test::StartsWith(a, b)
        | Test::EndsWith(a, b)
        | Test::Contains(a, b) => {
            of(a);
            of(b);
        }
        Test::In(text, _) | Test::Matches(text, _) => of(text),
        Test::Variable(variable) => {
            if let Some(test) = variable.test() {
                headers(test, names);
            }
        }
        _ => {}
    }
}

fn in_text<'t>(text: &'t Text, names: &mut Vec<&'t str>) {
    match text.written_out() {
        Text::Header(REQUEST_HEADERS, name) if !names.contains(&&**name) => names.push(name),
        Text::Concat(parts) => parts.iter().for_each(|part| in_text(part, names)),
        // What stands in for it is read only where it is not there.
        Text::Default(_) => {}
        _ => {}
    }
}

/// What a text is for a request without a header, and for one in which it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'t> {
    Is(&'t str),
    Unknown,
    Missing,
}

fn value<'t>(text: &'t Text, name: &str, is_there: bool) -> Value<'t> {
    match text.written_out() {
        Text::Literal(text) => Value::Is(text),
        Text::Header(REQUEST_HEADERS, header) if **header == *name => {
            if is_there {
                Value::Is("")
            } else {
                Value::Missing
            }
        }
        Text::Default(parts) => {
            let [first, second] = &**parts;
            match value(first, name, is_there) {
                Value::Missing => value(second, name, is_there),
                known => known,
            }
        }
        Text::Concat(parts) => {
            let missing = parts.iter().any(|part| value(part, name, is_there) == Value::Missing);
            if missing { Value::Missing } else { Value::Unknown }
        }
        _ => Value::Unknown,
    }
}

/// What a test can give, with and without a header, whatever else the request has. What is not
/// about the header is the same in both.
fn outcomes(test: &Test, name: &str) -> Vec<Pair> {
    match test {
        Test::Literal(is) => vec![if *is { BOTH } else { NEITHER }],
        Test::Not(part) => {
            let negated = |(a, b): Pair| (not(a), not(b));
            distinct(outcomes(part, name).into_iter().map(negated))
        }
        Test::All(parts) => all(parts, name, |pair| pair),
        Test::Any(parts) => {
            let none = all(parts, name, |(a, b)| (not(a), not(b)));
            distinct(none.into_iter().map(|(a, b)| (not(a), not(b))))
        }
        Test::If(parts) => {
            let [_, yes, no] = &**parts;
            distinct(outcomes(yes, name).into_iter().chain(outcomes(no, name)))
        }
        Test::Default(parts) => {
            let [first, second] = &**parts;
            let (first, second) = (outcomes(first, name), outcomes(second, name));
            let or = |a: Is, b: Is| if a == Is::Error { b } else { a };
            let pairs =
                first.iter().flat_map(|a| second.iter().map(move |b| (or(a.0, b.0), or(a.1, b.1))));
            distinct(pairs)
        }
        Test::Equal(a, b) => of_texts(a, b, name, |a, b| a == b),
        Test::NotEqual(a, b) => of_texts(a, b, name, |a, b| a != b),
        Test::StartsWith(a, b) => of_texts(a, b, name, |a, b| a.starts_with(b)),
        Test::EndsWith(a, b) => of_texts(a, b, name, |a, b| a.ends_with(b)),
        Test::Contains(a, b) => of_texts(a, b, name, |a, b| a.contains(b)),
        Test::In(text, list) => of_values(|is_there| match value(text, name, is_there) {
            Value::Is(text) => known(list.iter().any(|item| **item == *text)),
            Value::Unknown => Is::Unknown,
            Value::Missing => Is::Error,
        }),
        Test::Matches(text, _) => of_values(|is_there| match value(text, name, is_there) {
            Value::Missing => Is::Error,
            _ => Is::Unknown,
        }),
        Test::HeaderIsIn(REQUEST_HEADERS, header) | Test::HasHeader(REQUEST_HEADERS, header)
            if **header == *name =>
        {
            vec![(Is::False, Is::True)]
        }
        Test::Variable(variable) => {
            variable.test().map_or_else(|| ELSE.to_vec(), |test| outcomes(test, name))
        }
        _ => ELSE.to_vec(),
    }
}

const BOTH: Pair = (Is::True, Is::True);
const NEITHER: Pair = (Is::False, Is::False);
/// Something that is not about the header.
const ELSE: [Pair; 2] = [BOTH, NEITHER];

fn of_texts(a: &Text, b: &Text, name: &str, holds: impl Fn(&str, &str) -> bool) -> Vec<Pair> {
    of_values(|is_there| match (value(a, name, is_there), value(b, name, is_there)) {
        (Value::Missing, _) | (_, Value::Missing) => Is::Error,
        (Value::Is(a), Value::Is(b)) => known(holds(a, b)),
        _ => Is::Unknown,
    })
}

/// The results without and with a header; where it makes no difference, either.
fn of_values(of: impl Fn(bool) -> Is) -> Vec<Pair> {
    match (of(false), of(true)) {
        (Is::Unknown, Is::Unknown) => ELSE.to_vec(),
        pair => vec![pair],
    }
}

fn known(is: bool) -> Is {
    if is { Is::True } else { Is::False }
}

fn not(is: Is) -> Is {
    match is {
        Is::False => Is::True,
        Is::True => Is::False,
        other => other,
    }
}

/// `&&` of two: false decides it, whatever the other is.
fn and(a: Is, b: Is) -> Is {
    match (a, b) {
        (Is::False, _) | (_, Is::False) => Is::False,
        (Is::Error, _) | (_, Is::Error) => Is::Error,
        (Is::Unknown, _) | (_, Is::Unknown) => Is::Unknown,
        (Is::True, Is::True) => Is::True,
    }
}

fn all(parts: &[Test], name: &str, of: impl Fn(Pair) -> Pair) -> Vec<Pair> {
    parts.iter().fold(vec![BOTH], |so_far, part| {
        let next: Vec<Pair> = outcomes(part, name).into_iter().map(&of).collect();
        let pairs = so_far
            .iter()
            .flat_map(|(a, b)| next.iter().map(move |(c, d)| (and(*a, *c), and(*b, *d))));
        distinct(pairs)
    })
}

/// There are sixteen pairs at most.
fn distinct(pairs: impl Iterator<Item = Pair>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}
