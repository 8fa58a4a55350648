//! Values as CEL would write them, cut where they are very long.

use std::fmt::Write as _;

use crate::program::{Run, Value};

/// The longest text of a value that is shown whole, in bytes. Of a longer one, only the start is
/// shown.
const MAX_TEXT: usize = 400;
/// How deep lists and maps are shown.
const MAX_NESTING: usize = 8;

/// A value's text.
pub(super) fn literal<'p>(run: &Run<'_, 'p>, value: &Value<'p>) -> String {
    let mut text = String::new();
    write(run, value, MAX_NESTING, &mut text);
    cut(&mut text);
    text
}

/// A header's value: as text if it is UTF-8, else as bytes.
#[must_use]
pub fn of_bytes(value: &[u8]) -> String {
    let mut text = String::new();
    match std::str::from_utf8(value) {
        Ok(value) => quote(value, &mut text),
        Err(_) => bytes(value, &mut text),
    }
    cut(&mut text);
    text
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
}

fn write<'p>(run: &Run<'_, 'p>, value: &Value<'p>, nesting: usize, text: &mut String) {
    let Some(nesting) = nesting.checked_sub(1).filter(|_| text.len() <= MAX_TEXT) else {
        text.push_str("...");
        return;
    };
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => push(text, value),
        Value::Int(number) => push(text, number),
        Value::Uint(number) => push(text, format_args!("{number}u")),
        Value::Double(number) => push(text, format_args!("{number:?}")),
        Value::Text(value) => quote(value.as_str(), text),
        Value::Bytes(value) => bytes(value.as_slice(), text),
        Value::Optional(None) => text.push_str("optional.none()"),
        Value::Optional(Some(inner)) => {
            text.push_str("optional.of(");
            write(run, inner, nesting, text);
            text.push(')');
        }
        Value::Ip(value) => push(text, format_args!("ip(\"{value}\")")),
        Value::Cidr(value) => push(text, format_args!("cidr(\"{value}\")")),
        Value::Time(value) => push(text, format_args!("timestamp(\"{value}\")")),
        Value::Span(value) => push(text, format_args!("duration(\"{value}\")")),
        Value::Type(name) => text.push_str(name),
        Value::List(_) => list(run, value, nesting, text),
        Value::Map(_) | Value::Headers(_) => map(run, value, nesting, text),
        // An object's attributes are shown where they are read.
        Value::Object(_) | Value::Pattern(_) => text.push_str("{...}"),
    }
}

fn push(text: &mut String, value: impl std::fmt::Display) {
    // Writing into a string cannot fail.
    let _ = write!(text, "{value}");
}

fn list<'p>(run: &Run<'_, 'p>, value: &Value<'p>, nesting: usize, text: &mut String) {
    text.push('[');
    for (index, element) in run.visited(value).into_iter().flatten().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        if text.len() > MAX_TEXT {
            break;
        }
        write(run, &element, nesting, text);
    }
    text.push(']');
}

/// A map, with its keys sorted as texts.
fn map<'p>(run: &Run<'_, 'p>, value: &Value<'p>, nesting: usize, text: &mut String) {
    let mut entries = Vec::new();
    for key in run.visited(value).into_iter().flatten() {
        let mut entry = String::new();
        write(run, &key, nesting, &mut entry);
        entry.push_str(": ");
        match run.found_at(value, &key) {
            Some(value) => write(run, &value, nesting, &mut entry),
            None => entry.push_str("..."),
        }
        entries.push(entry);
    }
    entries.sort_unstable();
    text.push('{');
    text.push_str(&entries.join(", "));
    text.push('}');
}

fn quote(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Characters that control a terminal, or that it shows as something else.
            c if c.is_control() || is_invisible(c) => {
                push(text, format_args!("\\U{:08x}", u32::from(c)))
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Zero-width spaces, marks that change the direction of writing, and the like.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

fn bytes(value: &[u8], text: &mut String) {
    text.push_str("b\"");
    for byte in value {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => push(text, format_args!("\\x{byte:02x}")),
        }
    }
    text.push('"');
}
