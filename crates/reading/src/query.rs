//! The query of a request's path, as a list of pairs (`application/x-www-form-urlencoded`, WHATWG
//! URL section 5.1).

use std::borrow::Cow;

use crate::path::decode;

/// Why it is not certain which values a name has in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A value is not UTF-8.
    NotUtf8,
    /// Origins do not agree on which values the name has.
    Ambiguous,
    /// There are more values than the limit.
    TooMany,
}

/// The values of a name in a query, decoded and in order. More than `most` values are an error.
pub fn values(query: &[u8], name: &str, most: usize) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let (written, value) = halves(pair);
        let is_it = plus_decoded(written) == name.as_bytes();
        if !is_it && !is_of(pair, name) {
            continue;
        }
        // `q[]`, `Q` and what follows a `;` are `q` to some origins, and not to others.
        if !is_it || pair.contains(&b';') || has_wide_escape(value) {
            return Err(Fault::Ambiguous);
        }
        if found.len() >= most {
            return Err(Fault::TooMany);
        }
        found.push(String::from_utf8(plus_decoded(value)).map_err(|_| Fault::NotUtf8)?);
    }
    Ok(found)
}

/// Whether some origin finds the name in this pair, given as it was sent.
///
/// `;` separates pairs for older readers (HTML 4.01, appendix B.2.2; Perl's CGI, Rack before 3).
/// PHP takes `q[]` and `q[x]` for `q`, ends a name at a NUL, and makes `_` of `.` and blanks;
/// Node's `qs` takes `[q]` for it; ASP.NET ignores letter case, and reads `%u0071` as `q`.
pub fn is_of(pair: &[u8], name: &str) -> bool {
    pair.split(|byte| *byte == b';').any(|part| {
        let written = halves(part).0;
        // Most names differ in what they start with, and are plain.
        let plain = !written.iter().any(|byte| matches!(byte, b'%' | b'+' | b'[' | b' '));
        let starts = |byte: Option<&u8>| byte.map(|byte| unclosed(*byte));
        if plain && starts(written.first()) != starts(name.as_bytes().first()) {
            return false;
        }
        let decoded = plus_decoded(written);
        let narrow = has_wide_escape(written).then(|| plus_decoded(&narrowed(written)));
        let narrow = narrow.as_deref();
        if name.contains('[') {
            let asked = parts(name.as_bytes());
            let mut readings = [Some(decoded.as_slice()), narrow].into_iter().flatten();
            return readings.any(|reading| parts(reading).starts_with(&asked));
        }
        let is_name = |reading: &[u8]| folded(reading).eq(folded(name.as_bytes()));
        is_name(&decoded)
            || narrow.is_some_and(is_name)
            // PHP makes `_` of a bracket that is not closed.
            || decoded.iter().map(|byte| unclosed(*byte)).eq(name.bytes().map(unclosed))
    })
}

/// How often a name may be percent-decoded on its way: by proxies, and by the origin.
const DECODINGS: usize = 3;

/// Whether some origin may find the name in this pair, also one that stands behind proxies which
/// decode it once more.
pub fn may_be(pair: &[u8], name: &str) -> bool {
    let mut written = Cow::Borrowed(halves(pair).0);
    for _ in 0..DECODINGS {
        if is_of(&written, name) {
            return true;
        }
        if !written.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            return false;
        }
        written = Cow::Owned(plus_decoded(&written));
    }
    is_of(&written, name)
}

/// A text as a name or value of a pair: all but unreserved characters (RFC 3986 section 2.3) are
/// percent-encoded.
pub fn encoded(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0');
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.extend([b'%', digit(byte >> 4), digit(*byte)]);
        }
    }
    encoded
}

/// Whether a text has an escape of ASP's older form, `%uXXXX`.
fn has_wide_escape(text: &[u8]) -> bool {
    text.windows(6).any(|window| match window {
        [b'%', b'u' | b'U', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    })
}

/// The text with such escapes of ASCII characters in the usual form.
fn narrowed(text: &[u8]) -> Vec<u8> {
    let mut narrow = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match rest.split_first_chunk::<6>() {
            Some(([b'%', b'u' | b'U', b'0', b'0', high, low], behind))
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                narrow.extend_from_slice(&[b'%', *high, *low]);
                rest = behind;
            }
            _ => {
                narrow.push(byte);
                rest = after;
            }
        }
    }
    narrow
}

