//! The certificate that the origin shows for a server name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pki::{Credentials, Pki, San};

/// Which certificate the origin shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Presented {
    /// One for the name that was asked for, from the authority that the waypoint trusts.
    #[default]
    Right,
    /// One for every name beside the right one and for what is above them, as `*.github.com` and
    /// `github.com`.
    Wildcard,
    /// One from the right authority for every name below the right one, which itself is none of
    /// them.
    WildcardBelow,
    /// One for the right name from an authority that the waypoint does not trust.
    WrongAuthority,
    /// One from the right authority for another name.
    WrongName,
}

/// Issues a certificate for each server name when it is first asked for.
#[derive(Debug)]
pub(crate) struct Resolver {
    pki: Arc<Pki>,
    chosen: Mutex<HashMap<String, Presented>>,
    issued: Mutex<HashMap<(String, Presented), Arc<CertifiedKey>>>,
}

impl Resolver {
    pub(crate) fn new(pki: Arc<Pki>) -> Self {
        Self { pki, chosen: Mutex::default(), issued: Mutex::default() }
    }

    pub(super) fn present(&self, host: &str, presented: Presented) {
        self.chosen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host.to_owned(), presented);
    }

    fn issue(&self, host: &str, presented: Presented) -> Credentials {
        let named = |name: &str| [San::Dns(name.to_owned())];
        let above = host.split_once('.').map_or(host, |(_, above)| above);
        match presented {
            Presented::Right => self.pki.origins.issue(host, &named(host)),
            Presented::Wildcard => self
                .pki
                .origins
                .issue(above, &[San::Dns(format!("*.{above}")), San::Dns(above.to_owned())]),
            Presented::WildcardBelow => self.pki.origins.issue(host, &named(&format!("*.{host}"))),
            Presented::WrongAuthority => self.pki.wrong_origins.issue(host, &named(host)),
            Presented::WrongName => {
                self.pki.origins.issue("elsewhere", &named("elsewhere.example"))
            }
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.to_ascii_lowercase();
        let presented = self.chosen.lock().ok()?.get(&host).copied().unwrap_or_default();
        let mut issued = self.issued.lock().ok()?;
        if let Some(key) = issued.get(&(host.clone(), presented)) {
            return Some(Arc::clone(key));
        }
        let credentials = self.issue(&host, presented);
        let key = rustls::crypto::ring::sign::any_supported_type(&credentials.key_der()).ok()?;
        let key = Arc::new(CertifiedKey::new(vec![credentials.certificate_der()], key));
        issued.insert((host, presented), Arc::clone(&key));
        Some(key)
    }
}
