//! Percent-encoding (RFC 3986, section 2.1) and `application/x-www-form-urlencoded` (WHATWG URL,
//! section 5).

/// How spaces are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// As `%20`; a `+` stands for itself.
    Escaped,
    /// As `+`.
    Plus,
}

/// Percent-encodes all but the unreserved characters.
///
/// The rules for forms would leave `*` as it is and encode `~`. Decoders accept either.
pub(crate) fn encode(bytes: &[u8], space: Space) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            b' ' if space == Space::Plus => text.push('+'),
            _ => {
                text.push('%');
                text.extend(
                    [byte >> 4, byte & 0xf]
                        .iter()
                        .filter_map(|digit| char::from_digit(u32::from(*digit), 16))
                        .map(|c| c.to_ascii_uppercase()),
                );
            }
        }
    }
    text
}

/// Percent-decodes. An invalid escape stands for itself.
pub(crate) fn decode(text: &[u8], space: Space) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first_chunk::<2>()) {
            (b'%', Some((digits, behind))) if digits.iter().all(u8::is_ascii_hexdigit) => {
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or_default());
                rest = behind;
            }
            (b'+', _) if space == Space::Plus => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// The pairs of a form, still encoded.
pub(crate) fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
        (name, value.strip_prefix(b"=").unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for space in [Space::Escaped, Space::Plus] {
            let encoded = encode(&all, space);
            assert!(
                encoded
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%+".contains(&byte)),
                "{encoded}"
            );
            assert_eq!(decode(encoded.as_bytes(), space), all);
        }
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (text, decoded) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%%41", "%A"),
            ("%4%41", "%4A"),
            ("a%2Bb+c", "a+b c"),
            ("%+1", "% 1"),
        ] {
            assert_eq!(decode(text.as_bytes(), Space::Plus), decoded.as_bytes(), "{text}");
        }
        assert_eq!(decode(b"a+b", Space::Escaped), b"a+b");
    }

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        let of = |text: &'static str| pairs(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(
            of("a=1&&b&=c&d=e=f"),
            [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"", b"c"), (b"d", b"e=f")]
        );
        assert_eq!(of(""), []);
    }
}
