//! Path safety: which paths an origin could read differently from the rules here.

pub use crate::path::without_query;
use crate::path::{decode, escape};

/// How much ambiguity a path may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum PathSafety {
    /// Every path is accepted.
    Off,
    /// Paths that lead out of a prefix are refused.
    Lenient,
    /// Paths that two readers could read in different ways are refused.
    #[default]
    Strict,
}

impl PathSafety {
    /// What is unsafe about a path as it was sent, with its query; `None` for a safe path.
    #[must_use]
    pub fn objection(self, path_and_query: &[u8]) -> Option<&'static str> {
        let path = without_query(path_and_query);
        match self {
            PathSafety::Off => None,
            PathSafety::Lenient => lenient(path),
            PathSafety::Strict => strict(path, path_and_query),
        }
    }
}

fn strict(path: &[u8], path_and_query: &[u8]) -> Option<&'static str> {
    // `*` is the whole target of `OPTIONS *` (RFC 9112 section 3.2.4).
    if path.first() != Some(&b'/') && path != b"*" {
        return Some("not absolute");
    }
    if path_and_query.contains(&b'#') {
        return Some("fragment");
    }
    let mut rest = path;
    let (mut before, mut escaped, mut dots) = (0, 0, false);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' if before == b'/' => return Some("empty segment"),
            b'/' if escaped == b' ' => return Some("blank around a segment"),
            b'.' if before == b'/' => dots = true,
            b'\\' => return Some("backslash"),
            b';' => return Some("semicolon"),
            0..=b' ' | 0x7f..=0xff => return Some("control or non-ASCII byte"),
            b'%' => {
                let Some((decoded, behind)) = escape(after) else {
                    return Some("invalid percent escape");
                };
                match decoded {
                    b' ' if before == b'/' => return Some("blank around a segment"),
                    b'/' | b'\\' | b'.' | b'%' | b';' => return Some("escaped delimiter"),
                    0..b' ' | 0x7f => return Some("escaped control byte"),
                    // Every reader that decodes reads the character itself (RFC 3986 section
                    // 6.2.2.2); the `startsWith` of a rule does not.
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                        return Some("escaped plain character");
                    }
                    // Lax decoders read these as `/`, `.` and the like (RFC 3629 section 3). The
                    // forms of five and six bytes are from RFC 2279 section 2.
                    0xc0 | 0xc1 | 0xf5..=0xff => return Some("overlong escape"),
                    0x80..0xa0 if escaped == 0xe0 => return Some("overlong escape"),
                    0x80..0x90 if escaped == 0xf0 => return Some("overlong escape"),
                    0xc2 | 0xe2 | 0xef if is_compatible(rest_of_escapes(decoded, behind)) => {
                        return Some("escaped look-alike");
                    }
                    _ => rest = behind,
                }
                (before, escaped) = (byte, decoded);
                continue;
            }
            _ => {}
        }
        (before, escaped) = (byte, 0);
    }
    if escaped == b' ' {
        return Some("blank around a segment");
    }
    (dots && has_dot_segment(path)).then_some("dot segment")
}

/// A decoded byte and up to two more that follow it as escapes, as one number: `0xefbc8f` for
/// `%EF%BC%8F`.
fn rest_of_escapes(first: u8, behind: &[u8]) -> u32 {
    let (mut number, mut rest) = (u32::from(first), behind);
    for _ in 0..if first < 0xe0 { 1 } else { 2 } {
        let Some((byte, after)) = rest.strip_prefix(b"%").and_then(escape) else { return 0 };
        (number, rest) = ((number << 8) | u32::from(byte), after);
    }
    number
}

/// Whether an origin that maps look-alikes to ASCII would make a letter, a digit, or one of
/// `/ \ . % ; - _` of this character, given in UTF-8. Origins map by Unicode's compatibility forms
/// (UAX #15: small and fullwidth forms, dot leaders) or by the "best fit" of Windows' code pages
/// (slashes, backslashes, the yen and won signs).
fn is_compatible(utf8: u32) -> bool {
    matches!(utf8,
        // U+00A5, U+2024, U+2025, U+2044, U+20A9, U+2215, U+2216, U+29F5, U+29F8, U+29F9
        0xc2_a5 | 0xe2_80_a4 | 0xe2_80_a5 | 0xe2_81_84 | 0xe2_82_a9 | 0xe2_88_95 | 0xe2_88_96
        | 0xe2_a7_b5 | 0xe2_a7_b8 | 0xe2_a7_b9
        // U+FE52, U+FE54, U+FE63, U+FE68, U+FE6A
        | 0xef_b9_92 | 0xef_b9_94 | 0xef_b9_a3 | 0xef_b9_a8 | 0xef_b9_aa
        // U+FF05, U+FF0D to U+FF19, U+FF1B, U+FF21 to U+FF3A, U+FF3C, U+FF3F, U+FF41 to U+FF5A,
        // U+FFE5, U+FFE6
        | 0xef_bc_85 | 0xef_bc_8d..=0xef_bc_99 | 0xef_bc_9b | 0xef_bc_a1..=0xef_bc_ba | 0xef_bc_bc
        | 0xef_bc_bf
        | 0xef_bd_81..=0xef_bd_9a | 0xef_bf_a5 | 0xef_bf_a6)
}

