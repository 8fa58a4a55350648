//! Strings, and patterns in them.

use super::super::{Str, Value};
use super::super::evaluate::Run;
use super::super::headers::{Values, View};
use super::{Made, Row, text_at, unknown};
use crate::bounded::{MAX_PARTS, MAX_TEXT};
use crate::library::strings;
use crate::regex::{self, Compiled, Exceeded};
use crate::run::{Evaluated, Failure};
use crate::search;

pub(super) const GLOBAL: &[Row] = &[("matches", matches), ("strings.quote", quote)];

pub(super) const MEMBER: &[Row] = &[
    ("matches", matches),
    ("@contains", |run, name, of| {
        let (text, part) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
        let found = search::contains(text, part, run.scene.allowance);
        found.map(Value::Bool).ok_or_else(Failure::exceeded)
    }),
    ("startsWith", |_, name, of| {
        Ok(Value::Bool(text_at(name, of, 0)?.starts_with(text_at(name, of, 1)?)))
    }),
    ("endsWith", |_, name, of| {
        Ok(Value::Bool(text_at(name, of, 0)?.ends_with(text_at(name, of, 1)?)))
    }),
    ("charAt", |_, name, of| {
        let text = text_at(name, of, 0)?;
        let index = index_at(name, of, 1)?.ok_or(Failure::In(name))?;
        match text.get(strings::byte_at(text, index)..).and_then(|rest| rest.chars().next()) {
            Some(found) => Ok(Value::made(found.encode_utf8(&mut [0; 4]))),
            None if index == text.chars().count() => Ok(Value::text("")),
            None => Err(Failure::In(name)),
        }
    }),
    ("@indexOf", |_, name, of| position(name, of, strings::first)),
    ("@lastIndexOf", |_, name, of| position(name, of, strings::last)),
    ("lowerAscii", |_, name, of| Ok(Value::made(&text_at(name, of, 0)?.to_ascii_lowercase()))),
    ("upperAscii", |_, name, of| Ok(Value::made(&text_at(name, of, 0)?.to_ascii_uppercase()))),
    ("trim", |_, name, of| Ok(Value::made(text_at(name, of, 0)?.trim()))),
    ("stripPrefix", |_, name, of| {
        let (text, prefix) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
        Ok(Value::made(text.strip_prefix(prefix).unwrap_or(text)))
    }),
    ("stripSuffix", |_, name, of| {
        let (text, suffix) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
        Ok(Value::made(text.strip_suffix(suffix).unwrap_or(text)))
    }),
    ("reverse", |_, name, of| {
        let reversed: String = text_at(name, of, 0)?.chars().rev().collect();
        Ok(Value::made(&reversed))
    }),
    ("substring", |_, name, of| {
        let text = text_at(name, of, 0)?;
        let start = index_at(name, of, 1)?.ok_or(Failure::In(name))?;
        let rest = after(text, start).ok_or(Failure::In(name))?;
        if of.len() < 3 {
            return Ok(Value::made(rest));
        }
        let end = index_at(name, of, 2)?.and_then(|end| end.checked_sub(start));
        let behind = end.and_then(|length| after(rest, length)).ok_or(Failure::In(name))?;
        Ok(Value::made(rest.strip_suffix(behind).unwrap_or(rest)))
    }),
    ("@replace", replace),
    ("@split", split),
    ("@join", join),
    ("regexReplace", regex_replace),
];

/// An argument that is an int; none if it is negative.
fn index_at<'p>(
    name: &'static str,
    of: &[Value<'_>],
    index: usize,
) -> Evaluated<'p, Option<usize>> {
    match of.get(index) {
        Some(Value::Int(number)) => Ok(usize::try_from(*number).ok()),
        _ => Err(unknown(name)),
    }
}

/// A text without so many code points at its start; none if it has fewer.
fn after(text: &str, count: usize) -> Option<&str> {
    let mut rest = text.chars();
    for _ in 0..count {
        rest.next()?;
    }
    Some(rest.as_str())
}

/// The byte at which the part starts, at the offset (in code points) or on its other side.
type Search = fn(text: &str, part: &str, offset: Option<usize>) -> Option<usize>;

fn position<'p>(name: &'static str, of: &[Value<'_>], search: Search) -> Evaluated<'p, Value<'p>> {
    let (text, part) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
    let offset = if of.len() > 2 {
        let length = text.chars().count();
        match index_at(name, of, 2)? {
            Some(given) if given < length => Some(given),
            Some(_) if part.is_empty() => Some(length),
            // There is nothing at that offset, which may be caught.
            _ => return Err(Failure::In(name)),
        }
    } else {
        None
    };
    let found = search(text, part, offset).and_then(|byte| text.get(..byte));
    let index = found.and_then(|before| i64::try_from(before.chars().count()).ok());
    Ok(Value::Int(index.unwrap_or(-1)))
}

fn quote<'p>(
    _: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let text = text_at(name, of, 0)?;
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    Ok(Value::made(&quoted))
}

