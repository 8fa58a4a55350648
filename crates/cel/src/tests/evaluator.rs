//! The evaluator agrees with the interpreter, value or error, on macros, functions and operators of
//! every kind, over generated requests.

#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::both_ways::{self, BothWays};
use super::generated::made;
use super::message::TABLE;
use crate::{Expected, Phase, Scope};

/// Values of every type, which may fail: what a request has, and what a rule writes.
const VALUES: &[&str] = &[
    "null",
    "true",
    "1",
    "-1",
    "7u",
    "18446744073709551615u",
    "1.5",
    "-0.0",
    "(0.0 / 0.0)",
    "9223372036854775807",
    "''",
    "'a'",
    "'b,a'",
    "'caf\\u00e9'",
    "'10.0.0.1'",
    "'a=1&b=%20'",
    "'1h'",
    "'42'",
    "b'a'",
    "b'\\xff'",
    "[]",
    "[1, 2u, 3.0]",
    "['b', 'a', 'b']",
    "[[1], []]",
    "[null, true]",
    "{}",
    "{'a': 1}",
    "{1: 'x', 2u: 'y'}",
    "{'b': [1], 'a': {'c': null}}",
    "{true: 1, 'x': 2}",
    "optional.none()",
    "optional.of(1)",
    "optional.of('a')",
    "optional.of({'a': 1})",
    "int",
    "ip('10.0.0.1')",
    "cidr('10.0.0.0/8')",
    "timestamp('2026-11-28T09:30:00.25Z')",
    "timestamp(0)",
    "duration('1h30m')",
    "duration('-1s')",
    "request.path",
    "request.method",
    "request.headers",
    "source.port",
    "request.headers['a']",
    "request.headers.raw()",
    "request.headers.redacted()",
    "source",
    "request.headers.map(n, n)",
    "source.identity.namespace",
    "request.startTime",
    "request.body",
    "extauthz",
    "extauthz.a",
    "json(request.body)",
    "request.headers[?'a']",
    "request.headers[?'x-b'].orValue('z')",
    "string(request.body)",
    "has(request.id)",
    "has(extauthz.a)",
    "has(request.body)",
    "request.pathAndQuery",
    "json('{\"a\": [1, 2.5]}')",
    "request.headers.cookie('a')",
];
/// What is made of one value.
const ONE: &[&str] = &[
    "{}.size()",
    "size({})",
    "type({})",
    "string({})",
    "int({})",
    "uint({})",
    "double({})",
    "bool({})",
    "bytes({})",
    "!{}",
    "-{}",
    "{}.a",
    "has({}.a)",
    "{}.?a",
    "{}[0]",
    "{}['a']",
    "{}[?'a']",
    "{}[1u]",
    "{}[0.0]",
    "optional.of({})",
    "optional.ofNonZeroValue({})",
    "{}.hasValue()",
    "{}.value()",
    "{}.orValue(2)",
    "{}.or(optional.of(3))",
    "toJson({})",
    "json({})",
    "{}.lowerAscii()",
    "{}.upperAscii()",
    "{}.trim()",
    "{}.reverse()",
    "strings.quote({})",
    "{}.charAt(0)",
    "{}.charAt(1)",
    "{}.substring(1)",
    "{}.substring(0, 1)",
    "{}.join()",
    "{}.join('-')",
    "{}.split(',')",
    "{}.split('')",
    "{}.split(',', 1)",
    "{}.raw()",
    "{}.split()",
    "{}.redacted()",
    "base64.encode({})",
    "base64.decode({})",
    "url.encode({})",
    "url.decode({})",
    "form.encode({})",
    "form.decode({})",
    "sha256.encode({})",
    "sha1.encode({})",
    "md5.encode({})",
    "ip({})",
    "isIP({})",
    "cidr({})",
    "isCIDR({})",
    "{}.family()",
    "{}.isLoopback()",
    "{}.masked()",
    "{}.prefixLength()",
    "{}.getHours()",
    "{}.getFullYear('Europe/Berlin')",
    "{}.getDayOfYear()",
    "{}.getMilliseconds()",
    "timestamp({})",
    "duration({})",
    "math.abs({})",
    "math.sign({})",
    "math.ceil({})",
    "math.round({})",
    "math.isNaN({})",
    "math.sqrt({})",
    "math.bitNot({})",
    "math.greatest({})",
    "math.least({}, 1)",
    "math.greatest({}, 1.5, 2u)",
    "[{}]",
    "{'k': {}}",
    "{{}: 1}",
    "dyn({})",
    "'%s'.format([{}])",
    "'%d|%.2f'.format([{}, {}])",
    "'%x%b'.format([{}, {}])",
    "'%e%X'.format([{}, {}])",
    "'%o%%'.format([{}])",
    "default({}, 'none')",
    "default({}.a, 0)",
    "{}.exists(x, x == 'a')",
    "{}.all(x, x != 'a')",
    "{}.exists_one(x, x == 'a')",
    "{}.all(x, x > 0)",
    "{}.filter(x, x != 'b').size()",
    "{}.map(x, [x])",
    "{}.map(x, x != 'b', x + x)",
    "{}.exists(k, v, v == 1)",
    "{}.all(k, v, k != v)",
    "{}.transformList(k, v, k)",
    "{}.transformMap(k, v, [v])",
    "{}.mapValues(v, string(v))",
    "{}.filterKeys(k, k == 'a')",
    "{}.removeKeys(k, k == 'a')",
    "{}.with(v, [v, v])",
    "cel.bind(v, {}, [v, v])",
    "{}.optMap(v, [v])",
    "{}.optFlatMap(v, optional.of(v))",
    "[?optional.of({}), 1]",
    "{?'k': optional.of({})}",
    "unvalidatedJwtPayload({})",
    "{}.matches('^a')",
    "{}.regexReplace('a', 'b$0')",
    "{}.query('a')",
    "{}.addQuery('a', 'b')",
    "{}.setQuery('a', 'b')",
    "{}.stripPrefix('a')",
    "{}.stripSuffix('a')",
];
/// What is made of two values.
const TWO: &[&str] = &[
    "{1} == {2}",
    "{1} != {2}",
    "{1} < {2}",
    "{1} <= {2}",
    "{1} > {2}",
    "{1} >= {2}",
    "{1} + {2}",
    "{1} - {2}",
    "{1} * {2}",
    "{1} / {2}",
    "{1} % {2}",
    "{1} in {2}",
    "{1} && {2}",
    "{1} || {2}",
    "({1} ? {2} : {1})",
    "{1}[{2}]",
    "{1}[?{2}]",
    "[{1}, {2}]",
    "{'a': {1}, 'b': {2}}",
    "{1}.contains({2})",
    "{1}.startsWith({2})",
    "{1}.endsWith({2})",
    "{1}.indexOf({2})",
    "{1}.lastIndexOf({2})",
    "{1}.replace({2}, 'x')",
    "{1}.merge({2})",
    "{1}.containsIP({2})",
    "{1}.containsCIDR({2})",
    "math.bitAnd({1}, {2})",
    "math.bitShiftLeft({1}, {2})",
    "math.greatest({1}, {2})",
    "math.least({1}, {2})",
    "default({1}, {2})",
    "coalesce({1}, {2}, 0)",
    "{1}.exists(x, x == {2})",
    "{1}.map(x, {2})",
    "{1}.filter(x, x in {2})",
    "[{1}] == [{2}]",
    "{1}.all(x, {2}.exists(y, x == y))",
    "{1}.substring({2})",
    "{1}.charAt({2})",
    "{1}.indexOf('a', {2})",
    "{1}.matches({2})",
    "{1}.query({2})",
    "{1}.join({2})",
    "{1}.split({2})",
    "{1}.getHours({2})",
    "dyn({1}) == dyn({2})",
    "dyn({1}) < dyn({2})",
    "dyn({1}) + dyn({2})",
    "dyn({1}) in dyn({2})",
    "dyn({1}) - dyn({2})",
    "dyn({1}) * dyn({2})",
];

