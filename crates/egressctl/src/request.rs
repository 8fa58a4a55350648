//! Which requests can reach the waypoint: the same rules for `explain` and `test`.

use std::borrow::Cow;

use egress_filter::config::IdentityConfig;
use egress_filter::identity::SpiffeId;

use crate::hop_by_hop;
use crate::normalization::{Normalization, normalized};

/// The trust domain of a mesh that was not given one.
const USUAL: &str = "cluster.local";

/// A URL without its scheme, in parts as they are written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url<'u> {
    pub(crate) authority: &'u str,
    /// Path and query.
    pub(crate) target: String,
}

impl<'u> Url<'u> {
    /// Reads what follows `http://`; `text` is the whole URL, for messages.
    pub(crate) fn of_rest(text: &str, rest: &'u str) -> Result<Url<'u>, String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(format!("`{}` has no host: write `http://HOST/PATH`", text.escape_debug()));
        }
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(format!(
                "`{text}`: curl sends what is before the `@` as `Authorization: Basic ...`: write \
                 that header, and `{host}`"
            ));
        }
        // A fragment stays with the client.
        let target = rest.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Url { authority, target })
    }
}

/// The SPIFFE ID of a waypoint of a trust domain.
pub(crate) fn waypoint(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}/ns/istio-egress/sa/waypoint")
}

/// The port that an authority names, or that of plain HTTP.
pub(crate) fn port(authority: &str) -> u16 {
    let named = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    named.and_then(|(_, port)| port.parse().ok()).unwrap_or(80)
}

/// Whether this is a `token` (RFC 9110 section 5.6.2), as methods and the names of headers are.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A method, as HTTP has them.
pub(crate) fn method(text: &str) -> Result<(), String> {
    if is_token(text) {
        Ok(())
    } else {
        Err(format!("`{}` is no method: no request has it", text.escape_debug()))
    }
}

/// A request that Envoy does not refuse itself for its first line or for its `Connection`.
pub(crate) fn arrives(
    (method, path): (&str, &str),
    headers: &[(String, String)],
    version: &str,
) -> Result<(), String> {
    const REFUSES: &str = "Envoy refuses the request with 400 before the filter sees it";
    if version == "HTTP/1.1" {
        if method == "CONNECT" {
            return Err(format!("`CONNECT`: {REFUSES}, since a waypoint takes it for HBONE alone"));
        }
        if path == "*" && method != "OPTIONS" {
            return Err(format!("`*` is the path of `OPTIONS` alone: {REFUSES}"));
        }
    }
    hop_by_hop::seen(headers, version).map(|_| ())
}

/// An authority that Envoy does not refuse itself; an empty one it passes on.
pub(crate) fn authority(text: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]@".contains(&byte);
    if text.bytes().all(legal) {
        return Ok(());
    }
    Err(format!(
        "`{}` is no host: Envoy refuses the request before the filter sees it",
        text.escape_debug()
    ))
}

/// A path that Envoy does not refuse itself.
pub(crate) fn path(text: &str) -> Result<(), String> {
    if !text.starts_with('/') && text != "*" {
        return Err(format!(
            "`{}` is no path: it begins with `/` (only that of `OPTIONS *` does not)",
            text.escape_debug()
        ));
    }
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!(
            "`{}` is no path: a space is written `%20`, and what has control characters Envoy \
             refuses",
            text.escape_debug()
        ));
    }
    Ok(())
}

/// The path and query that the filter sees of those that are sent.
pub(crate) fn seen_path(sent: &str, normalization: Normalization) -> Result<String, String> {
    normalized(sent, normalization).ok_or_else(|| {
        format!(
            "`{}` has an escaped NUL: Envoy refuses the request with 400 before the filter sees it",
            sent.escape_debug()
        )
    })
}

/// The name of a header.
pub(crate) fn header_name(name: &str) -> Result<(), String> {
    if is_token(name) {
        return Ok(());
    }
    Err(format!(
        "`{}` is no header's name: letters, digits and `!#$%&'*+-.^_`|~`",
        name.escape_debug()
    ))
}

/// A header's value as the filter gets it, without leading and trailing blanks.
pub(crate) fn header_value(value: &str) -> Result<&str, String> {
    let value = value.trim_matches([' ', '\t']);
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!(
            "`{}` is no header's value: it has no line ends and no other control characters",
            value.escape_debug()
        ));
    }
    Ok(value)
}

/// The trust domain of callers that are given by namespace and service account alone.
pub(crate) fn trust_domain(identity: &IdentityConfig) -> &str {
    let believed = &identity.trust_domains;
    match believed.first() {
        Some(first) if !believed.iter().any(|domain| domain == USUAL) => first,
        _ => USUAL,
    }
}

