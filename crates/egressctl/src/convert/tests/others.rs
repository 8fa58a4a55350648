//! Documents that are no policies, or those of other systems: each is named.

use super::*;

/// An egress Gateway as people have it, with what removes headers in three places.
const REMOVALS: &str = include_str!("removals-sample.yaml");

#[test]
fn what_removes_headers_is_in_the_result_or_an_error() {
    let told = losses(REMOVALS);
    let kgateway = told.iter().filter(|note| note.contains("a TrafficPolicy of kgateway"));
    assert_eq!(kgateway.count(), 1, "{told:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    let policies = policies(REMOVALS);
    let removed = |index: usize, feature: &str| {
        policies[index]["traffic"][feature]["request"]["remove"].clone()
    };
    assert_eq!(removed(1, "headerModifiers"), serde_json::json!(["X-Drop"]), "{policies}");
    assert_eq!(removed(2, "transformation"), serde_json::json!(["X-Internal"]), "{policies}");
    assert_eq!(policies[2]["backend"]["auth"]["env"], "T_AUTHORIZATION", "{policies}");
}

#[test]
fn every_document_of_another_kind_is_named() {
    let policy = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: \
        {name: p, namespace: n}\nspec:\n  targetRefs: \
        [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]\n  rules: [{}]\n";
    let all = |version: &str, kind: &str| {
        let other = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: o}}\n");
        notes(&format!("{other}{policy}"))
    };
    for (version, kind, expected) in [
        ("gateway.kgateway.dev/v1alpha1", "TrafficPolicy", "Looser"),
        ("gateway.kgateway.dev/v1alpha1", "HTTPListenerPolicy", "Looser"),
        ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", "Looser"),
        ("kuadrant.io/v1", "AuthPolicy", "Looser"),
        ("extauth.solo.io/v1", "AuthConfig", "Looser"),
        ("traefik.io/v1alpha1", "Middleware", "Hint"),
        ("security.istio.io/v1", "RequestAuthentication", "Hint"),
        ("networking.istio.io/v1", "VirtualService", "Hint"),
        ("networking.istio.io/v1alpha3", "EnvoyFilter", "Hint"),
        ("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "Hint"),
        ("networking.k8s.io/v1", "NetworkPolicy", "Hint"),
        ("apps/v1", "Deployment", "Hint"),
        ("v1", "ConfigMap", "Hint"),
    ] {
        let told = all(version, kind);
        let named = |note: &&String| note.starts_with(&format!("{expected} : passed over: "));
        assert!(told.iter().any(|note| named(&note)), "{version} {kind}: {told:?}");
    }
    for (version, kind) in [
        ("networking.istio.io/v1", "ServiceEntry"),
        ("v1", "Service"),
        ("v1", "Namespace"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ] {
        let told = all(version, kind);
        assert!(!told.iter().any(|note| note.contains("passed over")), "{kind}: {told:?}");
    }
}