fn expression() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        3 => select(VALUES).prop_map(str::to_owned),
        // With a type that is known only at a request.
        1 => select(VALUES).prop_map(|value| format!("dyn({value})")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            3 => (select(ONE), inner.clone()).prop_map(|(form, a)| form.replace("{}", &a)),
            3 => (select(TWO), inner.clone(), inner)
                .prop_map(|(form, a, b)| form.replace("{1}", &a).replace("{2}", &b)),
        ]
    })
    .boxed()
}

/// How many expressions are evaluated, unless the environment says how many cases there are.
const EXPRESSIONS: usize = 4_000;
const REQUESTS: usize = 6;

/// What the evaluator does otherwise on purpose, where it has a value and the interpreter has none:
/// it evaluates what `cel.bind`, `with`, `or` and `orValue` give or take only where it is read.
fn is_lazy(source: &str) -> bool {
    ["bind(", "with(", "or(", "orValue(", "optMap(", "optFlatMap("]
        .iter()
        .any(|form| source.contains(form))
}

/// The same where the interpreter has a value and the evaluator has none: `+` takes no list and a
/// map, and what cannot be read is told also where another operand has failed, so that no
/// `default` covers it.
///
/// To the interpreter, an optional access to what has no such part, or with a key of a type that
/// it has no parts by, is an empty optional, so that a Deny of it does not deny.
fn is_stricter(source: &str, message: &str) -> bool {
    match message {
        "error in `+`" | "the request cannot be read" => true,
        "error in `.?`" | "error in `[?]`" => true,
        "got another type, expected map key" | "got another type, expected int|uint|double" => {
            source.contains("[?") || source.contains(".?") || source.contains("optional.")
        }
        _ => false,
    }
}

