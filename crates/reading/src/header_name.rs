//! Which headers a transformation may touch, and which bytes a header may hold (RFC 9110 section
//! 5).

use crate::words;

/// Whether headers are those of a request or of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The request's.
    Request,
    /// The response's.
    Response,
}

impl Direction {
    /// The pseudo-headers that may be set, lower-case.
    #[must_use]
    pub fn settable(self) -> &'static [&'static str] {
        match self {
            Direction::Request => &[":authority", ":method", ":path"],
            Direction::Response => &[":status"],
        }
    }
}

/// `Host`, which is set as `:authority`.
const HOST: &str = "host";

/// The headers besides pseudo-headers that no policy may change, lower-case.
pub fn unchangeable() -> impl Iterator<Item = &'static str> {
    std::iter::once(HOST).chain(FRAMING.iter().copied())
}

/// Headers that belong to the framing of the message or to the connection. If one of them changed,
/// the two sides would disagree on where a message ends.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks the lower-case `name` of a header that is to be changed. `pseudo` says whether
/// pseudo-headers such as `:path` are accepted.
pub fn check(name: &str, direction: Direction, pseudo: bool) -> Result<(), String> {
    let settable = direction.settable();
    if name.starts_with(':') {
        return match (settable.contains(&name), pseudo) {
            (true, true) => Ok(()),
            (true, false) => Err(format!("`{name}` has one value: `set` it")),
            (false, _) => {
                let known: Vec<String> = settable.iter().map(|name| format!("`{name}`")).collect();
                Err(format!(
                    "pseudo-header `{}` cannot be changed: only {}",
                    name.escape_debug(),
                    known.join(", ")
                ))
            }
        };
    }
    if !is_token(name.as_bytes()) {
        return Err(format!(
            "`{}` is no header name: expected letters, digits and `!#$%&'*+-.^_`|~`",
            name.escape_debug()
        ));
    }
    if name == HOST {
        return Err("`host` cannot be changed: `set` `:authority`".to_owned());
    }
    if FRAMING.contains(&name) {
        return Err(format!("`{name}` cannot be changed: it frames the message on the connection"));
    }
    Ok(())
}

/// Whether these bytes are a `token` (RFC 9110 section 5.6.2), as a header's name must be.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether these bytes can be a header's value (RFC 9110 section 5.5): no control byte except tab,
/// and no white space at either end.
pub fn is_value(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_legal = |&byte: &u8| (byte >= b' ' && byte != 0x7f) || byte == b'\t';
    (words::all(bytes, words::has_no_control) || bytes.iter().all(is_legal))
        && !blank(bytes.first())
        && !blank(bytes.last())
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn framing_and_unknown_pseudo_headers_cannot_be_changed() {
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            ":scheme",
            ":status",
            "a b",
            "",
            "x\r\n",
            ":",
        ] {
            assert!(check(name, Direction::Request, true).is_err(), "{name:?}");
        }
        for name in ["x-a", ":path", ":authority", ":method", "authorization"] {
            assert_eq!(check(name, Direction::Request, true), Ok(()), "{name:?}");
        }
        assert!(check(":path", Direction::Request, false).is_err());
        assert!(check(":path", Direction::Response, true).is_err());
        assert_eq!(check(":status", Direction::Response, true), Ok(()));
    }

    #[test]
    fn values_hold_no_control_byte_and_no_space_around() {
        for (value, legal) in [
            ("", true),
            ("a b\tc", true),
            ("\u{e9}", true),
            ("a\r\nb: c", false),
            ("a\0", false),
            (" a", false),
            ("a\t", false),
            ("\x7f", false),
        ] {
            assert_eq!(is_value(value.as_bytes()), legal, "{value:?}");
        }
    }
}
