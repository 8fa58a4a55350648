//! Rules and requests, as they are generated.

use proptest::sample::select;

use super::*;

fn test() -> impl Strategy<Value = Test> {
    let leaf = select(vec![
        Test::Namespace("team-a"),
        Test::Namespace("team-b"),
        Test::AccountIn(&["web", "ci"]),
        Test::SpiffeId("spiffe://cluster.local/"),
        Test::SpiffeId("spiffe://cluster.local/ns/team-a/sa/w"),
        Test::HasIdentity,
        Test::Method("GET"),
        Test::Method("POST"),
        Test::Path("/zen"),
        Test::PathStarts("/repos/"),
        Test::PathStarts("/a"),
        Test::Host("a.example"),
        Test::Host("b.example"),
        Test::HostEnds(".example"),
        Test::Header("blue"),
        Test::Header("green"),
        Test::HeaderOr("blue"),
        Test::HeaderOr(""),
        Test::HasHeader,
        Test::Within("10.0.0.0/8"),
        Test::Within("192.168.0.0/16"),
    ]);
    leaf.prop_recursive(2, 6, 2, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|test| Test::Not(Box::new(test))),
            pair.clone().prop_map(|(a, b)| Test::And(Box::new(a), Box::new(b))),
            pair.prop_map(|(a, b)| Test::Or(Box::new(a), Box::new(b))),
        ]
    })
}

pub(super) fn policies_of() -> impl Strategy<Value = Vec<Rules>> {
    let target = select(vec![Target::Gateway, Target::Gateway, Target::Route, Target::Backend]);
    let action = select(vec!["Allow", "Allow", "Deny", "Require"]);
    let rules = (target, action, proptest::collection::vec(test(), 1..4))
        .prop_map(|(target, action, tests)| Rules { target, action, tests });
    proptest::collection::vec(rules, 1..5)
}

pub(super) fn requests() -> impl Strategy<Value = Request> {
    let headers = select(vec![
        vec![],
        vec![],
        vec![("x-team", "blue")],
        vec![("x-team", "green")],
        vec![("x-team", "")],
        vec![("x-team", "green"), ("x-team", "blue")],
        vec![("x_team", "blue")],
        vec![("x-team", "blue"), ("x.team", "green")],
    ]);
    (
        select(vec![
            "",
            "spiffe://cluster.local/ns/team-a/sa/web",
            "spiffe://cluster.local/ns/team-b/sa/ci",
            "spiffe://other/ns/team-a/sa/db",
            "spiffe://cluster.local/gateway",
            "spiffe://cluster.local/ns/team-a/sa/web,spiffe://cluster.local/ns/team-b/sa/ci",
        ]),
        select(vec!["GET", "POST", "PUT"]),
        select(vec![
            "a.example",
            "b.example",
            "c.example",
            "a.example:80",
            "B.Example",
            "a.example.",
            "other",
        ]),
        select(vec![
            "/zen",
            "/zen?x=/repos/",
            "/repos/x",
            "/a/b",
            "/repos/../zen",
            "//zen",
            "/%7Aen",
            "/repos%2Fx",
            "/a%3Ab",
            "/zen;a=b",
        ]),
        headers,
        select(vec!["10.1.2.3", "192.168.7.7", "172.16.0.1"]),
    )
        .prop_map(|(caller, method, authority, path, headers, address)| Request {
            caller,
            method,
            authority,
            path,
            headers,
            address,
            port: 80,
            claims: "",
        })
}
