//! Expressions and messages, generated: every shape that is lowered, beside and inside of shapes
//! that are not.
//!
//! The engine's tests include this file too: what it is given by the module above is a `Phase` and
//! a `message::Scene`.

#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::sample::select;

use super::Phase;
use super::message::Scene;

const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
/// Literals: what the generated requests hold, and what they do not.
const TEXTS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "'b'",
    "\"team-a\"",
    "\"/zen\"",
    "\"/\"",
    "\"GET\"",
    "\"api.github.com\"",
    "r\"a\"",
    "\"caf\\u00e9\"",
    "'''a,b'''",
    "\"80\"",
];
const ATTRIBUTES: &[&str] = &[
    "source.identity.namespace",
    "source.identity.serviceAccount",
    "source.identity.trustDomain",
    "source.spiffeId",
    "source.address",
    "request.method",
    "request.scheme",
    "request.host",
    "request.path",
    "request.pathAndQuery",
    "request.version",
    "request.id",
    ".request.path",
    "request[\"path\"]",
    "destination.hostname",
    "destination.address",
    "request.headers.a",
    "request.headers[\"a\"]",
    "request.headers[\"X-B\"]",
    "request.headers[\"x_b\"]",
    "request.headers[\"host\"]",
    "request.headers[\":path\"]",
    "request[\"headers\"].a",
    "string(request.body)",
    "string(request[\"body\"])",
];
const RESPONSE_TEXTS: &[&str] =
    &["response.headers.a", "response.headers[\"X-B\"]", "response.headers[\"host\"]"];
const NUMBERS: &[&str] = &[
    "source.port",
    "destination.port",
    "80",
    "0",
    "-1",
    "9223372036854775807",
    "443",
    "request.startTime.getHours()",
    "request.startTime.getDayOfWeek('Europe/Berlin')",
    "request.startTime.getMilliseconds('-02:30')",
];
/// Timestamps, of which the last stays with the interpreter.
const TIMES: &[&str] = &[
    "request.startTime",
    "request.startTime",
    "timestamp('2026-11-28T09:30:00.25Z')",
    "timestamp(0)",
    "(request.startTime + duration('1h'))",
];
const PATTERNS: &[&str] = &["^/z", "a$", "", "[a-z]+\\\\d", "(?i)GET", "^(a|b)$", "\\\\.", "caf."];
const TESTS: &[&str] = &[
    "true",
    "false",
    "has(source.identity)",
    "has(source.spiffeId)",
    "has(source.address)",
    "has(source.port)",
    "has(request.headers.a)",
    "has(request.headers.x_b)",
    "has(request.headers.host)",
    "has(request.id)",
    "has(request.method)",
    "has(request.path)",
    "has(request.host)",
    "has(request.headers)",
    "has(source.identity.namespace)",
    "has(destination.hostname)",
    "\"a\" in request.headers",
    "\"x-none\" in request.headers",
    "\"HOST\" in request.headers",
    "\":path\" in request.headers",
    "80 in [80, 443]",
    "source.port in [80, 1]",
    "request.startTime.getHours('Asia/Kolkata') in [15, 3]",
    "has(request.startTime)",
    "request.path in [request.pathAndQuery, \"a\"]",
    // Stay with the interpreter, whole.
    "request.headers.exists(n, request.headers[n] == \"a\")",
    "request.headers.all(n, n != \"a\" || request.headers[n] == \"a\")",
    "dyn(request.path) == \"/zen\"",
    "dyn(\"x\")",
    "1 / source.port == 0",
    "size(request.path) > 3",
    "request.path < \"/a\"",
    "request.?headers[?\"a\"].orValue(\"b\") == \"b\"",
    "[request.path] == [\"/zen\"]",
    "request.headers[request.method] == \"a\"",
    "has(request.body)",
    "request.body == b\"a\"",
    "json(request.body).a == \"b\"",
    "has(extauthz.a)",
    "extauthz.a == \"team-a\"",
    "extauthz[\"b\"].c",
    "\"a\" in extauthz",
    "extauthz.?a == optional.none()",
];

