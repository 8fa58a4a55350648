//! A quick look at a host or a path, which finds most of them plain. What it does not find plain is
//! read thoroughly where it belongs ([`crate::request::host`], [`crate::path`]).
//!
//! Each byte has a kind, and the look is in a state, which the kind of the next byte changes: two
//! loads for each byte, and no branch.

use egress_reading::path::without_query;

/// Whether this is a host name as [`crate::request::host::canonical`] returns it, of at most 63
/// bytes, so that no label of it is too long.
pub(crate) fn is_host(authority: &[u8]) -> bool {
    authority.len() <= 63 && look(AT_LABEL, authority) == IN_LABEL
}

/// The path without its query, if no mode of path safety objects to it, and if it has no percent
/// sign before its query.
pub(crate) fn path(path_and_query: &[u8]) -> Option<&str> {
    let path = match look(AT_PATH, path_and_query) {
        BEHIND_SLASH | IN_SEGMENT => path_and_query,
        IN_QUERY => without_query(path_and_query),
        _ => return None,
    };
    std::str::from_utf8(path).ok()
}

/// Bytes of labels: small letters, digits, hyphens and underscores. Both are plain in paths, too.
const LABEL: u8 = 0;
/// Other bytes that a path may have anywhere.
const OTHER: u8 = 1;
const SLASH: u8 = 2;
const DOT: u8 = 3;
const QUESTION: u8 = 4;
const HASH: u8 = 5;
/// Bytes that only a query may have.
const QUERY: u8 = 6;
/// There are fewer kinds than this.
const KINDS: u8 = 8;

const fn kind(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => LABEL,
        b'/' => SLASH,
        b'.' => DOT,
        b'?' => QUESTION,
        b'#' => HASH,
        0..=b' ' | b'%' | b';' | b'\\' | 0x7f..=0xff => QUERY,
        _ => OTHER,
    }
}

// States are multiples of the number of kinds, so that a state and a kind make one index.
/// Not plain, whatever follows.
const LOST: u8 = 0;
const AT_LABEL: u8 = KINDS;
const IN_LABEL: u8 = 2 * KINDS;
const AT_PATH: u8 = 3 * KINDS;
const BEHIND_SLASH: u8 = 4 * KINDS;
const IN_SEGMENT: u8 = 5 * KINDS;
const IN_QUERY: u8 = 6 * KINDS;

const fn next(state: u8, kind: u8) -> u8 {
    match (state, kind) {
        (AT_LABEL | IN_LABEL, LABEL) => IN_LABEL,
        (IN_LABEL, DOT) => AT_LABEL,
        (AT_PATH | IN_SEGMENT, SLASH) => BEHIND_SLASH,
        (BEHIND_SLASH | IN_SEGMENT, LABEL | OTHER) | (IN_SEGMENT, DOT) => IN_SEGMENT,
        (BEHIND_SLASH | IN_SEGMENT, QUESTION) => IN_QUERY,
        (IN_QUERY, LABEL | OTHER | SLASH | DOT | QUESTION | QUERY) => IN_QUERY,
        _ => LOST,
    }
}

/// The kind of each byte.
static KIND: [u8; 256] = table(false);
/// What follows a state and a kind.
static NEXT: [u8; 256] = table(true);

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    reason = "it is run by the compiler, which would say so if one of these went wrong"
)]
const fn table(of_states: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let byte = index as u8;
        table[index] = if of_states { next(byte - byte % KINDS, byte % KINDS) } else { kind(byte) };
        index += 1;
    }
    table
}

#[allow(clippy::indexing_slicing, reason = "the tables have an entry for every byte")]
fn look(first: u8, bytes: &[u8]) -> u8 {
    let step = |state: u8, byte: &u8| NEXT[usize::from(state | KIND[usize::from(*byte)])];
    let (mut state, mut rest) = (first, bytes);
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        state = eight.iter().fold(state, step);
        rest = after;
    }
    rest.iter().fold(state, step)
}

#[cfg(test)]
mod tests;