fn lenient(path: &[u8]) -> Option<&'static str> {
    let once = decode(path);
    let twice = decode(&once);
    for reading in [path, &once, &twice] {
        if has_dot_segment(reading) {
            return Some("dot segment");
        }
        if reading.contains(&b'\\') {
            return Some("backslash");
        }
        if reading.iter().any(u8::is_ascii_control) {
            return Some("control byte");
        }
    }
    None
}

/// Whether a segment is `.` or `..`, also with a part after it that a reader may cut off: a
/// parameter (`..;x`, as servlet containers do), a fragment, or, in a decoded path, a query.
fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name =
            segment.split(|byte| matches!(byte, b';' | b'#' | b'?')).next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn plain_paths_are_safe_in_every_mode() {
        for path in [
            "/",
            "/zen",
            "/zen?x=1",
            "/repos/a/b.git",
            "/a/...",
            "/a/.well-known",
            "/a%20b",
            "/a%20%20b/c",
            "/%EF%BF%BD",
            "/%EF%BC%88a%EF%BC%89%E2%80%A6",
            "/a_1%7eb%2b1.deb",
            "/%E2%82%AC",
            "/%C3%A9",
            "/%E0%A4%A9",
            "/%E9",
            "/%E2%82",
            "/zen?x=../..;\\%",
            "/~a",
            "/a:b@c",
        ] {
            for mode in [PathSafety::Strict, PathSafety::Lenient, PathSafety::Off] {
                assert_eq!(mode.objection(path.as_bytes()), None, "{path} {mode:?}");
            }
        }
        assert_eq!(PathSafety::Strict.objection(b"*"), None);
    }

    #[test]
    fn strict_refuses_what_two_readers_could_read_in_two_ways() {
        for (path, objection) in [
            ("", "not absolute"),
            ("zen", "not absolute"),
            ("http://a/zen", "not absolute"),
            ("/zen#f", "fragment"),
            ("/zen?a#f", "fragment"),
            ("//zen", "empty segment"),
            ("/repos//x", "empty segment"),
            ("/a\\b", "backslash"),
            ("/zen;a=b", "semicolon"),
            ("/a b", "control or non-ASCII byte"),
            ("/a\tb", "control or non-ASCII byte"),
            ("/\u{e9}", "control or non-ASCII byte"),
            ("/a\x7f", "control or non-ASCII byte"),
            ("/a%", "invalid percent escape"),
            ("/a%2", "invalid percent escape"),
            ("/a%zz", "invalid percent escape"),
            ("/zen%2F", "escaped delimiter"),
            ("/zen%2f", "escaped delimiter"),
            ("/a%5Cb", "escaped delimiter"),
            ("/%2e%2e/x", "escaped delimiter"),
            ("/a%252F", "escaped delimiter"),
            ("/a%3Bb", "escaped delimiter"),
            ("/%61dmin", "escaped plain character"),
            ("/a%2Db", "escaped plain character"),
            ("/a%00", "escaped control byte"),
            ("/a%0d%0a", "escaped control byte"),
            ("/a%C0%AE", "overlong escape"),
            ("/a%e0%80%af", "overlong escape"),
            ("/a%F0%80%80%AF", "overlong escape"),
            ("/x%F8%80%80%80%AFadmin", "overlong escape"),
            ("/%FC%80%80%80%80%AFadmin", "overlong escape"),
            ("/%FF", "overlong escape"),
            ("/a%EF%BC%8Fb", "escaped look-alike"),
            ("/%ef%bc%8e%ef%bc%8e/x", "escaped look-alike"),
            ("/%EF%BD%81dmin", "escaped look-alike"),
            ("/%E2%80%A5/x", "escaped look-alike"),
            ("/a%E2%88%95b", "escaped look-alike"),
            ("/a%C2%A5b", "escaped look-alike"),
            ("/admin%20", "blank around a segment"),
            ("/admin%20/x", "blank around a segment"),
            ("/..%20/x", "blank around a segment"),
            ("/%20admin", "blank around a segment"),
            ("/x/%20", "blank around a segment"),
            ("/admin%20?x", "blank around a segment"),
            ("/a/../b", "dot segment"),
            ("/a/..", "dot segment"),
            ("/./a", "dot segment"),
        ] {
            assert_eq!(PathSafety::Strict.objection(path.as_bytes()), Some(objection), "{path}");
        }
    }

    #[test]
    fn lenient_refuses_only_what_walks_out_of_a_prefix() {
        for path in ["/a%2Fb", "//a", "/a;b", "/a%", "/zen#f", "/a%252Fb", "/\u{e9}"] {
            assert_eq!(PathSafety::Lenient.objection(path.as_bytes()), None, "{path}");
        }
        for path in [
            "/a/../b",
            "/a/..",
            "/%2e%2e/b",
            "/.%2E/b",
            "/a/%252e%252e/b",
            "/a%2F..%2Fb",
            "/a%252F..",
            "/a\\..",
            "/a\\b",
            "/a%5Cb",
            "/a%255C",
            "/a%0a",
            "/a/..;x/b",
            "/a/..#x",
            "/a/..%23x",
            "/a/%2e%2e%3Fx",
            "/a\x01",
        ] {
            assert!(PathSafety::Lenient.objection(path.as_bytes()).is_some(), "{path}");
        }
    }
}
