//! The forms of texts in a configuration.

use super::bodies;
use super::decode::shown;
use super::fixed_headers;
use super::shape::Text;
use egress_cel::is_identifier;
use egress_reading::header_name::is_token;
use egress_reading::host::is_host_name;

/// The longest name of a variable, of a record's field, or of an environment variable, in bytes.
pub const MAX_NAME: usize = 64;
/// The longest path of a rewrite, a redirect or a service, in bytes.
pub const MAX_PATH: usize = 1_024;
/// The longest scope of OAuth 2, in bytes.
pub const MAX_SCOPE: usize = 256;
/// The longest user name, in characters.
pub const MAX_USER_NAME: usize = 256;
/// The longest duration, in milliseconds: what four parts of five digits can say.
const DURATION_PARTS: usize = 4;
const DURATION_DIGITS: usize = 5;

/// Checks a text of one of the forms that need no more than its own bytes.
///
/// # Errors
/// What was expected.
pub(super) fn check(form: Text, text: &str) -> Result<(), String> {
    let no = |what: &str, expected: &str| {
        Err(format!("`{}` is no {what}: expected {expected}", shown(text)))
    };
    match form {
        Text::Free(most) => match text.chars().count() {
            0 => Err("the text is empty: give one, or leave the field out".to_owned()),
            length if length > most => {
                Err(format!("the text has {length} characters, the limit is {most}"))
            }
            _ => Ok(()),
        },
        Text::HeaderValue => fixed_headers::check(text),
        Text::Variable if text.len() > MAX_NAME || !is_identifier(text) => no(
            "name of a variable",
            &format!(
                "1 to {MAX_NAME} letters, digits and `_`, no digit first, and no word of CEL's own"
            ),
        ),
        Text::RecordField if !is_name(text, |byte| matches!(byte, b'_' | b'.' | b'-')) => no(
            "name of a field",
            &format!("1 to {MAX_NAME} letters, digits, `_`, `.` and `-`, a letter or `_` first"),
        ),
        Text::Environment if !is_name(text, |byte| byte == b'_') => no(
            "name of an environment variable",
            &format!("1 to {MAX_NAME} letters, digits and `_`, no digit first"),
        ),
        Text::HostName if !is_host_name(text) => no(
            "host",
            "a name such as `api.example.com`; no wildcard, port, scheme or trailing dot",
        ),
        Text::Path if !is_path(text) => no(
            "path",
            &format!(
                "`/` and segments of letters, digits and `_.~!$&'()*+,=:@-`, at most {MAX_PATH} \
                 bytes; no query, escapes, `//` and dot segments"
            ),
        ),
        Text::Token if text.len() > MAX_NAME || !is_token(text.as_bytes()) => {
            no("name", &format!("1 to {MAX_NAME} letters, digits and `!#$%&'*+-.^_`|~`"))
        }
        Text::MediaType if !bodies::is_media_type(text) => {
            no("content type", "one such as `application/json`, `application/*+json` or `text/*`")
        }
        Text::Scope if text.len() > MAX_SCOPE || !is_scope(text) => no(
            "scope",
            &format!("1 to {MAX_SCOPE} printable ASCII characters without blank, `\"` and `\\`"),
        ),
        Text::UserName if !is_user_name(text) => no(
            "user name",
            &format!("1 to {MAX_USER_NAME} characters without `:` and control characters"),
        ),
        Text::Duration if milliseconds(text).is_none() => {
            no("duration", "numbers with a unit, such as `500ms`, `10s` or `1m30s`")
        }
        _ => Ok(()),
    }
}

/// Whether a text is a `scope-token` (RFC 6749 section 3.3).
fn is_scope(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.bytes().all(legal)
}

fn is_user_name(text: &str) -> bool {
    let legal = |letter: char| letter != ':' && !letter.is_control();
    (1..=MAX_USER_NAME).contains(&text.chars().count()) && text.chars().all(legal)
}

/// Whether a text is a name of legal length: a letter or `_`, then letters, digits and what else
/// is legal.
fn is_name(text: &str, more: impl Fn(u8) -> bool) -> bool {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || more(byte);
    starts && text.len() <= MAX_NAME && text.bytes().all(legal)
}

/// Whether a text is a path that every origin reads in the same way.
fn is_path(text: &str) -> bool {
    let Some(segments) = text.strip_prefix('/').filter(|_| text.len() <= MAX_PATH) else {
        return false;
    };
    segments.is_empty() || segments.strip_suffix('/').unwrap_or(segments).split('/').all(is_segment)
}

fn is_segment(segment: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.~!$&'()*+,=:@-".contains(&byte);
    segment.bytes().all(legal) && segment.bytes().any(|byte| byte != b'.')
}

/// A duration of the Gateway API (GEP-2257), in milliseconds: one to four numbers of at most five
/// digits, each with its unit.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let (mut rest, mut parts, mut sum) = (text, 0_usize, 0_u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at_checked(letters)?;
        let unit: u64 = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        parts = parts.saturating_add(1);
        if digits == 0 || digits > DURATION_DIGITS || parts > DURATION_PARTS {
            return None;
        }
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = behind;
    }
    (parts > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn durations_are_those_of_the_gateway_api() {
        for (text, expected) in [
            ("1ms", Some(1)),
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("1h2m3s4ms", Some(3_723_004)),
            ("0s", Some(0)),
            ("99999h", Some(359_996_400_000)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("100000s", None),
            ("1h1m1s1ms1ms", None),
            ("1d", None),
            ("1s ", None),
            ("٣s", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    const PATHS: &[&str] =
        &["", "a", "/a?b", "/a//b", "//a", "/a//", "//", "/../a", "/a/.", "/ä", "/a%20b", "/a;b"];

    #[test]
    fn texts_have_their_forms() {
        let long = "a".repeat(MAX_NAME);
        for (form, right, wrong) in [
            (Text::Free(3), vec!["a", "äöü"], vec!["", "abcd"]),
            (Text::Variable, vec!["ci", "_a1", &long], vec!["", "1a", "a-b", "in", "true", "ä"]),
            (Text::RecordField, vec!["caller", "a.b-c_d"], vec!["", ".a", "a b", "1a"]),
            (Text::Environment, vec!["TOKEN", "_T1"], vec!["", "1T", "A-B", "A.B", "A B"]),
            (Text::HostName, vec!["a.example"], vec!["*.example", "a.", "a:80", ""]),
            (Text::Path, vec!["/", "/a/b", "/a/", "/.a"], PATHS.to_vec()),
            (Text::Duration, vec!["5s"], vec!["5"]),
            (Text::Token, vec!["sid", "X-Key", &long], vec!["", "a b", "a=b", "a;b", "ä"]),
            (Text::Scope, vec!["repo:read", "https://a/.default"], vec!["", "a b", "\"", "\\"]),
            (Text::UserName, vec!["ada", "ä b"], vec!["", "a:b", "a\n"]),
        ] {
            for text in right {
                assert_eq!(check(form, text), Ok(()), "{form:?} {text}");
            }
            for text in wrong {
                assert!(check(form, text).is_err(), "{form:?} {text}");
            }
        }
    }
}
