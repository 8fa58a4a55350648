//! An expression that reads variables decides as the one in which their expressions are written
//! out, on generated variables, expressions and requests.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::attributes::Attributes;
use crate::tests::generated::{self, Made, made};

/// How many sets of variables there are, unless the environment says.
const CASES: u32 = 1_000;

fn cases() -> u32 {
    let asked = std::env::var("EGRESS_DIFFERENTIAL_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

/// Rules in which `$0`, `$1` and so on are variables: bools, bools, strings, strings, a list, an
/// int, and one whose type is not known.
const RULES: &[&str] = &[
    "$0",
    "!$1",
    "default($1, $0)",
    "($0 ? $1 : $0)",
    "[$0, $1][1]",
    "$2 == $3",
    "$2 != 'a'",
    "'a' == $2",
    "$2.startsWith($3)",
    "$3.contains('a')",
    "$2 in ['a', 'GET', '/zen']",
    "$2 in $4",
    "$2.matches('[a-z]+')",
    "size($2) > $5",
    "source.port == $5",
    "$2 < $3",
    "dyn($2) == $3",
    "default($2, 'x') == 'x'",
    "$4.exists(e, e == $2)",
    "request.headers.exists(n, n == $2 || $0)",
    "request.headers[$2] == $3",
    "$2 in request.headers",
    "[$2, $3] == [$3, $2]",
    "{'a': $2}.a == $3",
    "$6.a == $2",
    "$6.b",
    "default($6.c, $2) == $2",
];

const TEXTS: &[&str] = &[
    "$2",
    "$3",
    "$2 + $3",
    "($2 + '/' + string($5))",
    "default($2, $3)",
    "($0 ? $2 : $3)",
    "$4.join(',')",
    "$2.lowerAscii()",
    "string($0)",
    "string($6.a)",
];

fn rules() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        6 => select(RULES).prop_map(str::to_owned),
        1 => generated::rule(),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.prop_map(|a| format!("[1, 2].all(i, i > 2 || {a})")),
        ]
    })
    .boxed()
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof![
        3 => select(TEXTS).prop_map(str::to_owned),
        1 => generated::text(Phase::Request),
    ]
    .boxed()
}

/// The order in which the variables are declared.
const ORDER: [usize; 7] = [0, 4, 5, 6, 2, 1, 3];

/// The sources of the variables, by their number. The last two read the others.
fn variables() -> impl Strategy<Value = Vec<String>> {
    let list = select(&["['a', 'b']", "[]", "['GET', '/zen', 'a']", "[request.method, 'a']"][..]);
    let number = select(&["1", "source.port", "80", "1 + source.port", "size(request.path)"][..]);
    let any = select(
        &[
            "json('{\"a\": \"GET\", \"b\": true}')",
            "{'a': request.method, 'b': dyn(true)}",
            "json(request.headers.a)",
            "json('{\"a\": 1, \"b\": \"x\", \"c\": null}')",
        ][..],
    );
    let earlier = |source: String| source.replace("$1", "$0").replace("$3", "$2");
    let (rule, text) = (rules().prop_map(earlier), texts().prop_map(earlier));
    (generated::rule(), rule, generated::text(Phase::Request), text, list, number, any).prop_map(
        |(a, b, c, d, list, number, any)| {
            let others = [list, number, any].map(str::to_owned);
            [a, b, c, d].into_iter().chain(others).collect()
        },
    )
}

/// A source that reads the variables.
fn reading(source: &str) -> String {
    ORDER.into_iter().fold(source.to_owned(), |source, index| {
        source.replace(&format!("${index}"), &format!("variables.v{index}"))
    })
}

/// The same without variables.
fn written_out(source: &str, variables: &[String]) -> String {
    ORDER.into_iter().rev().fold(source.to_owned(), |source, index| {
        source.replace(&format!("${index}"), &format!("({})", variables[index]))
    })
}

/// The value, or whether it is missing because of a breach.
fn outcome(
    expression: &Expression,
    expected: Expected,
    view: &impl Attributes,
) -> Result<Vec<u8>, Option<&'static str>> {
    let allowance = Allowance::whole();
    let value = match expected {
        Expected::Rule => expression.matches(view, &allowance).map(|value| vec![u8::from(value)]),
        _ => expression.header_value(view, &allowance),
    };
    match allowance.breached() {
        Some(breach) => Err(Some(breach)),
        None => value.map_err(|_| None),
    }
}

fn declare(sources: &[String]) -> Option<Variables> {
    let mut declared = Variables::declare(ORDER.map(|index| format!("v{index}")));
    for index in ORDER {
        declared.define(&TABLE, &reading(&sources[index])).ok()?;
    }
    Some(declared)
}

fn compare(expected: Expected, expressions: impl Strategy<Value = String>) {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_global_rejects: 1_000_000,
        ..Config::default()
    };
    let values = std::cell::Cell::new(0_u32);
    let requests = proptest::collection::vec(made(), 8);
    let given = (variables(), proptest::collection::vec(expressions, 3), requests);
    let result = TestRunner::new(config).run(&given, |(sources, expressions, requests)| {
        let Some(declared) = declare(&sources) else {
            return Err(TestCaseError::reject("the check refuses it"));
        };
        let scope = Scope { table: &TABLE, variables: &declared };
        for source in &expressions {
            let compile =
                |scope, source: &str| Expression::compile(scope, source, Phase::Request, expected);
            let read = compile(scope, &reading(source));
            let written = compile(Scope::of(&TABLE), &written_out(source, &sources));
            let (Ok(read), Ok(written)) = (read, written) else { continue };
            prop_assert_eq!(read.uses(), written.uses(), "{}", source);
            for settled in [false, true] {
                prop_assert_eq!(read.guards(settled), written.guards(settled), "{}", source);
            }
            for request in &requests {
                let request = &Made { changed: None, ..request.clone() };
                let wanted = request.view(Phase::Request, |view| outcome(&written, expected, view));
                values.set(values.get().saturating_add(u32::from(wanted.is_ok())));
                let twice = request.view(Phase::Request, |view| {
                    [outcome(&read, expected, view), outcome(&read, expected, view)]
                });
                let fresh = request
                    .view_without_memo(Phase::Request, |view| outcome(&read, expected, view));
                for found in twice.into_iter().chain([fresh]) {
                    prop_assert_eq!(
                        &found,
                        &wanted,
                        "{} with {:?} on {:?}",
                        source,
                        &sources,
                        request
                    );
                }
            }
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    assert!(values.get() > cases(), "only {} values were compared", values.get());
    println!("compared: {} values", values.get());
}

#[test]
fn a_rule_decides_as_the_one_written_out() {
    compare(Expected::Rule, rules());
}

#[test]
fn a_value_is_that_of_the_one_written_out() {
    compare(Expected::Header, texts());
}
