//! The index gives the same decisions as evaluating every policy, on generated configurations and
//! requests.
//!
//! `EGRESS_DIFFERENTIAL_CASES` sets how many configurations there are; each decides about 20
//! requests.

#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Value, json};

use super::super::*;
use crate::attributes::view::View;
use crate::exchange::tests::driven::Driven;
use crate::request::Given;
use crate::request::headers::Headers;

/// Conditions of rules. There are few values of each kind, so that rules and requests often match.
const CONDITIONS: &[&str] = &[
    r#"source.identity.namespace == "a""#,
    r#"source.identity.namespace == "b""#,
    r#""a" == source.identity.namespace"#,
    r#"source.identity.namespace in ["a", "c"]"#,
    r#"source.identity.namespace != "a""#,
    r#"source.identity.serviceAccount == "s""#,
    r#"source.spiffeId == "spiffe://t/ns/a/sa/s""#,
    r#"source.spiffeId == "spiffe://t/other""#,
    r#"source.identity.trustDomain == "t""#,
    r#"request.host == "x.example""#,
    r#"request.host == "y.example""#,
    r#"request.host != "x.example""#,
    r#"request.host in ["x.example", "a.y.example"]"#,
    r#"request.method == "GET""#,
    r#"request.method in ["PUT", "POST"]"#,
    r#"request.path == "/zen""#,
    r#"request.path != "/zen""#,
    r#"request.path.startsWith("/repos/")"#,
    r#"request.path.startsWith("/repos/a")"#,
    concat!(
        r#"request.path.startsWith("/a-prefix-that-is-a-good-deal-longer-"#,
        r#"than-what-the-index-looks-up-at-all")"#,
    ),
    r#"request.headers["h"] == "1""#,
    r#"has(source.identity)"#,
    r#"request.path.endsWith("n")"#,
    r#"default(source.identity.namespace, "none") == "none""#,
    r#"default(source.identity.namespace == "a", false)"#,
    "true",
    "false",
];

fn rule() -> impl Strategy<Value = String> {
    select(CONDITIONS).prop_map(str::to_owned).prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let hosts: &[&[&str]] = &[
        &[],
        &["x.example"],
        &["*.example"],
        &["*.y.example"],
        &["x.example", "*.example"],
        &["none.example"],
    ];
    let shape = (
        select(hosts),
        select(&["Allow", "Deny", "Require"][..]),
        select(&["All", "Any"][..]),
        select(&["Deny", "Ignore"][..]),
        select(&["Enforce", "Enforce", "Shadow"][..]),
    );
    (shape, proptest::collection::vec(rule(), 1..3), 0..8).prop_map(
        |((hosts, action, combine, on_error, mode), rules, changing)| {
            let authorization = json!({"action": action, "match": combine, "onError": on_error,
                "policy": {"matchExpressions": rules}});
            let transformation = json!({"request": {"add": [
                {"name": "x-n", "value": "request.host"},
            ]}});
            let traffic = match changing {
                0 => json!({"authorization": authorization, "transformation": transformation}),
                _ => json!({"authorization": authorization}),
            };
            if hosts.is_empty() {
                json!({"mode": mode, "traffic": traffic})
            } else {
                json!({"mode": mode, "traffic": traffic, "hosts": hosts})
            }
        },
    )
}

