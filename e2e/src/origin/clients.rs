//! Which clients the origin takes: all, or for some host names only those with a certificate.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, ServerConfig, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Resolver;
use crate::pki::Pki;

/// The origin's ends of TLS.
#[derive(Debug)]
pub(super) struct Clients {
    /// Asks for no certificate.
    silent: Arc<ServerConfig>,
    /// Asks for one, and takes a client without.
    asking: Arc<ServerConfig>,
    /// Takes no client without one.
    insisting: Arc<ServerConfig>,
    hosts: Mutex<HashSet<String>>,
}

impl Clients {
    pub(super) fn new(pki: &Pki, resolver: &Arc<Resolver>) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut known = RootCertStore::empty();
        known.add(pki.clients.certificate_der()).map_err(io::Error::other)?;
        let known = Arc::new(known);
        let verifier =
            || WebPkiClientVerifier::builder_with_provider(Arc::clone(&known), provider.clone());
        let config = |verifier: Arc<dyn ClientCertVerifier>| -> io::Result<Arc<ServerConfig>> {
            let resolver = Arc::clone(resolver) as Arc<dyn ResolvesServerCert>;
            let mut config = ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(resolver);
            // To a client that asks for neither it speaks HTTP/1.1.
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        };
        let asking = verifier().allow_unauthenticated().build().map_err(io::Error::other)?;
        let insisting = verifier().build().map_err(io::Error::other)?;
        Ok(Self {
            silent: config(WebPkiClientVerifier::no_client_auth())?,
            asking: config(asking)?,
            insisting: config(insisting)?,
            hosts: Mutex::default(),
        })
    }

    /// Takes no client of this host without a certificate from now on.
    pub(super) fn insist(&self, host: &str) {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    /// Shakes hands with a client, as the host that it asks for does.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let host = start.client_hello().server_name().unwrap_or_default().to_ascii_lowercase();
        let config = {
            let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            match (hosts.is_empty(), hosts.contains(&host)) {
                (true, _) => &self.silent,
                (false, false) => &self.asking,
                (false, true) => &self.insisting,
            }
        };
        start.into_stream(Arc::clone(config)).await
    }
}
