//! The caller's identity, found among the things that a proxy knows about its peer.

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
    /// The trust domains whose callers are believed; where there are none, the proxy's own.
    trust_domains: Vec<String>,
    /// The trust domain of the proxy itself, which counts where the configuration names none. It is
    /// the same for every request, so that it is asked for until it is known, and never again.
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

    /// Whether a caller of this trust domain is believed: one that the configuration names, else
    /// the proxy's own.
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

    /// The caller of a request. The first source that says anything decides: where it says
    /// something wrong, no later source is asked.
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
        // Longer is no SPIFFE ID, and is not worth the room.
        if uri.len() > super::MAX_ID {
            return make();
        }
        let Ok(mut slots) = self.slots.try_lock() else { return make() };
        // Who is believed blindly is asked for again: the next request may know better.
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

/// Stands for a value that is there and is no SPIFFE ID.
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

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::IdentityConfig;
    use crate::request::{Facts, Given};

    const A: &[u8] = b"spiffe://cluster.local/ns/team-a/sa/team-a";
    const B: &[u8] = b"spiffe://cluster.local/ns/team-b/sa/team-b";

    fn config(sources: &[IdentitySource]) -> IdentityConfig {
        IdentityConfig { sources: sources.to_vec(), trust_domains: Vec::new() }
    }

    fn callers(config: IdentityConfig) -> Callers {
        Callers::new(config.sources, config.trust_domains)
    }

    #[derive(Clone, Copy, Default)]
    struct Peer {
        filter_state: &'static [u8],
        peer_certificate: &'static [u8],
        forwarded_client_cert: &'static [u8],
    }

    fn caller(config: &IdentityConfig, presented: Peer) -> Arc<Caller> {
        let source = Given {
            peer_principal: presented.filter_state,
            peer_certificate: presented.peer_certificate,
            ..Given::default()
        };
        let headers = [(&b"x-forwarded-client-cert"[..], presented.forwarded_client_cert)]
            .into_iter()
            .collect();
        callers(config.clone()).of(&Facts::new(headers, &source))
    }

    fn id(config: &IdentityConfig, presented: Peer) -> Option<Vec<u8>> {
        caller(config, presented).spiffe_id().map(|id| id.as_bytes().to_vec())
    }

    #[test]
    fn sources_are_tried_in_order() {
        let both = Peer { filter_state: A, peer_certificate: B, forwarded_client_cert: b"" };
        assert_eq!(id(&IdentityConfig::default(), both), Some(A.to_vec()));
        assert_eq!(
            id(&config(&[IdentitySource::PeerCertificate, IdentitySource::FilterState]), both),
            Some(B.to_vec())
        );
        for nothing in [&b""[..], b"-"] {
            assert_eq!(
                id(&IdentityConfig::default(), Peer { filter_state: nothing, ..both }),
                Some(B.to_vec()),
                "{nothing:?}"
            );
        }
    }

    #[test]
    fn a_source_that_speaks_wrongly_is_not_mended_by_the_next() {
        for wrong in [&b"spiffe://a/ns/x/sa/y,spiffe://a/ns/z/sa/y"[..], b"garbage", b"\xff\xfe"] {
            let presented =
                Peer { filter_state: wrong, peer_certificate: B, forwarded_client_cert: b"" };
            assert_eq!(id(&IdentityConfig::default(), presented), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_forwarded_header_is_believed_only_where_it_is_listed() {
        let presented = Peer {
            forwarded_client_cert: b"By=x;URI=spiffe://cluster.local/ns/team-a/sa/team-a",
            ..Peer::default()
        };
        assert_eq!(id(&IdentityConfig::default(), presented), None);
        assert_eq!(
            id(&config(&[IdentitySource::ForwardedClientCert]), presented),
            Some(A.to_vec())
        );
    }

    #[test]
    fn the_nearest_forwarded_client_counts() {
        let sources = config(&[IdentitySource::ForwardedClientCert]);
        for (value, expected) in [
            (
                &b"URI=spiffe://forged/ns/x/sa/y,By=w;Hash=1;Subject=\"CN=a\";URI=spiffe://cluster.local/ns/team-a/sa/team-a"[..],
                Some(A.to_vec()),
            ),
            (b"URI=spiffe://cluster.local/ns/team-a/sa/team-a;URI=spiffe://cluster.local/ns/team-b/sa/team-b", None),
            (b"uri=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A.to_vec())),
            (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a", None),
            (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
            (b"Subject=\"a\\\",URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
            (b"Subject=\"a,b;c\";URI=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A.to_vec())),
            (b"By=x", None),
            (b",", None),
        ] {
            assert_eq!(id(&sources, Peer { forwarded_client_cert: value, ..Peer::default() }), expected, "{value:?}");
        }
    }

    #[test]
    fn another_trust_domain_has_no_identity_but_a_name_in_the_audit() {
        let config = IdentityConfig {
            trust_domains: vec!["cluster.local".to_owned()],
            ..IdentityConfig::default()
        };
        let other = Peer { filter_state: b"spiffe://other/ns/team-a/sa/team-a", ..Peer::default() };
        let other = caller(&config, other);
        assert_eq!(
            (other.spiffe_id(), other.namespace(), other.rejected()),
            (None, None, Some("spiffe://other/ns/team-a/sa/team-a"))
        );
        assert_eq!(id(&config, Peer { filter_state: A, ..Peer::default() }), Some(A.to_vec()));
    }

    #[test]
    fn without_a_list_the_proxys_own_trust_domain_counts() {
        let own = |source: &Given<'_>, callers: &Callers| {
            let facts = Facts::new(crate::request::headers::Headers::default(), source);
            callers.of(&facts).spiffe_id().map(str::to_owned)
        };
        let other: &[u8] = b"spiffe://other/ns/team-a/sa/team-a";
        for known in [
            Given {
                local_principal: b"spiffe://cluster.local/ns/egress/sa/waypoint",
                ..Given::default()
            },
            Given {
                local_certificate: b"spiffe://cluster.local/ns/egress/sa/waypoint",
                ..Given::default()
            },
        ] {
            let callers = callers(IdentityConfig::default());
            assert_eq!(own(&Given { peer_principal: other, ..known }, &callers), None);
            assert!(own(&Given { peer_principal: A, ..known }, &callers).is_some());
            // Once known, it is the proxy's for good.
            assert_eq!(own(&Given { peer_principal: other, ..Given::default() }, &callers), None);
            assert!(!callers.believe_blindly());
        }
        for unknown in [&b""[..], b"-", b"garbage"] {
            let callers = callers(IdentityConfig::default());
            let unknown = Given { local_principal: unknown, ..Given::default() };
            assert!(own(&Given { peer_principal: other, ..unknown }, &callers).is_some());
            assert!(callers.believe_blindly());
            // As soon as it is known, nobody is believed because of before.
            let known = Given { local_principal: A, peer_principal: other, ..Given::default() };
            assert_eq!(own(&known, &callers), None);
        }
    }

    #[test]
    fn a_caller_who_comes_again_is_not_parsed_again_and_never_taken_for_another() {
        let callers = callers(IdentityConfig::default());
        let source = Given { local_principal: A, ..Given::default() };
        let facts = Facts::new(crate::request::headers::Headers::default(), &source);
        let first = callers.find(A, &facts);
        let second = callers.find(A, &facts);
        assert!(Arc::ptr_eq(&second, &callers.find(A, &facts)));
        assert_eq!(first.spiffe_id(), second.spiffe_id());
        for round in 0..2 {
            for number in 0..2000 {
                let uri = format!("spiffe://cluster.local/ns/n{number}/sa/s{number}");
                let caller = callers.find(uri.as_bytes(), &facts);
                let parts = (
                    caller.spiffe_id(),
                    caller.namespace().map(str::to_owned),
                    caller.service_account().map(str::to_owned),
                );
                assert_eq!(
                    parts,
                    (Some(&*uri), Some(format!("n{number}")), Some(format!("s{number}"))),
                    "round {round}"
                );
                assert_eq!(caller.trust_domain(), Some("cluster.local"));
            }
        }
        assert!(callers.slots.lock().unwrap().len() <= SLOTS);
        assert_eq!(callers.find(&[b'a'; 5000], &facts).spiffe_id(), None);
    }
}
