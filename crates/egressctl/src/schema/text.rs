//! The constraints on the texts of a configuration, as patterns of ECMA-262, which JSON Schema
//! uses.

use egress_filter::cel::limits::MAX_SOURCE;
use egress_filter::cel::reserved_words;
use egress_filter::config::shape::Text;
use egress_filter::config::{
    Direction, MAX_HEADER_VALUE, MAX_MEDIA_TYPE, MAX_NAME, MAX_PATH, MAX_POLICY_NAME, MAX_SCOPE,
    MAX_USER_NAME, unchangeable,
};
use egress_filter::identity::MAX_TRUST_DOMAIN;
use egress_filter::request::host::MAX_HOST;

use super::json::Json;

/// The constraints of a text. `patternErrorMessage` is not part of JSON Schema; editors show it
/// instead of the pattern.
pub(super) fn schema(text: Text) -> Json {
    let of = |pattern: &str, otherwise: &str| {
        let schema = Json::object().and_field("type", "string").and_field("pattern", pattern);
        schema.and_field("patternErrorMessage", otherwise)
    };
    match text {
        Text::PolicyName => of("^[A-Za-z0-9._-]+$", "expected letters, digits, `-`, `_` and `.`")
            .and_field("maxLength", MAX_POLICY_NAME),
        Text::Host => {
            let otherwise = "expected a name such as `api.example.com`, or one leading wildcard \
                such as `*.example.com`; no port, scheme or trailing dot";
            // With room for `*.`.
            let longest = MAX_HOST.saturating_add(2);
            of(r"^(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$", otherwise)
                .and_field("maxLength", longest)
        }
        Text::TrustDomain => {
            of("^[a-z0-9._-]+$", "expected lower-case letters, digits, `.`, `-`, `_`")
                .and_field("maxLength", MAX_TRUST_DOMAIN)
        }
        Text::Expression => Json::object()
            .and_field("type", "string")
            .and_field("minLength", 1_usize)
            .and_field("maxLength", MAX_SOURCE),
        Text::Header { of: direction, pseudo } => {
            let mut may = vec!["a header's name"];
            may.extend(direction.settable().iter().filter(|_| pseudo));
            let refused: Vec<&str> = unchangeable().collect();
            of(
                &header(direction, pseudo),
                &format!("expected {}; not {}", may.join(", "), refused.join(", ")),
            )
        }
        Text::HeaderValue => {
            of(HEADER_VALUE, "expected no control characters, and no blanks around the value")
                .and_field("maxLength", MAX_HEADER_VALUE)
        }
        Text::Free(most) => Json::object()
            .and_field("type", "string")
            .and_field("minLength", 1_usize)
            .and_field("maxLength", most),
        Text::Variable => {
            let reserved = reserved_words().join("|");
            of(
                &format!("^(?!({reserved})$)[A-Za-z_][A-Za-z0-9_]*$"),
                "expected letters, digits and `_`, no digit first, and no word of CEL's own",
            )
            .and_field("maxLength", MAX_NAME)
        }
        Text::RecordField => of(
            "^[A-Za-z_][A-Za-z0-9_.-]*$",
            "expected letters, digits, `_`, `.` and `-`, a letter or `_` first",
        )
        .and_field("maxLength", MAX_NAME),
        Text::Environment => {
            of("^[A-Za-z_][A-Za-z0-9_]*$", "expected letters, digits and `_`, no digit first")
                .and_field("maxLength", MAX_NAME)
        }
        Text::HostName => {
            let otherwise = "expected a name such as `api.example.com`; no wildcard, port, scheme \
                or trailing dot";
            of(r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$", otherwise)
                .and_field("maxLength", MAX_HOST)
        }
        Text::Path => {
            of(PATH, "expected `/` and segments without escapes; no query, `//` and dot segments")
                .and_field("maxLength", MAX_PATH)
        }
        Text::Duration => of(
            "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
            "expected numbers with a unit, such as `500ms`, `10s` or `1m30s`",
        ),
        Text::Token => {
            of("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "expected letters, digits and `!#$%&'*+-.^_`|~`")
                .and_field("maxLength", MAX_NAME)
        }
        Text::MediaType => {
            let name = "[A-Za-z0-9!#$&^_.+-]+";
            let otherwise = "expected `application/json`, `application/*+json`, `text/*`, ...";
            of(&format!(r"^(\*/\*|{name}/(\*|\*\+{name}|{name}))$"), otherwise)
                .and_field("maxLength", MAX_MEDIA_TYPE)
        }
        Text::Scope => of(
            r"^[!#-\[\]-~]+$",
            "expected printable ASCII characters without blank, `\"` and `\\`",
        )
        .and_field("maxLength", MAX_SCOPE),
        Text::UserName => of(
            r"^[^:\u0000-\u001f\u007f-\u009f]+$",
            "expected characters without `:` and control characters",
        )
        .and_field("maxLength", MAX_USER_NAME),
    }
}

/// The pattern of a header's value: no control byte but tab, and no blank at either end.
const HEADER_VALUE: &str = r"^[^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?$";

/// The pattern of paths that are written in a configuration.
const PATH: &str =
    r"^/((?!\.+(/|$))[A-Za-z0-9_.~!$&'()*+,=:@-]+(/(?!\.+(/|$))[A-Za-z0-9_.~!$&'()*+,=:@-]+)*/?)?$";

/// The pattern of the names of headers that may be changed.
fn header(direction: Direction, pseudo: bool) -> String {
    let refused: Vec<String> = unchangeable().map(in_any_case).collect();
    let name = format!("(?!({})$)[A-Za-z0-9!#$%&'*+.^_`|~-]+", refused.join("|"));
    if !pseudo {
        return format!("^{name}$");
    }
    let settable: Vec<String> = direction.settable().iter().copied().map(in_any_case).collect();
    format!("^({}|{name})$", settable.join("|"))
}

/// A pattern of a word in upper, lower or mixed case: patterns of JSON Schema have no flag for
/// that.
fn in_any_case(word: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphabetic() {
            format!("[{}{c}]", c.to_ascii_uppercase())
        } else {
            c.to_string()
        }
    };
    word.chars().map(letter).collect()
}
