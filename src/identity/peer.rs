//! The caller's identity, found among the things that a proxy knows about its peer.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::{IdentitySource, SpiffeId};
use crate::hash;

/// What a proxy knows about the peer of a request, and about itself; empty where it knows nothing.
pub(crate) trait Presented {
    /// Filter state `io.istio.peer_principal`.
    fn peer_principal(&self) -> &[u8];

    /// The URI SAN of the peer's certificate on this very connection.
    fn peer_certificate(&self) -> &[u8];

    /// The last line of the header `x-forwarded-client-cert`.
    fn forwarded_client_cert(&self) -> &[u8];

    /// The proxy's own SPIFFE ID, in filter state `io.istio.local_principal`.
    fn local_principal(&self) -> &[u8];

    /// The URI SAN of the proxy's own certificate on this very connection.
    fn local_certificate(&self) -> &[u8];
}

/// A caller: what the proxy presented, and what of it is accepted as an identity.
#[derive(Debug, Default)]
pub struct Caller {
    presented: Box<[u8]>,
    /// The SPIFFE ID, if what was presented is one.
    id: Option<Id>,
    believed: bool,
}

#[derive(Debug)]
struct Id {
    uri: Box<str>,
    trust_domain: Box<str>,
    /// Namespace and service account.
    workload: Option<[Box<str>; 2]>,
}

impl Caller {
    fn new(presented: &[u8], believed: impl FnOnce(&SpiffeId<'_>) -> bool) -> Caller {
        let parsed = parse(presented);
        Caller {
            presented: presented.into(),
            believed: parsed.as_ref().is_some_and(believed),
            id: parsed.map(|id| Id::new(&id)),
        }
    }

    fn known(&self) -> Option<&Id> {
        self.id.as_ref().filter(|_| self.believed)
    }

    /// The SPIFFE ID, if it is one and its trust domain is accepted.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        self.known().map(|id| &*id.uri)
    }

    /// A SPIFFE ID that was presented but not accepted, for the audit record.
    #[must_use]
    pub fn rejected(&self) -> Option<&str> {
        self.id.as_ref().filter(|_| !self.believed).map(|id| &*id.uri)
    }

    /// Whether the ID has the form that Istio gives workloads.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        self.known().is_some_and(|id| id.workload.is_some())
    }

    /// The trust domain of a workload.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        self.known().filter(|id| id.workload.is_some()).map(|id| &*id.trust_domain)
    }

    /// The Kubernetes namespace of a workload.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let [namespace, _] = self.known()?.workload.as_ref()?;
        Some(namespace)
    }

    /// The Kubernetes service account of a workload.
    #[must_use]
    pub fn service_account(&self) -> Option<&str> {
        let [_, service_account] = self.known()?.workload.as_ref()?;
        Some(service_account)
    }
}

impl Id {
    fn new(id: &SpiffeId<'_>) -> Id {
        let workload = id.workload();
        Id {
            uri: id.as_str().into(),
            trust_domain: id.trust_domain().into(),
            workload: workload
                .map(|workload| [workload.namespace.into(), workload.service_account.into()]),
        }
    }
}

fn parse(presented: &[u8]) -> Option<SpiffeId<'_>> {
    SpiffeId::parse(std::str::from_utf8(presented).ok()?).ok()
}

/// The callers seen lately, so that a known caller need not be parsed again.
#[derive(Debug)]
pub(crate) struct Callers {
    /// The sources of an identity, in the order they are tried.
    sources: Vec<IdentitySource>,
    /// The trust domains whose callers are accepted; if none is configured, that of the proxy
    /// itself.
    trust_domains: Vec<String>,
    /// The trust domain of the proxy itself, which counts if the configuration names none. It is
    /// the same for every request, so it is read until it is known, and then never again.
    own_trust_domain: OnceLock<Box<str>>,
    /// Each caller has one slot. Another caller with the same hash replaces it.
    slots: Mutex<Vec<Option<Arc<Caller>>>>,
    /// Whether a caller was accepted whose trust domain could not be compared with any.
    believed_blindly: AtomicBool,
}

