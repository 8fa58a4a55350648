//! What was lowered agrees with the interpreter, value or error, on generated expressions and requests.
//!
//! `EGRESS_DIFFERENTIAL_CASES` sets how many expressions there are (each is evaluated on 50 requests); `make test` takes
//! the default, 2,000.

#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::view::View;
use super::{Expected, Expression, Phase, budget, eval, parse, prepare};
use crate::config::IdentityConfig;
use crate::request::Facts;
use crate::request::headers::Headers;

const TEXTS: &[&str] = &["\"\"", "\"a\"", "\"team-a\"", "\"/zen\"", "\"/\"", "\"GET\"", "\"api.github.com\"", "\"b\""];
const ATTRIBUTES: &[&str] = &[
    "source.identity.namespace",
    "source.identity.serviceAccount",
    "source.identity.trustDomain",
    "source.spiffeId",
    "source.address",
    "request.method",
    "request.host",
    "request.path",
    "request.pathAndQuery",
    "request.version",
    "request.id",
    ".request.path",
    "destination.hostname",
    "destination.address",
    "request.headers.a",
    "request.headers[\"a\"]",
    "request.headers[\"X-B\"]",
    "request.headers[\"host\"]",
    "request.headers[\":path\"]",
];

fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(ATTRIBUTES).prop_map(str::to_owned), select(TEXTS).prop_map(str::to_owned)];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("default({a}, {b})")),
            (select(ATTRIBUTES), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} == \"a\" ? {b} : {c})")),
            inner.prop_map(|a| format!("string({a})")),
            Just("string(source.port)".to_owned()),
            // Stays with the interpreter.
            select(ATTRIBUTES).prop_map(|a| format!("{a}.lowerAscii()")),
        ]
    })
}

fn number() -> impl Strategy<Value = &'static str> {
    select(&["source.port", "destination.port", "80", "0", "-1"][..])
}

fn rule() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        (text(), select(&["==", "!="][..]), text()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number(), select(&["==", "!=", "<", "<=", ">", ">="][..]), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (text(), select(&["startsWith", "endsWith", "contains"][..]), text()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        (text(), proptest::collection::vec(select(TEXTS), 0..4)).prop_map(|(a, list)| format!("{a} in [{}]", list.join(", "))),
        (text(), select(&["^/z", "a$", "", "[a-z]+\\\\d", "(?i)GET"][..])).prop_map(|(a, pattern)| format!("{a}.matches(\"{pattern}\")")),
        select(&["has(source.identity)", "has(request.headers.a)", "has(request.id)", "has(source.identity.namespace)"][..])
            .prop_map(str::to_owned),
        select(&["\"a\" in request.headers", "\"x-none\" in request.headers", "\"HOST\" in request.headers"][..]).prop_map(str::to_owned),
        // Stay with the interpreter, whole.
        select(
            &[
                "request.headers.exists(n, request.headers[n] == \"a\")",
                "dyn(request.path) == \"/zen\"",
                "dyn(\"x\")",
                "1 / source.port == 0"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("default({a}, {b})")),
        ]
    })
}

/// What a request may be made of, in small numbers so that expressions meet what they look for.
#[derive(Debug, Clone)]
struct Made {
    lines: Vec<(&'static str, &'static [u8])>,
    caller: &'static [u8],
    service: &'static [u8],
    addresses: [&'static [u8]; 2],
    version: &'static [u8],
}

fn made() -> impl Strategy<Value = Made> {
    let values: &[&[u8]] = &[b"", b"a", b"b", b"team-a", b"\xff", b"/zen", b"caf\xc3\xa9"];
    let optional = |name: &'static str, values: &'static [&'static [u8]]| {
        proptest::option::of(select(values)).prop_map(move |value| value.map(|value| (name, value)))
    };
    let headers = (
        optional(":method", &[b"GET", b"POST", b"\xff"]),
        optional(":authority", &[b"api.github.com", b"API.GITHUB.COM.:80", b"a@b", b""]),
        optional(":path", &[b"/zen", b"/zen?a", b"/", b"", b"/\xff"]),
        optional("x-request-id", &[b"a", b"\xff"]),
        proptest::collection::vec((select(&["a", "x-b", "host", "x-c"][..]), select(values.to_vec())), 0..4),
    );
    let callers: &[&[u8]] = &[b"", b"-", b"spiffe://a/ns/team-a/sa/b", b"spiffe://a/ns/x/sa/a", b"spiffe://a/other", b"garbage"];
    let services: &[&[u8]] = &[b"", b"inbound-vip|80|http|api.github.com", b"x"];
    let addresses: &[&[u8]] = &[b"", b"10.0.0.1:80", b"[::1]:1", b"x"];
    let versions: &[&[u8]] = &[b"", b"HTTP/1.1"];
    let rest = (select(callers), select(services), select(addresses), select(addresses), select(versions));
    (headers, rest).prop_map(|((method, authority, path, id, mut lines), (caller, service, source, destination, version))| {
        lines.extend([method, authority, path, id].into_iter().flatten());
        Made { lines, caller, service, addresses: [source, destination], version }
    })
}

fn with_view<T>(made: &Made, run: impl FnOnce(&View<'_>) -> T) -> T {
    let headers: Headers<'_> = made.lines.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    let facts = Facts {
        headers,
        filter_state: made.caller,
        service: made.service,
        version: made.version,
        source_address: made.addresses[0],
        destination_address: made.addresses[1],
        ..Facts::default()
    };
    let peer = facts.peer(&IdentityConfig::default());
    run(&View::new(&facts, &facts.headers, peer))
}

fn cases() -> u32 {
    std::env::var("EGRESS_DIFFERENTIAL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Compares on generated requests; gives whether both were of one mind on each.
fn agree(source: &str, expected: Expected, requests: &[Made]) -> Result<(), TestCaseError> {
    let Ok(expression) = Expression::compile(source, Phase::Request, expected) else {
        return Err(TestCaseError::reject("the check refuses it"));
    };
    let (mut root, _) = parse(&expression.env, source).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
    prepare(&mut root, &mut Vec::new(), &mut Vec::new());
    budget::meter(&mut root);
    for request in requests {
        let (ours, theirs) = with_view(request, |view| match expected {
            Expected::Rule => (
                expression.matches(view).map(|value| value.to_string()),
                eval::rule(&root, &expression.env, view, &expression.patterns).map(|value| value.to_string()),
            ),
            Expected::Header => (
                expression.header_value(view).map(|value| format!("{value:?}")),
                eval::header(&root, &expression.env, view, &expression.patterns).map(|value| format!("{value:?}")),
            ),
        });
        prop_assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{} on {:?}: {:?} against {:?}", source, request, ours, theirs);
    }
    Ok(())
}

fn compare(expected: Expected, sources: impl Strategy<Value = String>) {
    let config = Config { cases: cases(), failure_persistence: None, max_global_rejects: 1_000_000, ..Config::default() };
    let strategy = (sources, proptest::collection::vec(made(), 50));
    let outcome = TestRunner::new(config).run(&strategy, |(source, requests)| agree(&source, expected, &requests));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn lowered_rules_agree_with_the_interpreter() {
    compare(Expected::Rule, rule());
}

#[test]
fn lowered_values_agree_with_the_interpreter() {
    compare(Expected::Header, text());
}
