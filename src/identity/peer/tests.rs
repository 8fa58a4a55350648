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
    let headers =
        [(&b"x-forwarded-client-cert"[..], presented.forwarded_client_cert)].into_iter().collect();
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
    assert_eq!(id(&config(&[IdentitySource::ForwardedClientCert]), presented), Some(A.to_vec()));
}

#[test]
fn the_nearest_forwarded_client_counts() {
    let sources = config(&[IdentitySource::ForwardedClientCert]);
    for (value, expected) in [
        (
            &b"URI=spiffe://forged/ns/x/sa/y,By=w;Hash=1;Subject=\"CN=a\";\
               URI=spiffe://cluster.local/ns/team-a/sa/team-a"[..],
            Some(A.to_vec()),
        ),
        (
            b"URI=spiffe://cluster.local/ns/team-a/sa/team-a;\
              URI=spiffe://cluster.local/ns/team-b/sa/team-b",
            None,
        ),
        (b"uri=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A.to_vec())),
        (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a", None),
        (b"Subject=\"a,URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
        (b"Subject=\"a\\\",URI=spiffe://cluster.local/ns/team-a/sa/team-a;x\"", None),
        (b"Subject=\"a,b;c\";URI=spiffe://cluster.local/ns/team-a/sa/team-a", Some(A.to_vec())),
        (b"By=x", None),
        (b",", None),
    ] {
        let peer = Peer { forwarded_client_cert: value, ..Peer::default() };
        assert_eq!(id(&sources, peer), expected, "{value:?}");
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
        // As soon as it is known, a caller that was accepted before is no longer.
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
