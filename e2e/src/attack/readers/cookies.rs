//! Cookies.

use super::{Reading, replaced, texts, trimmed, unescaped};
use crate::attack::request::Field;

/// Every value that an origin may take for that of a cookie.
pub(in crate::attack) fn cookies(fields: &[Field], name: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    let lines = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(b"cookie"));
    for pair in lines.flat_map(|(_, line)| line.split(|byte| *byte == b';')) {
        let Some(at) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let (known, value) = (trimmed(&pair[..at]), trimmed(&pair[at + 1..]));
        if known == name.as_bytes() {
            readings.extend(texts("by name", value));
            readings.push(replaced("PHP", &unescaped(value)));
            readings.extend(texts("Flask", &unquoted(value)));
            readings.push(replaced("Node", &unescaped(within_quotes(value))));
        }
    }
    readings
}

fn within_quotes(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Quotes off, `\"` and `\101` decoded, as Python's `http.cookies` does.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let inner = within_quotes(value);
    if inner.len() == value.len() {
        return value.to_vec();
    }
    let mut bytes = Vec::new();
    let mut rest = inner;
    while let [first, after @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                bytes.push(*escaped);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}
