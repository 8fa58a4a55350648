//! The record is byte for byte what serde makes of the same data.

#![cfg(not(target_arch = "wasm32"))]

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Serialize;
use serde_json::json;

use super::*;
use crate::call::{Failure, Service};
use crate::decision::{Outcome, Reason};
use crate::plain;
use crate::printable;
use crate::request::Given;
use crate::stage::tests::{TEAM_A, load, rule};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event: &'static str,
    verdict: &'static str,
    policy: Option<&'a str>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    shadow: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Failed<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<Called<'a>>,
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_caller: Option<&'a str>,
    method: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    destination: Option<&'a str>,
    status: Option<u16>,
    request_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Called<'a> {
    policy: &'a str,
    service: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed_open: bool,
    milliseconds: u32,
}

/// A text of a request, cut as a record cuts it.
fn text(bytes: Option<&[u8]>) -> Option<Cow<'_, str>> {
    let bytes = bytes?;
    Some(if bytes.len() > 1024 {
        Cow::Owned(format!("{}...", String::from_utf8_lossy(&bytes[..1024])))
    } else {
        String::from_utf8_lossy(bytes)
    })
}

/// The record by way of serde.
fn plainly(
    engine: &Engine,
    facts: &Facts<'_>,
    host: Option<&str>,
    decision: &Decision,
    status: Option<u16>,
) -> String {
    let names = |indices: &[usize]| -> Vec<String> {
        indices.iter().filter_map(|index| engine.policy_name(*index)).map(str::to_owned).collect()
    };
    let (shadow, credentials) = (names(&decision.shadow), names(&decision.credentials));
    let errors = decision.errors.iter().filter_map(|(index, message)| {
        let policy = engine.policy_name(*index);
        (policy.is_some() || *index == WHOLE).then_some(Failed { policy, message })
    });
    let calls = decision.calls.iter().filter_map(|asked| {
        Some(Called {
            policy: engine.policy_name(asked.policy)?,
            service: asked.service.field(),
            outcome: asked.outcome.as_str(),
            cached: asked.is_cached,
            failed_open: asked.fails_open,
            milliseconds: asked.milliseconds,
        })
    });
    let headers = &facts.headers;
    let record = Record {
        event: "egress",
        verdict: decision.verdict().as_str(),
        policy: decision.policy.and_then(|index| engine.policy_name(index)),
        reason: decision.reason.as_str(),
        detail: decision.detail,
        shadow: shadow.iter().map(String::as_str).take(64).collect(),
        errors: errors.take(64).collect(),
        credentials: credentials.iter().map(String::as_str).take(64).collect(),
        calls: calls.take(64).collect(),
        caller: engine.caller(facts).spiffe_id(),
        rejected_caller: engine.caller(facts).rejected(),
        method: text(headers.first(b":method")),
        host: host.map(Cow::Borrowed).or_else(|| text(headers.first(b":authority"))),
        path: text(
            headers
                .first(b":path")
                .map(|path| path.split(|byte| *byte == b'?').next().unwrap_or(path)),
        ),
        destination: facts.destination(),
        status,
        request_id: text(headers.first(b"x-request-id")),
    };
    printable::json_line(&record).unwrap()
}

/// Bytes as a hostile caller may send them: text of any script, control characters, and what is no
/// UTF-8 at all; some of it long.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let letters = vec(select(vec!['a', '"', '\\', '\n', '\u{7f}', '\u{2028}', '\u{1f600}']), 0..12);
    prop_oneof![
        4 => "/[a-z0-9/._-]{0,60}".prop_map(String::into_bytes),
        3 => ".{0,40}".prop_map(String::into_bytes),
        3 => letters.prop_map(|letters| String::from_iter(letters).into_bytes()),
        2 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 1000..1100),
        1 => vec(b'a'..=b'z', 1000..1100),
    ]
}

