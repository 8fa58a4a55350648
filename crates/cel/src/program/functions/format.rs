//! `format` (cel-go's extension `strings`).

use std::fmt::Write;

use super::super::evaluate::Run;
use super::super::results::scalar;
use super::super::{Value, json};
use super::{Made, Row, unknown};
use crate::run::{Evaluated, Failure};

/// How many digits behind the point there are where a clause does not say.
const PRECISION: usize = 6;
const MAX_PRECISION: usize = 100;
/// How deep lists and maps may be nested that are shown. No value is as deep.
const MAX_DEPTH: usize = 256;

pub(super) const MEMBER: &[Row] = &[("format", |run, name, of| {
    let (text, arguments) = match of {
        [Value::Text(text), Value::List(list)] => (text.as_str(), list),
        _ => return Err(unknown(name)),
    };
    let mut made = Made::new(run, name);
    let mut arguments = arguments.iter();
    let mut rest = text;
    while let Some((before, clause)) = rest.split_once('%') {
        made.push(before)?;
        if let Some(after) = clause.strip_prefix('%') {
            made.push("%")?;
            rest = after;
            continue;
        }
        let argument = arguments.next().ok_or(Failure::In(name))?;
        let (precision, clause) = precision(clause).ok_or(Failure::In(name))?;
        let mut chars = clause.chars();
        let kind = chars.next().ok_or(Failure::In(name))?;
        if kind == 's' {
            shown(run, name, argument, MAX_DEPTH, &mut made)?;
        } else {
            made.push(&clause_of(kind, precision, argument).ok_or(Failure::In(name))?)?;
        }
        rest = chars.as_str();
    }
    made.push(rest)?;
    Ok(made.value())
})];

/// The precision of a clause, and what is behind it.
fn precision(clause: &str) -> Option<(usize, &str)> {
    let Some(rest) = clause.strip_prefix('.') else { return Some((PRECISION, clause)) };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = rest.split_at_checked(end)?;
    let precision = digits.parse().ok()?;
    (precision <= MAX_PRECISION).then_some((precision, rest))
}

/// What a clause other than `%s` makes of a value; none if it does not take its type.
fn clause_of(kind: char, precision: usize, value: &Value<'_>) -> Option<String> {
    match (kind, value) {
        ('d', Value::Int(_) | Value::Uint(_) | Value::Double(_)) => plain_number(value),
        ('f' | 'e', value) => {
            let number = value.as_double()?;
            Some(match not_finite(number) {
                Some(name) => name.to_owned(),
                None if kind == 'f' => format!("{number:.precision$}"),
                None => scientific(number, precision)?,
            })
        }
        ('b', Value::Bool(value)) => Some(u8::from(*value).to_string()),
        ('b' | 'o' | 'x' | 'X', Value::Int(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            Some(format!("{sign}{}", digits(kind, number.unsigned_abs())))
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(number)) => Some(digits(kind, *number)),
        ('x' | 'X', Value::Text(text)) => Some(hex(text.as_str().as_bytes(), kind)),
        ('x' | 'X', Value::Bytes(bytes)) => Some(hex(bytes.as_slice(), kind)),
        _ => None,
    }
}

fn digits(kind: char, number: u64) -> String {
    match kind {
        'b' => format!("{number:b}"),
        'o' => format!("{number:o}"),
        'x' => format!("{number:x}"),
        _ => format!("{number:X}"),
    }
}

fn hex(bytes: &[u8], kind: char) -> String {
    let text = crate::library::hash::hex(bytes);
    if kind == 'x' { text } else { text.to_ascii_uppercase() }
}

fn not_finite(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number.is_infinite() {
        Some(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

/// A number as `%d` and `%s` write it.
fn plain_number(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Double(number) => {
            Some(not_finite(*number).map_or_else(|| number.to_string(), str::to_owned))
        }
        Value::Int(_) | Value::Uint(_) => scalar(value),
        _ => None,
    }
}

fn scientific(number: f64, precision: usize) -> Option<String> {
    let written = format!("{number:.precision$e}");
    let (mantissa, exponent) = written.split_once('e')?;
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let mut text = String::from(mantissa);
    write!(text, "e{sign}{digits:0>2}").ok()?;
    Some(text)
}

/// Appends what `%s` shows of a value.
fn shown<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    value: &Value<'p>,
    depth: usize,
    made: &mut Made<'_, 'p>,
) -> Evaluated<'p, ()> {
    let depth = depth.checked_sub(1).ok_or(Failure::In(name))?;
    match value {
        Value::Null => made.push("null"),
        Value::Bool(value) => made.push(if *value { "true" } else { "false" }),
        Value::Text(text) => made.push(text.as_str()),
        Value::Type(name) => made.push(name),
        Value::Bytes(bytes) => lossy(bytes.as_slice(), made),
        Value::List(list) => {
            let mut separator = "[";
            for value in list.iter() {
                made.push(separator)?;
                separator = ", ";
                shown(run, name, value, depth, made)?;
            }
            made.push(if list.is_empty() { "[]" } else { "]" })
        }
        Value::Map(_) | Value::Headers(_) => {
            let mut separator = "{";
            for (key, value) in json::named_entries(run, name, value)? {
                made.push(separator)?;
                separator = ", ";
                made.push(&key)?;
                made.push(": ")?;
                shown(run, name, &value, depth, made)?;
            }
            made.push(if separator == "{" { "{}" } else { "}" })
        }
        value => match plain_number(value).or_else(|| value.time_text()) {
            Some(text) => made.push(&text),
            None => Err(Failure::In(name)),
        },
    }
}

/// Appends bytes as text: what is not UTF-8 is one replacement character, however many bytes.
fn lossy<'p>(bytes: &[u8], made: &mut Made<'_, 'p>) -> Evaluated<'p, ()> {
    for (index, chunk) in bytes.utf8_chunks().enumerate() {
        made.push(chunk.valid())?;
        if !chunk.invalid().is_empty() && (index == 0 || !chunk.valid().is_empty()) {
            made.push("\u{fffd}")?;
        }
    }
    Ok(())
}
