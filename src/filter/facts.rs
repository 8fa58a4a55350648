//! Reads the facts of a request from the host: those that its policies read, each once.

use super::host::{self, HostError};
use crate::config::{IdentityConfig, IdentitySource};
use crate::identity::peer::says_something;
use crate::request::headers::Headers;
use crate::request::{Facts, Reads};

/// The facts of one request beside its headers, in the buffers that the host filled.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    filter_state: Vec<u8>,
    peer_certificate: Vec<u8>,
    service: Vec<u8>,
    version: Vec<u8>,
    source_address: Vec<u8>,
    destination_address: Vec<u8>,
}

fn read(path: &[u8]) -> Result<Vec<u8>, HostError> {
    host::property(path).map(Option::unwrap_or_default)
}

impl Gathered {
    /// Reads the caller's identity, and what `reads` says.
    pub(super) fn read(identity: &IdentityConfig, reads: Reads) -> Result<Gathered, HostError> {
        let mut gathered = Gathered::default();
        for source in &identity.sources {
            let value = match source {
                IdentitySource::FilterState => {
                    gathered.filter_state = read(b"filter_state\0io.istio.peer_principal")?;
                    &gathered.filter_state
                }
                IdentitySource::PeerCertificate => {
                    gathered.peer_certificate = read(b"connection\0uri_san_peer_certificate")?;
                    &gathered.peer_certificate
                }
                // It is among the headers, and whether it says something is for `identify` to see.
                IdentitySource::ForwardedClientCert => continue,
            };
            // The first source that says anything decides.
            if says_something(value) {
                break;
            }
        }
        if reads.service {
            gathered.service = read(b"xds\0filter_chain_name")?;
            if crate::request::destination::hostname(&gathered.service).is_none() {
                gathered.service = read(b"xds\0cluster_name")?;
            }
        }
        if reads.version {
            gathered.version = read(b"request\0protocol")?;
        }
        if reads.source_address {
            gathered.source_address = read(b"source\0address")?;
        }
        if reads.destination_address {
            gathered.destination_address = read(b"destination\0address")?;
        }
        Ok(gathered)
    }

    /// The facts, with the headers that were read before.
    pub(super) fn facts<'s>(&'s self, headers: Headers<'s>) -> Facts<'s> {
        Facts {
            headers,
            filter_state: &self.filter_state,
            peer_certificate: &self.peer_certificate,
            service: &self.service,
            version: &self.version,
            source_address: &self.source_address,
            destination_address: &self.destination_address,
        }
    }
}