type Request = (&'static [u8], &'static str, &'static str, &'static [u8], Option<&'static str>);

fn request() -> impl Strategy<Value = Request> {
    let callers: &[&[u8]] = &[
        b"spiffe://t/ns/a/sa/s",
        b"spiffe://t/ns/b/sa/s",
        b"spiffe://u/ns/c/sa/r",
        b"spiffe://t/other",
        b"",
        b"garbage",
    ];
    let paths: &[&[u8]] = &[
        b"/zen",
        b"/zen?x",
        b"/repos/",
        b"/repos/ab",
        b"/",
        b"/\xff",
        b"/a-prefix-that-is-a-good-deal-longer-than-what-the-index-looks-up-at-all/x",
        b"/a-prefix-that-is-a-good-deal-longer-than-what-the-index-looks-up",
    ];
    (
        select(callers),
        select(&["x.example", "y.example", "a.y.example", "X.example:80"][..]),
        select(&["GET", "PUT"][..]),
        select(paths),
        select(&[None, Some("1"), Some("2")][..]),
    )
}

#[test]
fn the_index_finds_what_looking_at_every_policy_finds() {
    let cases = std::env::var("EGRESS_DIFFERENTIAL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_500);
    let config = Cases { cases, failure_persistence: None, ..Cases::default() };
    let strategy =
        (proptest::collection::vec(policy(), 0..16), proptest::collection::vec(request(), 20));
    let outcome = TestRunner::new(config).run(&strategy, |(mut policies, requests)| {
        for (position, policy) in policies.iter_mut().enumerate() {
            policy["name"] = json!(format!("p{position}"));
        }
        let config = json!({"policies": policies, "hostBinding": "Off", "pathSafety": "Off",
            "audit": {"log": "All"}});
        let indexed = Engine::load(config.to_string().as_bytes())
            .map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        let mut plain = Engine::load(config.to_string().as_bytes())
            .map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        plain.look_at_every_policy(&Config::parse(config.to_string().as_bytes()).unwrap());
        for (caller, host, method, path, header) in requests {
            let mut headers: Headers<'_> = [
                (&b":authority"[..], host.as_bytes()),
                (b":path", path),
                (b":method", method.as_bytes()),
            ]
            .into_iter()
            .collect();
            if let Some(value) = header {
                headers.add(b"h", value.as_bytes());
            }
            let source = Given { peer_principal: caller, ..Given::default() };
            let [ours, theirs] = [&indexed, &plain].map(|engine| {
                let driven = Driven::decide(engine, &headers, &source);
                (driven.decision, driven.reply, driven.changes, driven.audit)
            });
            prop_assert_eq!(ours, theirs, "{} {} {} {:?} {:?}", config, host, method, path, caller);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

impl Engine {
    /// Makes every policy of a host a candidate.
    fn look_at_every_policy(&mut self, config: &Config) {
        let mut entries: Vec<_> = config
            .policies
            .iter()
            .zip(&self.policies)
            .map(|(config, policy)| policy.entry(config))
            .collect();
        for entry in &mut entries {
            entry.rule.iter_mut().for_each(|rule| rule.guards.clear());
        }
        self.index = Index::new(&entries);
    }
}

#[test]
fn a_request_pays_for_its_candidates_only() {
    let rule = |n: usize, action: &str, expression: String| {
        json!({"name": format!("p{n}"), "traffic": {
            "authorization": {"action": action, "policy": {"matchExpressions": [expression]}},
            // What changes headers is found apart from the rules.
            "transformation": {"request": {"remove": ["x-internal"]}},
        }})
    };
    type Shape = fn(usize) -> String;
    let shapes: &[(&str, Shape)] = &[
        ("Allow", |n| {
            format!(r#"source.identity.namespace == "ns-{n}" && request.path == "/zen""#)
        }),
        ("Deny", |n| {
            format!(
                r#"request.host == "h{n}.example"
                    && !(request.path == "/zen" || request.path.startsWith("/repos/"))"#
            )
        }),
        ("Require", |n| {
            format!(r#"request.host != "h{n}.example" || source.identity.namespace == "a""#)
        }),
        ("Allow", |n| {
            format!(
                r#"source.identity.serviceAccount == "default"
                    && request.path.startsWith("/v{n}/")"#
            )
        }),
        ("Deny", |n| format!(r#"request.method == "GET" && request.path == "/p{n}""#)),
        ("Allow", |n| {
            format!(
                r#"source.spiffeId in ["spiffe://t/ns/n{n}/sa/a", "spiffe://t/ns/n{n}/sa/b"]
                    && request.method == "GET""#
            )
        }),
    ];
    for (action, shape) in shapes {
        let policies: Vec<Value> = (0..1000).map(|n| rule(n, action, shape(n))).collect();
        let engine = Engine::load(json!({"policies": policies}).to_string().as_bytes()).unwrap();
        let headers =
            [(&b":authority"[..], &b"h7.example"[..]), (b":path", b"/v7/x"), (b":method", b"GET")]
                .into_iter()
                .collect();
        let source = Given { peer_principal: b"spiffe://t/ns/ns-7/sa/default", ..Given::default() };
        let facts = Facts::new(headers, &source);
        let mut found = Vec::new();
        engine.index.candidates(
            &engine.index.groups("h7.example"),
            &View::new(&facts, &engine.callers),
            &mut found,
        );
        assert!(found.len() <= 1, "{action} {}: {found:?}", shape(7));
    }
}