fn may_differ(source: &str, ours: &Result<Vec<u8>, String>) -> bool {
    match ours {
        Ok(_) => is_lazy(source),
        Err(message) => is_stricter(source, message),
    }
}

#[test]
fn what_is_evaluated_agrees_with_the_interpreter() {
    let cases = std::env::var("EGRESS_DIFFERENTIAL_CASES").ok();
    let cases = cases.and_then(|text| text.parse::<usize>().ok());
    let wanted = cases.map_or(EXPRESSIONS, |cases| cases / REQUESTS);
    let config = Config { failure_persistence: None, ..Config::default() };
    // `make differential` finds what is new; every other run has the same cases.
    let mut runner = match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let (mut compiled, mut values, mut lists) = (0_usize, 0_usize, 0_usize);
    let mut wrong = Vec::new();
    while compiled < wanted && wrong.len() < 20 {
        let tree = |runner: &mut TestRunner| {
            expression().new_tree(runner).map(|tree| tree.current()).unwrap_or_default()
        };
        let source = tree(&mut runner);
        let Ok(both) = BothWays::of(Scope::of(&TABLE), &source, Phase::Request, Expected::Any)
        else {
            continue;
        };
        compiled += 1;
        for _ in 0..REQUESTS {
            let request = made().new_tree(&mut runner).unwrap().current();
            let (ours, theirs) =
                request.view(Phase::Request, |view| (both.ours(view), both.theirs(view)));
            values += usize::from(ours.is_ok());
            if both_ways::agree(&ours, &theirs)
                || (ours.is_ok() != theirs.is_ok() && may_differ(&source, &ours))
            {
                continue;
            }
            // The interpreter's maps have another order each time: it may yet agree.
            let sorted = |value: &Result<Vec<u8>, String>| {
                let mut bytes = value.clone().unwrap_or_default();
                bytes.sort_unstable();
                bytes
            };
            let again = || request.view(Phase::Request, |view| both.theirs(view));
            let is_order = ours.is_ok()
                && theirs.is_ok()
                && (sorted(&ours) == sorted(&theirs)
                    || (source.contains('{')
                        && (0..64).any(|_| both_ways::agree(&ours, &again()))));
            if is_order {
                lists += 1;
                continue;
            }
            let shown = |value: Result<Vec<u8>, String>| {
                value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            };
            let (ours, theirs) = (shown(ours), shown(theirs));
            wrong.push(format!("{source}: {ours:?} against {theirs:?} on {request:?}"));
            break;
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(values > compiled, "of {compiled} expressions {values} evaluations have a value");
    println!("{compiled} expressions, {values} with a value, {lists} in another order");
}
