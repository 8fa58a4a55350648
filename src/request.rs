//! What a decision may look at: a request and its connection, as bytes and data.

pub mod destination;
pub mod headers;
pub mod host;

use crate::config::IdentityConfig;
use crate::identity::peer::{self, Peer, Presented};
use headers::Headers;

/// The facts of one request, as far as the policies in scope read them ([`Reads`]).
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// The request's headers.
    pub headers: Headers<'a>,
    /// Filter state `io.istio.peer_principal`.
    pub filter_state: &'a [u8],
    /// The URI SAN of the peer's certificate on this very connection.
    pub peer_certificate: &'a [u8],
    /// Envoy's name of the filter chain or cluster that the request came to, such as `inbound-vip|80|http|api.github.com`.
    pub service: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    pub version: &'a [u8],
    /// The caller's address with its port.
    pub source_address: &'a [u8],
    /// The address that the caller dialled, with its port.
    pub destination_address: &'a [u8],
}

impl Facts<'_> {
    /// Who the caller is.
    #[must_use]
    pub fn peer(&self, config: &IdentityConfig) -> Peer<'_> {
        let forwarded_client_cert = self.headers.values(b"x-forwarded-client-cert").last().unwrap_or_default();
        peer::identify(
            config,
            Presented { filter_state: self.filter_state, peer_certificate: self.peer_certificate, forwarded_client_cert },
        )
    }
}

/// The facts that the policies in scope of a request read, beside its headers and the caller's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// `request.version`.
    pub version: bool,
    /// `source.address` or `source.port`.
    pub source_address: bool,
    /// `destination.address` or `destination.port`.
    pub destination_address: bool,
    /// `destination.hostname`, or the host binding.
    pub service: bool,
}

impl Reads {
    /// What either reads.
    #[must_use]
    pub fn or(self, other: Reads) -> Reads {
        Reads {
            version: self.version || other.version,
            source_address: self.source_address || other.source_address,
            destination_address: self.destination_address || other.destination_address,
            service: self.service || other.service,
        }
    }
}

/// Splits Envoy's way to write an address (`10.0.0.1:80`, `[::1]:80`) into address and port.
pub(crate) fn address_and_port(text: &[u8]) -> Option<(&str, u16)> {
    let (address, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let address = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    Some((address, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_address_loses_its_port_and_brackets() {
        assert_eq!(address_and_port(b"10.0.0.1:80"), Some(("10.0.0.1", 80)));
        assert_eq!(address_and_port(b"[::1]:65535"), Some(("::1", 65535)));
        for text in [&b""[..], b"10.0.0.1", b"10.0.0.1:65536", b"internal", b"\xff:1"] {
            assert_eq!(address_and_port(text), None, "{text:?}");
        }
    }
}