fn indices() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(Vec::new()), vec(0..4_usize, 0..4), vec(0..4_usize, 60..70)]
}

fn asked() -> impl Strategy<Value = Asked> {
    let outcome = select(vec![
        Outcome::Allowed,
        Outcome::Denied,
        Outcome::Failed(Failure::Timeout),
        Outcome::Failed(Failure::NotSent),
    ]);
    (0..4_usize, outcome, any::<[bool; 3]>(), any::<u32>()).prop_map(
        |(policy, outcome, [is_cached, fails_open, limits], milliseconds)| Asked {
            policy,
            service: if limits { Service::RateLimit } else { Service::Authorization },
            outcome,
            is_cached,
            fails_open,
            milliseconds,
        },
    )
}

fn decision() -> impl Strategy<Value = Decision> {
    let error = (prop_oneof![0..4_usize, Just(WHOLE)], hostile())
        .prop_map(|(index, message)| (index, String::from_utf8_lossy(&message).into_owned()));
    let detail = select(vec![None, Some("host call failed"), Some("not \"plain\" \u{e9}")]);
    (
        select(Reason::ALL.to_vec()),
        detail,
        select(vec![None, Some(0), Some(2), Some(3)]),
        [indices(), indices()],
        prop_oneof![Just(Vec::new()), vec(error, 0..4)],
        prop_oneof![Just(Vec::new()), vec(asked(), 0..4), vec(asked(), 60..70)],
    )
        .prop_map(|(reason, detail, policy, [shadow, credentials], errors, calls)| Decision {
            reason,
            detail,
            policy,
            shadow,
            errors,
            credentials,
            calls,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_record_is_what_serde_makes_of_it(
        decision in decision(),
        lines in vec((select(vec![":method", ":authority", ":path", "x-request-id"]), hostile()), 0..6),
        host in select(vec![None, Some("api.github.com")]),
        caller in select(vec![TEAM_A, b"spiffe://other.example/ns/a/sa/b", b"no ID", b""]),
        service in prop_oneof![
            Just(b"inbound-vip|80|http|api.github.com".to_vec()),
            hostile().prop_map(|name| [b"outbound|80||", &*name].concat()),
            hostile(),
        ],
        status in select(vec![None, Some(0), Some(403), Some(u16::MAX)]),
        cut in any::<Index>(),
    ) {
        let rules = ["first", "the.2nd_one", "c"].map(|name| rule(name, "Deny", "false"));
        let config = json!({"policies": rules, "identity": {"trustDomains": ["cluster.local"]}});
        let engine = load(&config);
        let lines: Vec<_> =
            lines.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        let given =
            Given { peer_principal: caller, filter_chain_name: &service, ..Given::default() };
        let facts = Facts::new(lines.into_iter().collect(), &given);
        // As admission finds it.
        let plain = facts.headers.first(b":path").and_then(plain::path);
        let known = RequestLine { host, plain_path: plain };
        let written = line(&engine, &facts, known, &decision, status, &[]);
        let expected = plainly(&engine, &facts, host, &decision, status);
        prop_assert_eq!(std::str::from_utf8(&written), Ok(&*expected));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok());

        // With fields behind it, and the names of those that are cut.
        let cut = cut.index(4);
        let field = |(number, name): (usize, &str)| FieldValue {
            name: name.into(),
            json: json!([number, "a"]).to_string(),
            is_cut: number < cut,
        };
        let fields: Vec<FieldValue> = ["a", "b.c", "_-"].into_iter().enumerate().map(field).collect();
        let with = line(&engine, &facts, known, &decision, status, &fields);
        let mut value: serde_json::Value = serde_json::from_str(&expected).unwrap();
        value["fields"] = json!({"a": [0, "a"], "b.c": [1, "a"], "_-": [2, "a"]});
        if cut > 0 {
            value["cutFields"] = json!(["a", "b.c", "_-"][..cut.min(3)]);
        }
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&with).unwrap(), value);
    }
}
