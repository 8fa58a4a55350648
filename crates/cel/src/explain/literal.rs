//! Values as CEL would write them, cut where they are very long.

use std::fmt::Write as _;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelOptional, CelString, CelType, CelUInt, Kind,
};
use cel::common::value::Val;

use crate::library::net::{Cidr, Ip};
use crate::time::{Span, Timestamp};

/// The longest text of a value that is shown whole, in bytes. Of a longer one, only the start is
/// shown.
const MAX_TEXT: usize = 400;
/// How deep lists and maps are shown.
const MAX_NESTING: usize = 8;

/// A value's text.
pub(super) fn literal(value: &(dyn Val + '_)) -> String {
    let mut text = String::new();
    write(value, MAX_NESTING, &mut text);
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

fn write(value: &(dyn Val + '_), nesting: usize, text: &mut String) {
    let Some(nesting) = nesting.checked_sub(1).filter(|_| text.len() <= MAX_TEXT) else {
        text.push_str("...");
        return;
    };
    if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        quote(value.inner(), text);
    } else if let Some(value) = value.downcast_ref::<CelBytes<'_>>() {
        bytes(value.inner(), text);
    } else if let Some(value) = value.downcast_ref::<CelBool>() {
        push(text, value.inner());
    } else if let Some(value) = value.downcast_ref::<CelInt>() {
        push(text, value.inner());
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        push(text, format_args!("{}u", value.inner()));
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        push(text, format_args!("{:?}", value.inner()));
    } else if let Some(value) = value.downcast_ref::<CelOptional<'_>>() {
        match value.inner() {
            None => text.push_str("optional.none()"),
            Some(inner) => {
                text.push_str("optional.of(");
                write(inner, nesting, text);
                text.push(')');
            }
        }
    } else if let Some(value) = value.downcast_ref::<Ip>() {
        push(text, format_args!("ip(\"{value}\")"));
    } else if let Some(value) = value.downcast_ref::<Cidr>() {
        push(text, format_args!("cidr(\"{value}\")"));
    } else if let Some(value) = value.downcast_ref::<Timestamp>() {
        push(text, format_args!("timestamp(\"{value}\")"));
    } else if let Some(value) = value.downcast_ref::<Span>() {
        push(text, format_args!("duration(\"{value}\")"));
    } else if let Some(value) = value.downcast_ref::<CelType>() {
        text.push_str(value.name());
    } else {
        match value.get_type().kind() {
            Kind::NullType => text.push_str("null"),
            Kind::List => list(value, nesting, text),
            Kind::Map => map(value, nesting, text),
            _ => text.push_str(value.get_type().name()),
        }
    }
}

fn push(text: &mut String, value: impl std::fmt::Display) {
    // Writing into a string cannot fail.
    let _ = write!(text, "{value}");
}

fn list(value: &(dyn Val + '_), nesting: usize, text: &mut String) {
    text.push('[');
    if let Some(list) = value.as_iterable() {
        let (mut elements, mut first) = (list.iter(), true);
        while let Some(element) = elements.next() {
            text.push_str(if first { "" } else { ", " });
            first = false;
            if text.len() > MAX_TEXT {
                break;
            }
            write(element, nesting, text);
        }
    }
    text.push(']');
}

/// A map with its keys sorted, because a map that an expression makes has no order.
fn map(value: &(dyn Val + '_), nesting: usize, text: &mut String) {
    let (Some(keys), Some(values)) = (value.as_iterable(), value.as_indexer()) else {
        // An object's attributes are shown where they are read.
        text.push_str("{...}");
        return;
    };
    let (mut entries, mut keys) = (Vec::new(), keys.iter());
    while let Some(key) = keys.next() {
        let mut entry = String::new();
        write(key, nesting, &mut entry);
        entry.push_str(": ");
        match values.get(key) {
            Ok(value) => write(&*value, nesting, &mut entry),
            Err(_) => entry.push_str("..."),
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
