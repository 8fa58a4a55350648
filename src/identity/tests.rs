#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn workload_of(uri: &str) -> Option<(&str, &str)> {
    SpiffeId::parse(uri)
        .unwrap()
        .workload()
        .map(|workload| (workload.namespace, workload.service_account))
}

#[test]
fn an_istio_id_names_its_workload() {
    let id = SpiffeId::parse("spiffe://cluster.local/ns/team-a/sa/default").unwrap();
    assert_eq!(id.trust_domain(), "cluster.local");
    assert_eq!(id.workload(), Some(Workload { namespace: "team-a", service_account: "default" }));
    assert_eq!(id.as_str(), "spiffe://cluster.local/ns/team-a/sa/default");
}

#[test]
fn an_id_of_another_shape_names_no_workload() {
    for uri in [
        "spiffe://cluster.local",
        "spiffe://cluster.local/workload",
        "spiffe://cluster.local/ns/a/sa/b/c",
        "spiffe://cluster.local/ns/a/sa",
        "spiffe://cluster.local/sa/a/ns/b",
        "spiffe://cluster.local/NS/a/SA/b",
    ] {
        assert_eq!(workload_of(uri), None, "{uri}");
    }
}

#[test]
fn what_is_no_id_is_refused() {
    use SpiffeIdError::{Scheme, Segment, TrustDomain};
    for (uri, error) in [
        ("", Scheme),
        ("-", Scheme),
        ("SPIFFE://cluster.local/ns/a/sa/b", Scheme),
        ("https://cluster.local/ns/a/sa/b", Scheme),
        (" spiffe://cluster.local/ns/a/sa/b", Scheme),
        ("spiffe:///ns/a/sa/b", TrustDomain),
        ("spiffe://Cluster.local/ns/a/sa/b", TrustDomain),
        ("spiffe://user@cluster.local/ns/a/sa/b", TrustDomain),
        ("spiffe://cluster.local:443/ns/a/sa/b", TrustDomain),
        ("spiffe://cluster.local?x/ns/a/sa/b", TrustDomain),
        ("spiffe://cluster.local/", Segment),
        ("spiffe://cluster.local//ns/a/sa/b", Segment),
        ("spiffe://cluster.local/ns//sa/b", Segment),
        ("spiffe://cluster.local/ns/a/sa/b/", Segment),
        ("spiffe://cluster.local/ns/../sa/b", Segment),
        ("spiffe://cluster.local/ns/./sa/b", Segment),
        ("spiffe://cluster.local/ns/a%2Fb/sa/b", Segment),
        ("spiffe://cluster.local/ns/a/sa/b?x=1", Segment),
        ("spiffe://cluster.local/ns/a/sa/b#f", Segment),
        ("spiffe://cluster.local/ns/a/sa/b,spiffe://cluster.local/ns/c/sa/d", Segment),
        ("spiffe://cluster.local/ns/\u{e4}/sa/b", Segment),
        ("spiffe://cluster.local/ns/a/sa/b\0", Segment),
    ] {
        assert_eq!(SpiffeId::parse(uri), Err(error), "{uri}");
    }
    assert_eq!(
        SpiffeId::parse(&format!("spiffe://a/{}", "b".repeat(2048))),
        Err(SpiffeIdError::TooLong)
    );
}
