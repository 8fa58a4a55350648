//! A header's value, and what is around it.

/// Whether a value starts or ends with white space or a control byte.
///
/// RFC 9113 (section 8.2.1) calls an HTTP/2 message with such a field malformed, and RFC 9110
/// (section 5.5) has the receiver of HTTP/1.1 take them off, which Envoy does. Over HTTP/2 it lets
/// them pass, and origins trim them: a rule would compare `" admin"` where the origin reads
/// `admin`.
#[inline(always)]
pub fn has_blank_ends(value: &[u8]) -> bool {
    match (value.first(), value.last()) {
        (Some(first), Some(last)) => *first <= b' ' || *last <= b' ',
        _ => false,
    }
}

/// The header in which scheme and token are parted by a blank (RFC 9110 section 11.4). A TAB is
/// none there; origins that split at any white space find a token all the same, and a rule that
/// splits at `" "` does not.
pub const CREDENTIALS: &[u8] = b"authorization";

/// The values that a line may have been made of, where Envoy keeps the header on one line: it joins
/// a further line to the first with a comma, and the blanks around that line's value stay.
///
/// A value without a comma was made of one line, and returns no parts.
pub fn joined_parts(value: &[u8]) -> Vec<&[u8]> {
    if !value.contains(&b',') {
        return Vec::new();
    }
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn blanks_are_seen_at_either_end() {
        for value in [" admin", "admin ", "\tadmin", "admin\t", " ", "\n", "admin\x0b"] {
            assert!(has_blank_ends(value.as_bytes()), "{value:?}");
        }
        for value in ["", "admin", "a b", "a\tb", "\u{a0}x\u{a0}"] {
            assert!(!has_blank_ends(value.as_bytes()), "{value:?}");
        }
    }

    #[test]
    fn parts_are_between_commas_without_the_blanks_around_them() {
        let parts = |value: &'static str| joined_parts(value.as_bytes());
        assert_eq!(parts("good, evil"), [&b"good"[..], b"evil"]);
        assert_eq!(parts("good,evil"), [&b"good"[..], b"evil"]);
        assert_eq!(parts("a,,\tb"), [&b"a"[..], b"", b"b"]);
        assert_eq!(parts("good"), [&b""[..]; 0]);
    }
}