fn unclosed(byte: u8) -> u8 {
    if matches!(byte, b'[' | b'.' | b' ') { b'_' } else { byte.to_ascii_lowercase() }
}

/// A name and what stands in its brackets: `[q][x]`, `q[x]` and `q[x][]` are two parts, `q` and
/// `x`.
fn parts(name: &[u8]) -> Vec<Vec<u8>> {
    let name = name.trim_ascii_start().split(|byte| *byte == 0).next().unwrap_or_default();
    let parts = name.split(|byte| matches!(byte, b'[' | b']')).filter(|part| !part.is_empty());
    parts.map(|part| part.iter().map(|byte| unclosed(*byte)).collect()).collect()
}

fn folded(name: &[u8]) -> impl Iterator<Item = u8> {
    let name = name.trim_ascii_start();
    let name = name.strip_prefix(b"[").unwrap_or(name);
    name.split(|byte| matches!(byte, b'[' | b']' | 0)).next().unwrap_or_default().iter().map(
        |byte| match byte {
            b'.' | b' ' => b'_',
            _ => byte.to_ascii_lowercase(),
        },
    )
}

fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
    (name, value.strip_prefix(b"=").unwrap_or(value))
}

fn plus_decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    decode(&spaced)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn values_are_those_that_every_origin_finds() {
        for (query, found) in [
            ("q=a", &["a"][..]),
            ("x=1&q=a&q=b", &["a", "b"]),
            ("%71=%61+%2b&q", &["a +", ""]),
            ("x=1;y=2", &[]),
            ("filter[q]=1&page[q]=2", &[]),
            ("qq=1&%ff=1", &[]),
            ("x=%ff", &[]),
            ("", &[]),
        ] {
            let found: Vec<String> = found.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(values(query.as_bytes(), "q", 64), Ok(found), "{query}");
        }
    }

    #[test]
    fn a_name_may_be_there_in_every_decoding() {
        for pair in [
            "api_key=1",
            "API_KEY",
            "api%5Fkey=1",
            "api%255Fkey=1",
            "api%25255Fkey=1",
            "api.key=1",
            "api[key=1",
            "api_key[]=1",
            "api_key%00x=1",
            "+api_key=1",
            "%2561pi_key=1",
        ] {
            assert!(may_be(pair.as_bytes(), "api_key"), "{pair}");
        }
        for pair in ["", "api_keys=1", "x=api_key", "x=%26api_key=1", "key=1", "%zz=1"] {
            assert!(!may_be(pair.as_bytes(), "api_key"), "{pair}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let all: Vec<u8> = (0..=255).collect();
        let written = encoded(&all);
        assert_eq!(plus_decoded(&written), all);
        assert!(written.iter().all(|byte| byte.is_ascii_graphic() && !b"&;=+#".contains(byte)));
    }

    #[test]
    fn what_origins_do_not_agree_on_is_no_value() {
        for query in [
            "x=1;q=admin",
            "q=1;x=2",
            "q=1;2",
            "q[]=admin",
            "q[a]=admin",
            "Q=admin",
            "q%00x=admin",
            "+q=admin",
            "%5B=1;q",
            "[q]=admin",
            "%5Bq%5D=admin",
            "[q]i=admin",
            "%u0071=admin",
            "q=%u0061dmin",
        ] {
            assert_eq!(values(query.as_bytes(), "q", 64), Err(Fault::Ambiguous), "{query}");
        }
        assert_eq!(values(b"a.b=1", "a_b", 64), Err(Fault::Ambiguous));
        assert_eq!(values(b"a[b=1", "a_b", 64), Err(Fault::Ambiguous));
        assert_eq!(values(b".token=1", "_token", 64), Err(Fault::Ambiguous));
        for query in [
            "filter[a][]=1",
            "filter[a]%00=1",
            "+filter[a]=1",
            "[filter][a]=1",
            "Filter[a]=1",
            "%u0066ilter[a]=1",
        ] {
            assert_eq!(values(query.as_bytes(), "filter[a]", 64), Err(Fault::Ambiguous), "{query}");
        }
        let found = values(b"filter[a]=1&filter[b]=2", "filter[a]", 64);
        assert_eq!(found, Ok(vec!["1".to_owned()]));
        assert_eq!(values(b"q=%ff&q=admin", "q", 64), Err(Fault::NotUtf8));
        assert_eq!(values(b"q&q", "q", 1), Err(Fault::TooMany));
    }
}
