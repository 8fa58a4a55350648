//! The functions that expressions call, by their names. Each takes all that its overloads take.
//!
//! Each is bounded: its result has at most [`MAX_TEXT`] bytes or [`MAX_PARTS`] parts, and anything
//! larger is an error. No error contains data of the request.

mod convert;
mod encoding;
mod format;
mod maps;
mod math;
mod net;
mod optional;
mod text;
pub(super) mod time;
mod url;

use super::evaluate::Run;
use super::{Bytes, Value};
use crate::bounded::MAX_TEXT;
use crate::run::{Evaluated, Failure};

/// A function.
#[derive(Clone, Copy)]
pub(super) struct Function {
    /// Its name, for messages.
    pub(super) name: &'static str,
    pub(super) run: Code,
}

/// What a function does with its arguments, of which the first is what a member is called on.
pub(super) type Code =
    for<'p> fn(&Run<'_, 'p>, &'static str, &mut [Value<'p>]) -> Evaluated<'p, Value<'p>>;

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(a)`
    Global,
    /// `a.f()`
    Member,
}

type Row = (&'static str, Code);

const GLOBAL: &[&[Row]] = &[
    convert::GLOBAL,
    encoding::GLOBAL,
    maps::GLOBAL,
    math::GLOBAL,
    net::GLOBAL,
    optional::GLOBAL,
    text::GLOBAL,
    time::GLOBAL,
    url::GLOBAL,
];
const MEMBER: &[&[Row]] = &[
    format::MEMBER,
    maps::MEMBER,
    net::MEMBER,
    optional::MEMBER,
    text::MEMBER,
    time::MEMBER,
    url::MEMBER,
];

/// The function of a name, which may be one that only the tree has.
#[inline(never)]
pub(super) fn find(style: Style, name: &str) -> Option<Function> {
    let tables = if style == Style::Global { GLOBAL } else { MEMBER };
    let found = tables.iter().flat_map(|rows| rows.iter()).find(|(known, _)| *known == name);
    found.map(|(name, run)| Function { name: name.strip_prefix('@').unwrap_or(name), run: *run })
}

/// The failure of arguments that no overload takes.
#[cold]
fn unknown<'p>(name: &'static str) -> Failure<'p> {
    Failure::In(name)
}

/// An argument that is a text.
fn text_at<'a>(
    name: &'static str,
    arguments: &'a [Value<'_>],
    index: usize,
) -> Result<&'a str, Failure<'static>> {
    arguments.get(index).and_then(Value::as_text).ok_or(Failure::In(name))
}

/// An argument that is a text or bytes, as bytes.
fn bytes_at<'a>(
    name: &'static str,
    arguments: &'a [Value<'_>],
    index: usize,
) -> Result<&'a [u8], Failure<'static>> {
    match arguments.get(index) {
        Some(Value::Text(text)) => Ok(text.as_str().as_bytes()),
        Some(Value::Bytes(bytes)) => Ok(bytes.as_slice()),
        _ => Err(Failure::In(name)),
    }
}

/// Takes an argument.
fn take<'p>(arguments: &mut [Value<'p>], index: usize) -> Value<'p> {
    arguments.get_mut(index).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
}

fn made_bytes<'p>(bytes: Vec<u8>) -> Value<'p> {
    Value::Bytes(Bytes::Shared(bytes.into()))
}

/// A text under construction, up to the limit.
struct Made<'r, 'p> {
    run: &'r Run<'r, 'p>,
    name: &'static str,
    text: String,
}

impl<'r, 'p> Made<'r, 'p> {
    fn new(run: &'r Run<'_, 'p>, name: &'static str) -> Made<'r, 'p> {
        Made { run, name, text: String::new() }
    }

    #[inline(never)]
    fn push(&mut self, part: &str) -> Evaluated<'p, ()> {
        if self.text.len().saturating_add(part.len()) > MAX_TEXT {
            return Err(self.run.breach(self.name));
        }
        self.text.push_str(part);
        Ok(())
    }

    fn value(self) -> Value<'p> {
        Value::made(&self.text)
    }
}
