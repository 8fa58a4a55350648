//! Header lines.

use super::{Reading, texts, trimmed};
use crate::attack::request::Field;

/// Whether two names are one variable to CGI and what descends from it.
pub(in crate::attack) fn same_variable(name: &[u8], other: &[u8]) -> bool {
    let plain =
        |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' };
    name.iter().map(plain).eq(other.iter().map(plain))
}

/// What each line of a header is read as; the first or the last of several may be what counts.
pub(in crate::attack) fn header(fields: &[Field], name: &str) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (known, value) in fields {
        if known.eq_ignore_ascii_case(name.as_bytes()) {
            readings.extend(texts("by name", trimmed(value)));
        } else if same_variable(known, name.as_bytes()) {
            readings.extend(texts("CGI", trimmed(value)));
        }
    }
    readings
}

/// The same for a header that a proxy keeps on one line: also each part between commas.
pub(in crate::attack) fn listed(fields: &[Field], name: &str) -> Vec<Reading> {
    let mut readings = header(fields, name);
    for (known, value) in fields {
        if same_variable(known, name.as_bytes()) && value.contains(&b',') {
            for part in value.split(|byte| *byte == b',') {
                readings.extend(texts("list", trimmed(part)));
            }
        }
    }
    readings
}

/// Whether `Connection` names a header, which then belongs to that connection alone.
pub(in crate::attack) fn nominated(fields: &[Field], name: &str) -> bool {
    listed(fields, "connection").iter().any(|reading| reading.text.eq_ignore_ascii_case(name))
}
