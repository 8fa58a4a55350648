//! Methods, paths and queries.

use super::{Reading, replaced, trimmed, unescaped};

/// The methods that an origin may take this for.
pub(in crate::attack) fn methods(method: &[u8]) -> Vec<Reading> {
    let text = String::from_utf8_lossy(trimmed(method)).into_owned();
    vec![Reading::new("Flask", text.to_uppercase()), Reading::new("by name", text)]
}

/// The path and the query of a target in any form.
fn parts(target: &[u8]) -> (&[u8], &[u8]) {
    let mut path = target;
    if !path.starts_with(b"/")
        && let Some(at) = path.windows(3).position(|part| part == b"://")
    {
        path = &path[at + 3..];
        path = path.iter().position(|byte| *byte == b'/').map_or(&b"/"[..], |at| &path[at..]);
    }
    let end = path.iter().position(|byte| *byte == b'#').unwrap_or(path.len());
    let path = &path[..end];
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

/// The paths that an origin may serve for a target.
pub(in crate::attack) fn paths(target: &[u8]) -> Vec<Reading> {
    let (path, _) = parts(target);
    let once = unescaped(path);
    let twice = unescaped(&once);
    let mut readings = Vec::new();
    for (reader, path) in
        [("never decoded", path), ("decoded once", &once), ("decoded twice", &twice)]
    {
        readings.push(Reading::new(reader, resolved(&String::from_utf8_lossy(path), false)));
        let folded = folded(path);
        readings.push(Reading::new(reader, resolved(&folded, false)));
        readings.push(Reading::new(reader, resolved(&folded, true)));
    }
    readings
}

/// UTF-8 as a decoder reads it that checks nothing: an overlong form stands for its character, a
/// fullwidth form for the one that it looks like.
fn folded(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let [lead, after @ ..] = rest {
        let more = match lead {
            0xc0..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf7 => 3,
            0xf8..=0xfb => 4,
            0xfc..=0xfd => 5,
            _ => 0,
        };
        let tail = after.get(..more).filter(|tail| tail.iter().all(|byte| byte & 0xc0 == 0x80));
        let tail = tail.unwrap_or_default();
        let own = if more == 0 { u32::from(*lead) } else { u32::from(*lead) & (0x3f >> more) };
        let code = tail.iter().fold(own, |code, byte| code << 6 | u32::from(byte & 0x3f));
        text.push(match code {
            0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or_default(),
            _ => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
        });
        rest = &after[tail.len()..];
    }
    text
}

/// Dot segments walked, empty ones passed over; a careless origin also takes `\` for `/`, and
/// blanks at its end, NUL and what follows `;` off each segment.
fn resolved(path: &str, careless: bool) -> String {
    let path = if careless { path.replace('\\', "/") } else { path.to_owned() };
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        let segment = match segment.split(['\0', ';']).next() {
            Some(before) if careless => before.trim_end_matches([' ', '\t']),
            _ => segment,
        };
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Every value that an origin may take for one of a field of the query.
pub(in crate::attack) fn query(target: &[u8], name: &str) -> Vec<Reading> {
    let (_, query) = parts(target);
    let mut readings = Vec::new();
    for (reader, separators) in [("queries with &", &b"&"[..]), ("queries with & and ;", b"&;")] {
        for pair in query.split(|byte| separators.contains(byte)) {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(at + 1..).unwrap_or_default();
            let spaced = |text: &[u8]| -> Vec<u8> {
                text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
            };
            let known = unescaped(&spaced(&pair[..at]));
            let stem = known.iter().position(|byte| *byte == b'[').unwrap_or(known.len());
            if known == name.as_bytes() || &known[..stem] == name.as_bytes() {
                readings.push(replaced(reader, &unescaped(&spaced(value))));
            }
        }
    }
    readings
}
