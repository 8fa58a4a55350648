//! Path safety, in one pass: no path passes that an origin could read differently from the rules.

pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    match path.iter().position(|byte| *byte == b'?') {
        Some(end) => &path[..end],
        None => path,
    }
}

/// Whether there is no dot segment, empty segment, backslash, semicolon, fragment, control or
/// non-ASCII byte, and no escape that is invalid, overlong, hides one of these, or what needs none.
pub(crate) fn is_safe(path: &[u8]) -> bool {
    let mut bytes = path.iter().copied();
    match bytes.next() {
        Some(b'/') => {}
        Some(b'*') => return path == b"*",
        _ => return false,
    }
    // Of the segment so far: its length, and whether it is nothing but dots.
    let (mut length, mut dots, mut escaped) = (0_u32, true, 0);
    let segment_ends_well = |length, dots| !(dots && (length == 1 || length == 2));
    while let Some(byte) = bytes.next() {
        match byte {
            b'/' => {
                if length == 0 || !segment_ends_well(length, dots) {
                    return false;
                }
                (length, dots, escaped) = (0, true, 0);
                continue;
            }
            // In the query only a fragment matters.
            b'?' => return segment_ends_well(length, dots) && bytes.all(|byte| byte != b'#'),
            b'.' => escaped = 0,
            b'%' => {
                let (Some(high), Some(low)) =
                    (bytes.next().and_then(digit), bytes.next().and_then(digit))
                else {
                    return false;
                };
                let decoded = high << 4 | low;
                match decoded {
                    b'/' | b'\\' | b'.' | b'%' | b';' | 0..b' ' | 0x7f | 0xc0 | 0xc1 => {
                        return false;
                    }
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => return false,
                    0x80..0xa0 if escaped == 0xe0 => return false,
                    0x80..0x90 if escaped == 0xf0 => return false,
                    _ => (escaped, dots) = (decoded, false),
                }
            }
            b'\\' | b';' | b'#' | 0..=b' ' | 0x7f..=0xff => return false,
            _ => (escaped, dots) = (0, false),
        }
        length += 1;
    }
    segment_ends_well(length, dots)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