/// The principal that the proxy sees for a caller (`namespace/serviceAccount`, a SPIFFE ID, `-` or
/// `none`); `None` for a text that names no caller.
pub(crate) fn principal(caller: &str, trust_domain: &str) -> Option<String> {
    if caller == "none" {
        return Some(String::new());
    }
    // Istio writes `-` for a certificate without a name.
    if caller.starts_with("spiffe://") || caller == "-" {
        return Some(caller.to_owned());
    }
    let (namespace, account) = caller.split_once('/')?;
    let id = format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}");
    SpiffeId::parse(&id).is_ok_and(|id| id.workload().is_some()).then_some(id)
}

/// A SPIFFE ID as people write it: `namespace/serviceAccount` in the usual trust domain.
pub(crate) fn short(id: &str) -> Cow<'_, str> {
    let usual = || {
        let id = SpiffeId::parse(id).ok().filter(|id| id.trust_domain() == USUAL)?;
        let workload = id.workload()?;
        Some(format!("{}/{}", workload.namespace, workload.service_account))
    };
    usual().map_or(Cow::Borrowed(id), Cow::Owned)
}

/// An address with its port, as Envoy writes them; `port` is added where it is missing.
pub(crate) fn with_port(address: &str, port: &str) -> Result<String, String> {
    use std::net::{IpAddr, SocketAddr};
    let bare =
        address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    match (address.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(_), _) => Ok(address.to_owned()),
        (_, Ok(IpAddr::V4(_))) => Ok(format!("{bare}:{port}")),
        (_, Ok(IpAddr::V6(_))) => Ok(format!("[{bare}]:{port}")),
        _ => Err(format!(
            "`{}` is no address: an IP address, with or without a port",
            address.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_can_be_is_refused() {
        for text in ["GET", "M-SEARCH"] {
            assert_eq!(method(text), Ok(()), "{text}");
        }
        for text in ["", "g et", "GET\n", "gét"] {
            assert!(method(text).is_err(), "{text:?}");
        }
        for text in ["", "api.github.com:80", "user@a", "a,b", "[::1]:80", "a%2e"] {
            assert_eq!(authority(text), Ok(()), "{text}");
        }
        for text in ["a b", "a/b", "a\n", "a\\b", "ä"] {
            assert!(authority(text).is_err(), "{text:?}");
        }
        for text in ["/", "*", "/a/../b", "/%zz#f", "/é?x=\\"] {
            assert_eq!(path(text), Ok(()), "{text}");
        }
        for text in ["", "zen", "http://a/zen", "/a b", "/a\u{1}"] {
            assert!(path(text).is_err(), "{text:?}");
        }
        for text in ["X-Role", "x_role", "a.b"] {
            assert_eq!(header_name(text), Ok(()), "{text}");
        }
        for text in ["", "bad name", ":path", "x\n", "é"] {
            assert!(header_name(text).is_err(), "{text:?}");
        }
        assert_eq!(header_value(" \ta b\tc "), Ok("a b\tc"));
        assert_eq!(header_value("é中"), Ok("é中"));
        for text in ["a\n", "a\r\nb: c", "\0"] {
            assert!(header_value(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_caller_is_of_a_trust_domain_that_is_believed() {
        let domains = |domains: &[&str]| IdentityConfig {
            trust_domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            ..IdentityConfig::default()
        };
        for (believed, expected) in [
            (&[][..], "cluster.local"),
            (&["prod", "test"], "prod"),
            (&["prod", "cluster.local"], "cluster.local"),
        ] {
            assert_eq!(trust_domain(&domains(believed)), expected);
        }
        for (caller, expected) in [
            ("a/b", Some("spiffe://prod/ns/a/sa/b")),
            ("none", Some("")),
            ("-", Some("-")),
            ("spiffe://x/y", Some("spiffe://x/y")),
            ("a", None),
            ("/b", None),
            ("a/", None),
            ("a/b/c", None),
            ("a b/c", None),
            ("", None),
        ] {
            assert_eq!(principal(caller, "prod").as_deref(), expected, "{caller}");
        }
    }

    #[test]
    fn addresses_have_ports() {
        for (address, expected) in [
            ("10.0.0.7", "10.0.0.7:80"),
            ("10.0.0.7:5", "10.0.0.7:5"),
            ("::1", "[::1]:80"),
            ("[::1]", "[::1]:80"),
            ("[::1]:5", "[::1]:5"),
        ] {
            assert_eq!(with_port(address, "80").as_deref(), Ok(expected), "{address}");
        }
        assert!(with_port("pod-7", "80").is_err() && with_port("10.0.0.7:x", "80").is_err());
        for (authority, expected) in
            [("a", 80), ("a:8080", 8080), ("[::1]", 80), ("[::1]:81", 81), ("a:x", 80)]
        {
            assert_eq!(port(authority), expected, "{authority}");
        }
    }
}
