//! What a decision may look at: a request and its connection, as bytes and data.

pub mod destination;
pub mod headers;
pub mod host;
pub mod inline;

use std::sync::{Arc, OnceLock};

use crate::identity::peer::{Caller, Callers};
use headers::Headers;

/// What a proxy knows of a request beside its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Filter state `io.istio.peer_principal`.
    PeerPrincipal,
    /// The URI SAN of the peer's certificate on this very connection.
    PeerCertificate,
    /// Envoy's name of the filter chain that the request came to, such as
    /// `inbound-vip|80|http|api.github.com`.
    FilterChainName,
    /// Envoy's name of the cluster that the request goes to.
    ClusterName,
    /// `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    Protocol,
    /// The IP address of the peer, as the connection has it, whatever headers say.
    SourceAddress,
    /// Its port: eight bytes, little-endian.
    SourcePort,
    /// The version of TLS on this very connection; nothing where there is none.
    TlsVersion,
    /// Filter state `io.istio.local_principal`: the waypoint's own SPIFFE ID.
    LocalPrincipal,
    /// The URI SAN of the proxy's own certificate on this very connection.
    LocalCertificate,
    /// The address that the caller dialled, with its port.
    DestinationAddress,
}

impl Property {
    /// All of them, in order.
    pub const ALL: [Property; 11] = [
        Property::PeerPrincipal,
        Property::PeerCertificate,
        Property::FilterChainName,
        Property::ClusterName,
        Property::Protocol,
        Property::SourceAddress,
        Property::SourcePort,
        Property::TlsVersion,
        Property::LocalPrincipal,
        Property::LocalCertificate,
        Property::DestinationAddress,
    ];
}

/// Where properties come from. They are asked for when something reads them, and may be asked for
/// again.
pub trait Source: std::fmt::Debug + Sync {
    /// The property's value, empty where there is none.
    fn property(&self, property: Property) -> &[u8];

    /// Whether a property could not be read, so that what was decided on its absence does not hold.
    fn failed(&self) -> bool;
}

/// Properties that are given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// [`Property::PeerPrincipal`]
    pub peer_principal: &'a [u8],
    /// [`Property::PeerCertificate`]
    pub peer_certificate: &'a [u8],
    /// [`Property::FilterChainName`]
    pub filter_chain_name: &'a [u8],
    /// [`Property::ClusterName`]
    pub cluster_name: &'a [u8],
    /// [`Property::Protocol`]
    pub protocol: &'a [u8],
    /// [`Property::SourceAddress`]
    pub source_address: &'a [u8],
    /// [`Property::SourcePort`]
    pub source_port: &'a [u8],
    /// [`Property::TlsVersion`]
    pub tls_version: &'a [u8],
    /// [`Property::LocalPrincipal`]
    pub local_principal: &'a [u8],
    /// [`Property::LocalCertificate`]
    pub local_certificate: &'a [u8],
    /// [`Property::DestinationAddress`]
    pub destination_address: &'a [u8],
}

impl Source for Given<'_> {
    fn property(&self, property: Property) -> &[u8] {
        match property {
            Property::PeerPrincipal => self.peer_principal,
            Property::PeerCertificate => self.peer_certificate,
            Property::FilterChainName => self.filter_chain_name,
            Property::ClusterName => self.cluster_name,
            Property::Protocol => self.protocol,
            Property::SourceAddress => self.source_address,
            Property::SourcePort => self.source_port,
            Property::TlsVersion => self.tls_version,
            Property::LocalPrincipal => self.local_principal,
            Property::LocalCertificate => self.local_certificate,
            Property::DestinationAddress => self.destination_address,
        }
    }

    fn failed(&self) -> bool {
        false
    }
}

/// The facts of one request: its headers as they came, and where the rest is to be had.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The request's headers.
    pub headers: Headers<'a>,
    source: &'a dyn Source,
    caller: OnceLock<Arc<Caller>>,
}

impl<'a> Facts<'a> {
    /// The facts of a request with these headers.
    #[must_use]
    pub fn new(headers: Headers<'a>, source: &'a dyn Source) -> Self {
        Facts { headers, source, caller: OnceLock::new() }
    }

    /// A property, empty where there is none.
    pub(crate) fn property(&self, property: Property) -> &'a [u8] {
        self.source.property(property)
    }

    pub(crate) fn failed(&self) -> bool {
        self.source.failed()
    }

    /// Who the caller is.
    pub(crate) fn caller(&self, callers: &Callers) -> &Caller {
        self.caller.get_or_init(|| callers.of(self))
    }

    /// The host name of the service that the request came to.
    pub(crate) fn destination(&self) -> Option<&'a str> {
        let of = |property| destination::hostname(self.property(property));
        of(Property::FilterChainName).or_else(|| of(Property::ClusterName))
    }

    /// Asks for what will be read later, when the proxy may no longer know.
    pub(crate) fn prefetch(&self, reads: Reads, callers: &Callers) {
        if reads.caller {
            self.caller(callers);
        }
        if reads.destination {
            self.destination();
        }
        let properties: [(bool, Property); 5] = [
            (reads.version, Property::Protocol),
            (reads.source_address, Property::SourceAddress),
            (reads.source_port, Property::SourcePort),
            (reads.scheme, Property::TlsVersion),
            (reads.destination_address, Property::DestinationAddress),
        ];
        for (_, property) in properties.into_iter().filter(|(read, _)| *read) {
            self.property(property);
        }
    }
}

/// The facts that an expression reads, beside headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// `source.identity` or `source.spiffeId`.
    pub caller: bool,
    /// `request.version`.
    pub version: bool,
    /// `request.scheme`.
    pub scheme: bool,
    /// `source.address`.
    pub source_address: bool,
    /// `source.port`.
    pub source_port: bool,
    /// `destination.address` or `destination.port`.
    pub destination_address: bool,
    /// `destination.hostname`.
    pub destination: bool,
}

impl Reads {
    /// What either reads.
    #[must_use]
    pub fn or(self, other: Reads) -> Reads {
        Reads {
            caller: self.caller || other.caller,
            version: self.version || other.version,
            scheme: self.scheme || other.scheme,
            source_address: self.source_address || other.source_address,
            source_port: self.source_port || other.source_port,
            destination_address: self.destination_address || other.destination_address,
            destination: self.destination || other.destination,
        }
    }
}

/// Splits Envoy's way to write an address (`10.0.0.1:80`, `[::1]:80`) into address and port.
pub(crate) fn address_and_port(text: &[u8]) -> Option<(&str, u16)> {
    let (address, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let address =
        address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
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
