//! Policies and requests, as they are generated.

use super::token::{CLAIM, TOKEN, TOKENS};
use super::*;

fn values(of: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::collection::vec(proptest::sample::select(of), 1..4).prop_map(|values| json!(values))
}

/// An object with some of these fields.
fn object(of: Vec<(&'static str, &'static [&'static str])>) -> impl Strategy<Value = Value> {
    let field = proptest::sample::select(of).prop_flat_map(|(name, known)| {
        values(known).prop_map(move |values| (name.to_owned(), values))
    });
    proptest::collection::vec(field, 1..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn sources() -> impl Strategy<Value = Value> {
    object(vec![
        ("principals", PRINCIPALS),
        ("notPrincipals", PRINCIPALS),
        ("namespaces", NAMESPACES),
        ("notNamespaces", NAMESPACES),
        ("trustDomains", DOMAINS),
        ("notTrustDomains", DOMAINS),
        ("serviceAccounts", ACCOUNTS),
        ("notServiceAccounts", ACCOUNTS),
        ("ipBlocks", ADDRESSES),
        ("notIpBlocks", ADDRESSES),
        ("requestPrincipals", TOKEN),
        ("notRequestPrincipals", TOKEN),
    ])
}

fn operations() -> impl Strategy<Value = Value> {
    object(vec![
        ("hosts", HOSTS),
        ("notHosts", HOSTS),
        ("ports", PORTS),
        ("notPorts", PORTS),
        ("methods", METHODS),
        ("notMethods", METHODS),
        ("paths", PATHS),
        ("notPaths", PATHS),
    ])
}

fn conditions() -> impl Strategy<Value = Value> {
    let keys: Vec<(&str, &[&str])> = vec![
        ("request.headers[X-Team]", HEADER),
        ("source.principal", PRINCIPALS),
        ("source.namespace", NAMESPACES),
        ("source.trustDomain", DOMAINS),
        ("source.serviceAccount", ACCOUNTS),
        ("source.ip", ADDRESSES),
        ("destination.port", PORTS),
        ("destination.ip", &["240.240.0.0/16", "10.0.0.1"]),
        ("request.auth.principal", TOKEN),
        ("request.auth.audiences", CLAIM),
        ("request.auth.claims[groups]", CLAIM),
        ("request.auth.claims[realm_access][roles]", CLAIM),
    ];
    (proptest::sample::select(keys), 0..3).prop_flat_map(|((key, known), which)| {
        (values(known), values(known)).prop_map(move |(some, none)| match which {
            0 => json!({"key": key, "values": some}),
            1 => json!({"key": key, "notValues": none}),
            _ => json!({"key": key, "values": some, "notValues": none}),
        })
    })
}

fn rules() -> impl Strategy<Value = Value> {
    let from =
        proptest::collection::vec(sources().prop_map(|source| json!({"source": source})), 0..3);
    let to = proptest::collection::vec(
        operations().prop_map(|operation| json!({"operation": operation})),
        0..3,
    );
    let when = proptest::collection::vec(conditions(), 0..4);
    (from, to, when).prop_map(|(from, to, when)| {
        let mut rule = serde_json::Map::new();
        for (name, list) in [("from", from), ("to", to), ("when", when)] {
            if !list.is_empty() {
                rule.insert(name.to_owned(), json!(list));
            }
        }
        Value::Object(rule)
    })
}

pub(super) fn policy() -> impl Strategy<Value = Value> {
    let action = proptest::sample::select(vec!["ALLOW", "ALLOW", "DENY"]);
    let target = proptest::sample::select(vec![
        json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"}),
        json!({"group": "networking.istio.io", "kind": "ServiceEntry", "name": "a"}),
        json!({"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wide"}),
    ]);
    let dry_run = proptest::sample::select(vec!["false", "false", "false", "true"]);
    let rules = proptest::collection::vec(rules(), 0..4);
    (action, target, dry_run, rules).prop_map(|(action, target, dry_run, rules)| {
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "p", "namespace": "a",
                "annotations": {"istio.io/dry-run": dry_run}},
            "spec": {"targetRefs": [target], "action": action, "rules": rules},
        })
    })
}

pub(super) fn requests() -> impl Strategy<Value = Request> {
    let header = |name: &'static str| {
        let line = proptest::sample::select(vec!["blue", "green", "", "brown"])
            .prop_map(move |value| (name, value));
        proptest::collection::vec(line, 0..3)
    };
    (
        proptest::sample::select(vec![
            "",
            "spiffe://cluster.local/ns/a/sa/x",
            "spiffe://cluster.local/ns/a/sa/y",
            "spiffe://old/ns/b/sa/y",
            "spiffe://other/ns/a/sa/x",
            "spiffe://cluster.local/ns/ab/sa/x",
            "spiffe://cluster.local/ns/ns/sa/sa",
            "spiffe://cluster.local/ns/a/pod/p/sa/x",
            "spiffe://cluster.local/gateway",
        ]),
        proptest::sample::select(vec!["GET", "POST", "PUT"]),
        proptest::sample::select(vec![
            "a.example",
            "a.example:8080",
            "A.EXAMPLE",
            "a.example.",
            "A.example.:80",
            "b.example",
            "b.example:80",
            "c",
        ]),
        proptest::sample::select(vec![
            "/zen",
            "/zen?x=/repos/",
            "/repos/x/keys",
            "/repos/",
            "/u/b/keys",
            "/u/b/c/keys",
            "/Zen",
        ]),
        header("x-team"),
        proptest::sample::select(vec![
            "10.1.2.3",
            "10.1.2.200",
            "192.168.7.7",
            "fd00::7",
            "172.16.0.1",
        ]),
        proptest::sample::select(vec![80, 8080, 443]),
        proptest::sample::select(TOKENS),
    )
        .prop_map(|(caller, method, authority, path, headers, address, port, claims)| {
            Request { caller, method, authority, path, headers, address, port, claims }
        })
}
