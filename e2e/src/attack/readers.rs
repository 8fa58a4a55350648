//! How origins read a request. None of this is the engine's: it is what PHP, Flask, Node, httpd and
//! their like make of the same bytes, and each such reading is judged by the rule's plain meaning.
//!
//! | reader | what it does |
//! |---|---|
//! | by name | names in any case; blanks around a value do not count; any line may be the one |
//! | CGI | bytes of a name that are no letters or digits are one character, as in `HTTP_X_ROLE` |
//! | replacing, dropping | bytes that are no UTF-8 become U+FFFD, or go |
//! | list | a value is split at commas, as proxies join lines |
//! | Flask | methods in capitals; a cookie's quotes go, and backslashes with them |
//! | Node | a cookie's quotes go, then percent escapes are decoded |
//! | httpd | what `Connection` names is not for the application |
//! | queries | `&`, or `&` and `;`, between fields; escapes in names and values; `q[]` is `q` |
//! | paths | decoded 0 to 2 times; overlong UTF-8, fullwidth forms, blanks, `;x`, dot segments |
//! | JSON | trailing commas, NaN, `1e999`, lone surrogates and a byte order mark are accepted |

mod cookies;
mod headers;
mod json;
mod targets;

pub(super) use cookies::cookies;
pub(super) use headers::{header, listed, nominated, same_variable};
pub(super) use json::{claims, fields};
pub(super) use targets::{methods, paths, query};

/// What one kind of origin reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// Which kind.
    pub(super) reader: &'static str,
    /// What it reads.
    pub(super) text: String,
}

impl Reading {
    fn new(reader: &'static str, text: impl Into<String>) -> Self {
        Self { reader, text: text.into() }
    }
}

/// A value without the blanks around it.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Bytes as text: as they are, or where they are no UTF-8 in the two ways that are usual.
fn texts(reader: &'static str, bytes: &[u8]) -> Vec<Reading> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return vec![Reading::new(reader, text)];
    }
    let dropped: String = bytes.utf8_chunks().map(|chunk| chunk.valid()).collect();
    vec![
        Reading::new("replacing", String::from_utf8_lossy(bytes)),
        Reading::new("dropping", dropped),
    ]
}

/// Decoded bytes as text, as URL decoders give it.
fn replaced(reader: &'static str, bytes: &[u8]) -> Reading {
    Reading::new(reader, String::from_utf8_lossy(bytes))
}

/// Decodes percent escapes; anything else stays as it is.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(high * 16 + low);
            rest = &rest[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests;
