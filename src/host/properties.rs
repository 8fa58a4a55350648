//! What Envoy knows of a request beside its headers: read when something asks for it, and once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sys;
use crate::request::{Property, Source};

/// The properties of one request, in the buffers that the host filled.
#[derive(Debug, Default)]
pub(super) struct Properties {
    read: [OnceLock<Vec<u8>>; Property::ALL.len()],
    failed: AtomicBool,
}

/// A property's path (Envoy's documentation, "Attributes"); its segments have a NUL between them.
fn path(property: Property) -> &'static [u8] {
    match property {
        Property::PeerPrincipal => b"filter_state\0io.istio.peer_principal",
        Property::PeerCertificate => b"connection\0uri_san_peer_certificate",
        Property::FilterChainName => b"xds\0filter_chain_name",
        Property::ClusterName => b"xds\0cluster_name",
        Property::Protocol => b"request\0protocol",
        // `source.address` is what `x-forwarded-for` says, with the settings that Istio gives a
        // waypoint.
        Property::SourceAddress => {
            b"filter_state\0envoy.filters.listener.original_dst.remote_ip\0ip"
        }
        Property::SourcePort => {
            b"filter_state\0envoy.filters.listener.original_dst.remote_ip\0port"
        }
        Property::TlsVersion => b"connection\0tls_version",
        Property::LocalPrincipal => b"filter_state\0io.istio.local_principal",
        Property::LocalCertificate => b"connection\0uri_san_local_certificate",
        Property::DestinationAddress => b"destination\0address",
    }
}

impl Source for Properties {
    fn property(&self, property: Property) -> &[u8] {
        let Some(cell) = self.read.get(property as usize) else { return &[] };
        cell.get_or_init(|| match sys::property(path(property)) {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                log::error!("egress filter: {error}");
                self.failed.store(true, Ordering::Relaxed);
                Vec::new()
            }
        })
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}