/// How many callers are remembered; a power of two.
const SLOTS: usize = 256;

impl Callers {
    pub(crate) fn new(sources: Vec<IdentitySource>, trust_domains: Vec<String>) -> Self {
        Callers {
            sources,
            trust_domains,
            own_trust_domain: OnceLock::new(),
            slots: Mutex::new(Vec::new()),
            believed_blindly: AtomicBool::new(false),
        }
    }

    /// Whether a caller of some trust domain has been accepted unchecked, because neither the
    /// configuration nor the proxy names the right one.
    pub(crate) fn believe_blindly(&self) -> bool {
        self.believed_blindly.load(Ordering::Relaxed)
    }

    /// Whether callers of this trust domain are accepted: it must be one that the configuration
    /// names, or without any there, the proxy's own.
    fn believes(&self, trust_domain: &str, presented: &impl Presented) -> bool {
        if !self.trust_domains.is_empty() {
            return self.trust_domains.iter().any(|believed| believed == trust_domain);
        }
        if self.own_trust_domain.get().is_none() {
            let own = [presented.local_principal(), presented.local_certificate()];
            if let Some(own) = own.into_iter().find(|value| says_something(value)).and_then(parse) {
                let _ = self.own_trust_domain.set(own.trust_domain().into());
            }
        }
        match self.own_trust_domain.get() {
            Some(own) => **own == *trust_domain,
            None => {
                self.believed_blindly.store(true, Ordering::Relaxed);
                true
            }
        }
    }

    /// The caller of a request. The first source that has a value decides. If that value is
    /// invalid, the later sources are not consulted.
    pub(crate) fn of(&self, presented: &impl Presented) -> Arc<Caller> {
        let mut said = self.sources.iter().map(|source| match source {
            IdentitySource::FilterState => presented.peer_principal(),
            IdentitySource::PeerCertificate => presented.peer_certificate(),
            IdentitySource::ForwardedClientCert => forwarded_uri(presented.forwarded_client_cert()),
        });
        self.find(said.find(|value| says_something(value)).unwrap_or_default(), presented)
    }

    fn find(&self, uri: &[u8], presented: &impl Presented) -> Arc<Caller> {
        let make = || Arc::new(Caller::new(uri, |id| self.believes(id.trust_domain(), presented)));
        // Anything longer is no SPIFFE ID, and not worth remembering.
        if uri.len() > super::MAX_ID {
            return make();
        }
        let Ok(mut slots) = self.slots.try_lock() else { return make() };
        // A caller whose trust domain could not be compared is not remembered: the next request may
        // come with the proxy's own.
        if self.trust_domains.is_empty() && self.own_trust_domain.get().is_none() {
            return make();
        }
        if slots.is_empty() {
            slots.resize(SLOTS, None);
        }
        let position = usize::try_from(hash::bytes(uri) & 0xff).unwrap_or(0);
        let Some(slot) = slots.get_mut(position) else { return make() };
        match slot {
            Some(caller) if hash::same(&caller.presented, uri) => Arc::clone(caller),
            other => Arc::clone(other.insert(make())),
        }
    }
}

/// Whether a source has a value. Envoy writes `-` for none.
fn says_something(value: &[u8]) -> bool {
    !matches!(value, b"" | b"-")
}

/// The URI of the nearest client in an `x-forwarded-client-cert` value (described in Envoy's
/// documentation). It is in the last element, which the proxy in front of this one wrote. If that
/// has several URIs, there is no identity, as with several SANs.
fn forwarded_uri(value: &[u8]) -> &[u8] {
    let Some(element) = split_unquoted(value, b',').and_then(|elements| elements.last().copied())
    else {
        return UNREADABLE;
    };
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

/// Stands for a value that is present but no SPIFFE ID.
const UNREADABLE: &[u8] = b"?";

/// Splits at separators outside of double quotes; `None` if a quote is left open.
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
