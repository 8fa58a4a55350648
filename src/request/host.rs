//! The host a request is for, in the one form that rules compare.

use std::borrow::Cow;

pub use egress_reading::host::MAX_HOST;
use egress_reading::host::is_host_name;

use crate::plain;

/// The authority as `request.host`: lower-case, without port and trailing dot.
///
/// # Errors
/// If it is not a host with an optional port (RFC 3986 section 3.2, without user information, which
/// HTTP forbids: RFC 9110 section 4.2.4).
pub fn canonical(authority: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let text = std::str::from_utf8(authority).map_err(|_| "not ASCII")?;
    if is_canonical(authority) {
        return Ok(Cow::Borrowed(text));
    }
    if text.contains('@') {
        return Err("user information");
    }
    let (host, port) = split_port(text)?;
    if port.is_some_and(|port| {
        port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Err("invalid port");
    }
    if let Some(literal) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return match literal.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok(Cow::Owned(format!("[{address}]"))),
            Err(_) => Err("invalid IPv6 address"),
        };
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if !is_host_name(name) {
        return Err("invalid host name");
    }
    Ok(Cow::Owned(name.to_ascii_lowercase()))
}

/// The port of an authority, where it has a legal one.
pub(crate) fn port(authority: &[u8]) -> Option<u16> {
    split_port(std::str::from_utf8(authority).ok()?).ok()?.1?.parse().ok()
}

/// Whether this is a host name in the form that [`canonical`] returns.
fn is_canonical(authority: &[u8]) -> bool {
    plain::is_host(authority) || is_canonical_by_labels(authority)
}

pub(crate) fn is_canonical_by_labels(authority: &[u8]) -> bool {
    let mut label = 0_usize;
    for byte in authority {
        label = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label.saturating_add(1),
            b'.' if label > 0 => 0,
            _ => return false,
        };
        if label > 63 {
            return false;
        }
    }
    label > 0 && authority.len() <= 253
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if text.starts_with('[') {
        let (literal, rest) = text.split_once(']').ok_or("invalid IPv6 address")?;
        let host = text.get(..literal.len().saturating_add(1)).unwrap_or_default();
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("invalid port"),
        };
    }
    Ok(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn one_host_has_one_form() {
        for authority in [
            "api.github.com",
            "api.github.com:80",
            "api.github.com:443",
            "API.GITHUB.COM",
            "api.github.com.",
            "Api.GitHub.com.:8080",
        ] {
            assert_eq!(
                canonical(authority.as_bytes()),
                Ok(Cow::Borrowed("api.github.com")),
                "{authority}"
            );
        }
        assert_eq!(canonical(b"[::1]:80"), Ok(Cow::Borrowed("[::1]")));
        assert_eq!(canonical(b"[0:0:0:0:0:0:0:1]"), Ok(Cow::Borrowed("[::1]")));
        assert_eq!(canonical(b"10.0.0.1:80"), Ok(Cow::Borrowed("10.0.0.1")));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for authority in [
            "",
            ".",
            "a..b",
            "a..",
            "user@api.github.com",
            "a b",
            "a,b",
            "a/b",
            "a:",
            "a:b",
            "a:+80",
            "a:65536",
            "a:80:80",
            "[::1",
            "[::1]x",
            "[x]",
            "::1",
            "a\0",
            "*",
            "http://a",
            "a\\b",
            "a?b",
            "a#b",
            "a%2eb",
        ] {
            assert!(canonical(authority.as_bytes()).is_err(), "{authority:?}");
        }
        assert!(canonical(b"a\xff").is_err());
    }
}