/// A count that may be left out. A negative one is no bound.
fn count(of: &[Value<'_>], index: usize) -> usize {
    match of.get(index) {
        Some(Value::Int(number)) => usize::try_from(*number).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

fn replace<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let (text, from, to) = (text_at(name, of, 0)?, text_at(name, of, 1)?, text_at(name, of, 2)?);
    let most = count(of, 3);
    let found = text.matches(from).count().min(most);
    let size = found.checked_mul(to.len()).and_then(|added| added.checked_add(text.len()));
    if size.is_none_or(|size| size > MAX_TEXT) {
        return Err(run.breach(name));
    }
    run.spend(u64::try_from(found / 2).unwrap_or(u64::MAX))?;
    Ok(Value::made(&text.replacen(from, to, most)))
}

fn split<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    if of.len() == 1 {
        return run.view(name, of, |view| View { values: Values::Parts, ..view });
    }
    let (text, separator) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
    let most = count(of, 2);
    let parts = match of.first() {
        // Its parts are where it is.
        Some(Value::Text(Str::Borrowed(text))) => parts_of(text, separator, most, Value::text),
        _ => parts_of(text, separator, most, Value::made),
    };
    parts.map(Value::list).ok_or_else(|| run.breach(name))
}

/// The parts of a text; none if there are too many.
fn parts_of<'t, 'p>(
    text: &'t str,
    separator: &str,
    most: usize,
    part: fn(&'t str) -> Value<'p>,
) -> Option<Vec<Value<'p>>> {
    let is_empty = most == 0 || (separator.is_empty() && text.is_empty());
    let mut remaining = Some(text).filter(|_| !is_empty);
    let mut parts: Vec<Value<'p>> = Vec::with_capacity(8);
    while let Some(now) = remaining {
        if parts.len() >= MAX_PARTS {
            return None;
        }
        let last = parts.len().saturating_add(1) >= most;
        let cut = if last { None } else { cut(now, separator) };
        parts.push(part(cut.map_or(now, |(part, _)| part)));
        remaining = cut.map(|(_, after)| after);
    }
    Some(parts)
}

/// The text before and after the first separator. With an empty separator, it is the first code
/// point and the rest.
fn cut<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    match separator.as_bytes() {
        [] => {}
        // Preparing the search for a longer one takes more than the search for a byte.
        [byte] => return text.split_once(char::from(*byte)),
        _ => return text.split_once(separator),
    }
    let first = text.chars().next()?.len_utf8();
    text.split_at_checked(first).filter(|(_, rest)| !rest.is_empty())
}

fn join<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let Some(Value::List(list)) = of.first() else {
        return run.view(name, of, |view| View { values: Values::Joined, ..view });
    };
    let separator = if of.len() > 1 { text_at(name, of, 1)? } else { "" };
    let mut made = Made::new(run, name);
    for (index, part) in list.iter().enumerate() {
        if index > 0 {
            made.push(separator)?;
        }
        made.push(part.as_text().ok_or_else(|| run.unfit(name))?)?;
    }
    Ok(made.value())
}

impl<'p> Run<'_, 'p> {
    /// Runs something with a pattern: a literal one, or one that is compiled now.
    fn with_pattern<T>(
        &self,
        name: &'static str,
        of: &[Value<'p>],
        run: impl FnOnce(&Compiled) -> Result<T, Exceeded>,
    ) -> Evaluated<'p, T> {
        let found = match of.get(1) {
            Some(Value::Pattern(compiled)) => run(compiled),
            _ => {
                let pattern = text_at(name, of, 1)?;
                match Compiled::at_a_request(pattern, self.scene.allowance) {
                    Ok(compiled) => run(&compiled),
                    Err(_) => return Err(self.breach(name)),
                }
            }
        };
        found.map_err(|Exceeded| self.breach(name))
    }
}

fn matches<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let text = text_at(name, of, 0)?;
    let found = run.with_pattern(name, of, |it| it.is_match(text, run.scene.allowance));
    found.map(Value::Bool)
}

/// The text with its first match replaced. `$1`, `$name` and `${name}` in the replacement stand for
/// what that group matched.
fn regex_replace<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let (text, replacement) = (text_at(name, of, 0)?, text_at(name, of, 2)?);
    let groups = run.with_pattern(name, of, |it| it.captures(text, run.scene.allowance))?;
    let mut made = Made::new(run, name);
    let Some(groups) = groups else {
        made.push(text)?;
        return Ok(made.value());
    };
    let (before, behind) = groups.around();
    made.push(before)?;
    for part in regex::parts(replacement) {
        made.push(match part {
            regex::Part::Text(text) => text,
            regex::Part::Group(number) => groups.get(number).unwrap_or_default(),
            regex::Part::Named(name) => groups.named(name).unwrap_or_default(),
        })?;
    }
    made.push(behind)?;
    Ok(made.value())
}
