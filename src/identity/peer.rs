//! Which of the things a proxy knows about its peer is the caller's identity.

use super::SpiffeId;
use crate::config::{IdentityConfig, IdentitySource};

/// What the sources say, as far as they were asked; an absent source is an empty value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// Filter state `io.istio.peer_principal`.
    pub filter_state: &'a [u8],
    /// The URI SAN of the peer's certificate on this very connection.
    pub peer_certificate: &'a [u8],
    /// The last line of `x-forwarded-client-cert`.
    pub forwarded_client_cert: &'a [u8],
}

/// Who the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer<'a> {
    /// The SPIFFE ID, where it is one and its trust domain is believed.
    pub id: Option<SpiffeId<'a>>,
    /// A SPIFFE ID that was presented and is not believed, for the audit record.
    pub rejected: Option<&'a str>,
}

/// Finds the caller's identity. The first source that says anything decides: what it says wrongly, no later one mends.
#[must_use]
pub fn identify<'a>(config: &IdentityConfig, presented: Presented<'a>) -> Peer<'a> {
    let said = config
        .sources
        .iter()
        .map(|source| match source {
            IdentitySource::FilterState => presented.filter_state,
            IdentitySource::PeerCertificate => presented.peer_certificate,
            IdentitySource::ForwardedClientCert => forwarded_uri(presented.forwarded_client_cert),
        })
        .find(|value| says_something(value));
    let Some(id) = said.and_then(|value| std::str::from_utf8(value).ok()).and_then(|value| SpiffeId::parse(value).ok()) else {
        return Peer::default();
    };
    if config.trust_domains.is_empty() || config.trust_domains.iter().any(|believed| believed == id.trust_domain()) {
        Peer { id: Some(id), rejected: None }
    } else {
        Peer { id: None, rejected: Some(id.as_str()) }
    }
}

/// Whether a source's value is more than Envoy's way to write "nothing".
#[must_use]
pub fn says_something(value: &[u8]) -> bool {
    !matches!(value, b"" | b"-")
}

/// The URI of the nearest client in an `x-forwarded-client-cert` value (Envoy's documentation of the header): that of the
/// last element, which the proxy in front of us wrote. Several URIs in it, like several SANs, are no identity.
fn forwarded_uri(value: &[u8]) -> &[u8] {
    let Some(element) = split_unquoted(value, b',').and_then(|elements| elements.last().copied()) else { return UNREADABLE };
    let Some(pairs) = split_unquoted(element, b';') else { return UNREADABLE };
    let mut uris = pairs.into_iter().filter_map(|pair| {
        let (key, uri) = pair.split_at_checked(4)?;
        key.eq_ignore_ascii_case(b"URI=").then_some(uri)
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => uri,
        (None, _) => b"",
        (Some(_), Some(_)) => UNREADABLE,
    }
}

/// Says something, and is no SPIFFE ID.
const UNREADABLE: &[u8] = b"?";

/// Splits at a separator that stands outside of double quotes; nothing where a quote is left open.
fn split_unquoted(value: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = value.split(|byte| {
        let separates = *byte == separator && !quoted;
        match (*byte, escaped) {
            (b'"', false) => quoted = !quoted,
            (b'\\', false) => {
                escaped = true;
                return separates;
            }
            _ => {}
        }
        escaped = false;
        separates
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: &[u8] = b"spiffe://cluster.local/ns/team-a/sa/team-a";
    const B: &[u8] = b"spiffe://cluster.local/ns/team-b/sa/team-b";

    fn config(sources: &[IdentitySource]) -> IdentityConfig {
        IdentityConfig { sources: sources.to_vec(), trust_domains: Vec::new() }
    }

    fn id<'a>(config: &IdentityConfig, presented: Presented<'a>) -> Option<&'a [u8]> {
        identify(config, presented).id.map(|id| id.as_str().as_bytes())
    }

    #[test]
    fn sources_are_tried_in_order() {
        let both = Presented { filter_state: A, peer_certificate: B, forwarded_client_cert: b"" };
        assert_eq!(id(&IdentityConfig::default(), both), Some(A));
        assert_eq!(id(&config(&[IdentitySource::PeerCertificate, IdentitySource::FilterState]), both), Some(B));
        for nothing in [&b""[..], b"-"] {
            assert_eq!(id(&IdentityConfig::default(), Presented { filter_state: nothing, ..both }), Some(B), "{nothing:?}");
        }
    }

    #[test]
    fn a_source_that_speaks_wrongly_is_not_mended_by_the_next() {
        for wrong in [&b"spiffe://a/ns/x/sa/y,spiffe://a/ns/z/sa/y"[..], b"garbage", b"\xff\xfe"] {
            let presented = Presented { filter_state: wrong, peer_certificate: B, forwarded_client_cert: b"" };
            assert_eq!(id(&IdentityConfig::default(), presented), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_forwarded_header_is_believed_only_where_it_is_listed() {
        let presented = Presented { forwarded_client_cert: b"By=x;URI=spiffe://cluster.local/ns/team-a/sa/team-a", ..Presented::default() };
        assert_eq!(id(&IdentityConfig::default(), presented), None);
        assert_eq!(id(&config(&[IdentitySource::ForwardedClientCert]), presented), Some(A));
    }

    #[test]
    fn the_nearest_forwarded_client_counts() {
        let sources = config(&[IdentitySource::ForwardedClientCert]);
        for (value, expected) in [
            (&b"URI=spiffe://forged/ns/x/sa/y,By=w;Hash=1;Subject=\"CN=a\";URI=spiffe://cluster.local/ns/team-a/sa/team-a"[..], Some(A)),
            (b"URI=spiffe://cluster.local/ns/team-a/sa/team-a;URI=spiffe://cluster.local/ns/team-b/sa/team-b", None),
            (b"uri=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A)),
            (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a", None),
            (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
            (b"Subject=\"a\\\",URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
            (b"Subject=\"a,b;c\";URI=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A)),
            (b"By=x", None),
            (b",", None),
        ] {
            assert_eq!(id(&sources, Presented { forwarded_client_cert: value, ..Presented::default() }), expected, "{value:?}");
        }
    }

    #[test]
    fn another_trust_domain_has_no_identity_but_a_name_in_the_audit() {
        let config = IdentityConfig { trust_domains: vec!["cluster.local".to_owned()], ..IdentityConfig::default() };
        let other = Presented { filter_state: b"spiffe://other/ns/team-a/sa/team-a", ..Presented::default() };
        assert_eq!(identify(&config, other), Peer { id: None, rejected: Some("spiffe://other/ns/team-a/sa/team-a") });
        assert_eq!(id(&config, Presented { filter_state: A, ..Presented::default() }), Some(A));
    }
}
