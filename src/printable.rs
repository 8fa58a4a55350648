//! Text of requests and configurations, in a form that can neither control a terminal nor split a
//! line.

use std::borrow::Cow;

use serde::Serialize;

/// Serializes a value as one line of JSON in printable ASCII: every other character is written as
/// `\uXXXX`, those beyond the BMP as a surrogate pair (RFC 8259 section 7).
///
/// Returns `None` for a value that JSON cannot hold.
#[must_use]
pub fn json_line<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok().map(ascii)
}

/// A line of JSON in printable ASCII, in which every other character is written as `\uXXXX`.
#[must_use]
pub fn ascii(json: String) -> String {
    if is_plain(json.as_bytes()) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len().saturating_mul(2));
    for letter in json.chars() {
        match letter {
            // Characters outside of this range occur in strings only, so an escape is legal.
            ' '..='~' => escaped.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    escaped.push_str("\\u");
                    for shift in [12_u32, 8, 4, 0] {
                        let digit = u32::from(unit.wrapping_shr(shift) & 0xf);
                        escaped.push(char::from_digit(digit, 16).unwrap_or('0'));
                    }
                }
            }
        }
    }
    escaped
}

/// A text in which line breaks, control and format characters, and anything else unprintable are
/// escaped as in Rust: `\n`, `\u{9b}`.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().saturating_mul(2));
    for letter in text.chars() {
        match letter {
            ' '..='~' => shown.push(letter),
            // Letters of every script stay as they are.
            _ => shown.extend(letter.escape_debug()),
        }
    }
    Cow::Owned(shown)
}

/// Whether a line of JSON is printable ASCII: it has no byte outside of ASCII and no DEL (JSON
/// itself escapes the other control characters). It looks at eight bytes at a time, because nearly
/// every line is plain.
fn is_plain(json: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut rest = json;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // DEL plus one has the high bit. Where no byte has the high bit, adding one to each carries
        // nothing into the next.
        if (word | word.wrapping_add(ONES)) & HIGHS != 0 {
            return false;
        }
        rest = after;
    }
    rest.iter().all(|byte| *byte < 0x7f)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Characters that control terminals, break lines or change the direction of writing; and plain
    /// letters.
    const HOSTILE: [char; 14] = [
        '\u{1b}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{200b}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2066}',
        '\u{feff}',
        '\u{fffd}',
        '\u{e0001}',
    ];

    #[test]
    fn json_is_printable_ascii_and_means_the_same() {
        for letter in HOSTILE.into_iter().chain(['\n', '\t', '"', '\\', 'e', 'é', '😀']) {
            // Wherever in a word it stands.
            for before in 0..9 {
                let value = format!("{}{letter}b", "a".repeat(before));
                let line = json_line(&value).unwrap();
                let plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                assert!(plain, "{letter:?} after {before}: {line:?}");
                assert_eq!(serde_json::from_str::<String>(&line).unwrap(), value, "{line}");
            }
        }
        assert_eq!(json_line(&"\u{9b}é😀").unwrap(), r#""\u009b\u00e9\ud83d\ude00""#);
        assert_eq!(json_line(&"plain").unwrap(), r#""plain""#);
    }

    #[test]
    fn text_keeps_letters_and_nothing_that_drives_a_terminal() {
        for letter in HOSTILE
            .into_iter()
            .filter(|letter| *letter != '\u{fffd}')
            .chain(['\n', '\r', '\0', '\t'])
        {
            let shown = text(&format!("a{letter}b")).into_owned();
            assert!(
                shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{letter:?}: {shown:?}"
            );
        }
        assert_eq!(text("policy `é`: it's \"x\" \\ 日本"), "policy `é`: it's \"x\" \\ 日本");
        assert_eq!(text("a\u{9b}31m\u{202e}\n"), r"a\u{9b}31m\u{202e}\n");
        assert!(matches!(text("plain"), Cow::Borrowed("plain")));
    }
}