/// Expressions that give a string.
pub(crate) fn text(phase: Phase) -> BoxedStrategy<String> {
    let attributes = match phase {
        Phase::Request | Phase::RequestBody => ATTRIBUTES.to_vec(),
        Phase::Response | Phase::ResponseBody => {
            [ATTRIBUTES, RESPONSE_TEXTS, RESPONSE_TEXTS, RESPONSE_TEXTS].concat()
        }
    };
    let attribute = select(attributes).prop_map(str::to_owned);
    let leaf = prop_oneof![3 => attribute.clone(), 2 => select(TEXTS).prop_map(str::to_owned)];
    leaf.prop_recursive(3, 10, 3, move |inner| {
        let condition = prop_oneof![
            (attribute.clone(), select(TEXTS)).prop_map(|(a, b)| format!("{a} == {b}")),
            select(TESTS).prop_map(str::to_owned),
            (number(phase), number(phase)).prop_map(|(a, b)| format!("{a} < {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}).startsWith({b})")),
        ];
        prop_oneof![
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("{a} + {b} + ({c})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("default({a}, {b})")),
            2 => (condition, inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => inner.clone().prop_map(|a| format!("string({a})")),
            1 => number(phase).prop_map(|a| format!("string({a})")),
            1 => select(TIMES).prop_map(|a| format!("string({a})")),
            // Stay with the interpreter, whole.
            1 => inner.clone().prop_map(|a| format!("({a}).lowerAscii()")),
            1 => inner.prop_map(|a| format!("string(bytes({a}))")),
            1 => Just("request.headers.map(n, n).join(\",\")".to_owned()),
        ]
    })
    .boxed()
}

fn number(phase: Phase) -> BoxedStrategy<String> {
    let known = match phase {
        Phase::Request | Phase::RequestBody => NUMBERS.to_vec(),
        Phase::Response | Phase::ResponseBody => {
            [NUMBERS, &["response.code", "200", "response.code"]].concat()
        }
    };
    prop_oneof![
        8 => select(known.clone()).prop_map(str::to_owned),
        1 => (select(known.clone()), select(known)).prop_map(|(a, b)| format!("({a} + {b})")),
    ]
    .boxed()
}

/// Expressions that give a bool.
pub(crate) fn rule() -> BoxedStrategy<String> {
    let text = || text(Phase::Request);
    let list =
        |least| proptest::collection::vec(select(TEXTS), least..5).prop_map(|list| list.join(", "));
    let leaf = prop_oneof![
        2 => select(TESTS).prop_map(str::to_owned),
        4 => (text(), select(&["==", "!="][..]), text())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (number(Phase::Request), select(COMPARISONS), number(Phase::Request))
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (select(TIMES), select(COMPARISONS), select(TIMES))
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        3 => (text(), select(&["startsWith", "endsWith", "contains"][..]), text())
            .prop_map(|(a, f, b)| format!("({a}).{f}({b})")),
        2 => (text(), list(0)).prop_map(|(a, list)| format!("{a} in [{list}]")),
        1 => (text(), list(1)).prop_map(|(a, list)| format!("!({a} in [{list}, {a}])")),
        2 => (text(), select(PATTERNS))
            .prop_map(|(a, pattern)| format!("({a}).matches(\"{pattern}\")")),
        1 => (text(), select(PATTERNS))
            .prop_map(|(a, pattern)| format!("matches({a}, '{pattern}')")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} && {b} || {c})")),
            2 => inner.clone().prop_map(|a| format!("!({a})")),
            2 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("default({a}, {b})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("(({a}) == ({b}))")),
        ]
    })
    .boxed()
}

/// What a request is made of, in small numbers so that expressions meet what they look for.
pub(crate) type Made = Scene<'static>;

pub(crate) fn made() -> impl Strategy<Value = Made> {
    const VALUES: &[&[u8]] =
        &[b"", b"a", b"b", b"team-a", b"\xff", b"/zen", b"caf\xc3\xa9", b"a,b", b"GET"];
    const NAMES: &[&str] = &["a", "x-b", "x_b", "host", "x-c"];
    let optional = |name: &'static str, values: &'static [&'static [u8]]| {
        proptest::option::weighted(0.9, select(values))
            .prop_map(move |value| value.map(|value| (name.as_bytes(), value)))
    };
    let line =
        || (select(NAMES), select(VALUES)).prop_map(|(name, value)| (name.as_bytes(), value));
    let lines = || proptest::collection::vec(line(), 0..5);
    let headers = (
        optional(":method", &[b"GET", b"POST", b"a", b"\xff"]),
        optional(":scheme", &[b"http", b"a"]),
        optional(
            ":authority",
            &[b"api.github.com", b"API.GITHUB.COM.:80", b"a@b", b"", b"a", b"a.b:80", b"[::1]"],
        ),
        optional(":path", &[b"/zen", b"/zen?a", b"/", b"", b"/\xff", b"/a", b"a", b"*"]),
        optional("x-request-id", &[b"a", b"\xff"]),
        lines(),
    );
    let callers: &[&[u8]] = &[
        b"",
        b"-",
        b"spiffe://a/ns/team-a/sa/b",
        b"spiffe://a/ns/team-a/sa/team-a",
        b"spiffe://a/ns/x/sa/a",
        b"spiffe://b/ns/a/sa/a",
        b"spiffe://a/other",
        b"garbage",
    ];
    let services: &[&[u8]] = &[b"", b"inbound-vip|80|http|api.github.com", b"x"];
    let addresses: &[&[u8]] = &[b"", b"10.0.0.1:80", b"[::1]:1", b"x", b"10.0.0.1:443"];
    let versions: &[&[u8]] = &[b"", b"HTTP/1.1"];
    let facts =
        (select(callers), select(services), select(addresses), select(addresses), select(versions));
    let response = (optional(":status", &[b"200", b"404", b"x", b"\xff"]), lines());
    let times: &[i64] = &[0, 1_795_858_200_250_000_000, i64::MAX];
    let bodies: &[&[u8]] = &[b"", b"a", b"{\"a\": \"b\"}", b"\xff", b"/zen"];
    let said: &[&str] = &["{}", r#"{"a": "team-a", "n": 80}"#, r#"{"a": ["a"], "b": {"c": true}}"#];
    let provided = (
        proptest::option::of(select(bodies)),
        proptest::bool::weighted(0.1),
        proptest::option::of(select(said)),
    );
    let rest = (
        proptest::option::weighted(0.8, select(times)),
        proptest::option::of((select(NAMES), 0..3_usize)),
        proptest::option::weighted(0.2, line()),
        response,
    );
    (headers, facts, rest, provided).prop_map(
        |(headers, facts, (time, chosen, changed, (status, mut response)), provided)| {
            let (body, body_is_unreadable, extauthz) = provided;
            let (method, scheme, authority, path, id, mut lines) = headers;
            let (caller, service, source, destination, version) = facts;
            lines.extend([method, scheme, authority, path, id].into_iter().flatten());
            response.extend(status);
            Scene {
                lines,
                caller,
                service,
                addresses: [source, destination],
                version,
                time,
                chosen,
                changed,
                response,
                body,
                body_is_unreadable,
                extauthz,
            }
        },
    )
}
