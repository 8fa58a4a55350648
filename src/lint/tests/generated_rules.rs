//! What is found of a rule is so on every generated request.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::super::{Findings, Known, Settled, Work, examine};
use crate::attributes::TABLE;
use crate::cel;
use crate::cel::meter::Allowance;
use crate::cel::{Expected, Expression, Phase};
use crate::config::{Combine, HostPattern};
use crate::path::PathSafety;
use crate::tests::generated::{Made, made};

/// How many rules are looked at, and on how many requests each that something is found of is tried.
const RULES: u32 = 5_000;
const REQUESTS: usize = 1_500;

/// What is compared, and with what.
const COMPARED: &[(&str, &[&str])] = &[
    ("source.identity.namespace", &["team-a", "x", "a", "/"]),
    ("source.identity.trustDomain", &["a", "b"]),
    ("source.spiffeId", &["spiffe://a/other", "garbage", "spiffe://a/ns/x/sa/a", ""]),
    ("request.method", &["GET", "POST", "a"]),
    (
        "request.host",
        &["api.github.com", "a", "a.b", "a.b:80", "API.GITHUB.COM", "[::1]", ".github.com"],
    ),
    ("request.path", &["/zen", "/", "", "/a", "a", "/zen?a", "*"]),
    ("request.pathAndQuery", &["/zen", "/zen?a", "zen"]),
    ("request.headers.a", &["", "a", "b", "a,b"]),
    ("request.headers[\"x-b\"]", &["a", "b"]),
    ("request.headers[\"X_B\"]", &["a", "b"]),
    ("request.headers[\":path\"]", &["/zen"]),
    ("default(request.headers.a, \"b\")", &["a", "b"]),
    ("default(source.identity.namespace, \"/\")", &["a", "/"]),
];

/// Comparisons of few values with few others, so that many contradict one another.
fn atom() -> BoxedStrategy<String> {
    let text = select(COMPARED).prop_flat_map(|(attribute, values)| {
        let comparison =
            select(&["==", "==", "!=", "startsWith", "endsWith", "contains", "in"][..]);
        (Just(attribute), comparison, select(values), select(values)).prop_map(
            |(attribute, comparison, value, other)| match comparison {
                "==" | "!=" => format!("{attribute} {comparison} \"{value}\""),
                "in" => format!("{attribute} in [\"{value}\", \"{other}\"]"),
                function => format!("{attribute}.{function}(\"{value}\")"),
            },
        )
    });
    let ports = (
        select(&["==", "!=", "<", "<=", ">", ">="][..]),
        select(&["0", "1", "80", "443", "65535", "-1", "70000"][..]),
    );
    let tests = &[
        "has(source.identity)",
        "has(request.headers.a)",
        "\"a\" in request.headers",
        "has(request.headers.x_b)",
        "has(request.id)",
        "request.path.matches(\"z\")",
        "has(source.identity.namespace)",
        "true",
        "false",
        "1 / source.port == 0",
    ];
    prop_oneof![
        6 => text,
        1 => ports.prop_map(|(op, n)| format!("source.port {op} {n}")),
        1 => select(&tests[..]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn rule() -> BoxedStrategy<String> {
    let combined = atom().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            1 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("default({a}, {b})")),
        ]
    });
    combined.boxed()
}

/// What is known of the requests of one try.
#[derive(Debug, Clone)]
struct Scope {
    hosts: Vec<HostPattern>,
    trust_domains: Vec<String>,
    strict_paths: bool,
}

impl Scope {
    fn known(&self) -> Known<'_> {
        Known {
            hosts: &self.hosts,
            trust_domains: &self.trust_domains,
            strict_paths: self.strict_paths,
        }
    }

    fn has(&self, request: &Made) -> bool {
        let path = request
            .lines
            .iter()
            .find(|(name, _)| *name == b":path")
            .map_or(&b""[..], |(_, value)| value);
        let rule = |source: &str| {
            Expression::compile(cel::Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
                .expect(source)
        };
        let host = self.hosts.iter().map(|pattern| match pattern {
            HostPattern::Exact(name) => format!("request.host == '{name}'"),
            HostPattern::Under(suffix) => {
                format!("request.host.endsWith('{suffix}') && request.host != '{suffix}'")
            }
        });
        let hosts = [
            vec![
                "request.host == ''".to_owned(),
                format!("has(request.host) && {}", self.hosts.is_empty()),
            ],
            host.collect(),
        ]
        .concat();
        let domains = self
            .trust_domains
            .iter()
            .map(|name| format!("source.spiffeId.startsWith('spiffe://{name}/')"));
        let domains = [
            vec![format!("!has(source.spiffeId) || {}", self.trust_domains.is_empty())],
            domains.collect(),
        ]
        .concat();
        let both = rule(&format!("({}) && ({})", hosts.join(" || "), domains.join(" || ")));
        (!self.strict_paths || PathSafety::Strict.objection(path).is_none())
            && request.view(Phase::Request, |view| both.matches(view, &Allowance::whole()))
                == Ok(true)
    }
}

fn scopes() -> Vec<Scope> {
    let exact = |name: &str| HostPattern::Exact(name.to_owned());
    let under = |suffix: &str| HostPattern::Under(suffix.to_owned());
    let hosts = [
        vec![],
        vec![exact("api.github.com")],
        vec![under(".github.com"), exact("a")],
        vec![under(".b")],
    ];
    let scope = |(index, hosts): (usize, &Vec<HostPattern>)| Scope {
        hosts: hosts.clone(),
        trust_domains: if index % 2 == 0 { vec!["a".to_owned()] } else { Vec::new() },
        strict_paths: index % 3 != 0,
    };
    let loose = Scope { hosts: Vec::new(), trust_domains: Vec::new(), strict_paths: false };
    let strict = Scope { strict_paths: true, ..loose.clone() };
    hosts.iter().enumerate().map(scope).chain([loose, strict]).collect()
}

#[derive(Debug, Default)]
struct Counts {
    settled: Cell<usize>,
    matching: Cell<usize>,
    parts: Cell<usize>,
    tried: Cell<usize>,
}

fn add(count: &Cell<usize>, more: usize) {
    count.set(count.get().saturating_add(more));
}

/// Whether what is found of expressions is so on requests.
fn holds(
    sources: &[String],
    combine: Combine,
    scope: &Scope,
    requests: &[&Made],
    counts: &Counts,
) -> Result<(), TestCaseError> {
    let compiled: Result<Vec<Expression>, _> = sources
        .iter()
        .map(|source| {
            Expression::compile(cel::Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        })
        .collect();
    let Ok(expressions) = compiled else {
        return Err(TestCaseError::reject("the check refuses it"));
    };
    let Findings { parts, expressions: of_each, rule } =
        examine(&expressions, combine, scope.known(), &mut Work::default());
    let answer = |request: &Made, expression: &Expression| {
        request.view(Phase::Request, |view| expression.matches(view, &Allowance::whole()).ok())
    };
    let so = |settled: &Settled, answer: Option<bool>| {
        answer.map_or(settled.may_err, |answer| answer == settled.matches)
    };
    for (position, settled) in of_each {
        add(&counts.settled, 1);
        for request in requests {
            add(&counts.tried, 1);
            prop_assert!(
                so(&settled, answer(request, &expressions[position])),
                "{} {settled:?} {scope:?} {request:?}",
                sources[position]
            );
        }
    }
    if let Some(settled) = rule {
        add(&counts.settled, 1);
        add(&counts.matching, usize::from(settled.matches));
        for request in requests {
            add(&counts.tried, 1);
            let decisive = combine == Combine::Any;
            let answers: Vec<Option<bool>> =
                expressions.iter().map(|expression| answer(request, expression)).collect();
            let together = if answers.contains(&Some(decisive)) {
                Some(decisive)
            } else if answers.contains(&None) {
                None
            } else {
                Some(!decisive)
            };
            prop_assert!(
                so(&settled, together),
                "{sources:?} {combine:?} {settled:?} {scope:?} {request:?}: {together:?}"
            );
        }
    }
    // Of one comparison alone, what is said of its value is why it never holds.
    let [source] = sources else { return Ok(()) };
    let alone = !["(", "!", "?"].iter().any(|sign| source.starts_with(sign))
        && !source.contains("!=")
        && !source.contains(" in [");
    if let ([(_, message)], true) = (parts.as_slice(), alone && !source.starts_with("default")) {
        if message.contains("case-sensitive") {
            return Ok(());
        }
        add(&counts.parts, 1);
        for request in requests {
            prop_assert!(
                answer(request, &expressions[0]) != Some(true),
                "{source}: {message} {scope:?} {request:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_found_is_so() {
    let config = Config { cases: RULES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config.clone());
    let requests: Vec<Made> =
        (0..REQUESTS).map(|_| made().new_tree(&mut runner).expect("a request").current()).collect();
    let scopes = scopes();
    let within: Vec<Vec<&Made>> = scopes
        .iter()
        .map(|scope| requests.iter().filter(|request| scope.has(request)).take(100).collect())
        .collect();
    assert!(
        within.iter().all(|requests| requests.len() >= 20),
        "{:?}",
        within.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let counts = Counts::default();
    let sources = prop_oneof![
        3 => rule().prop_map(|rule| vec![rule]),
        1 => proptest::collection::vec(rule(), 2..4),
    ];
    let strategy = (sources, select(&[Combine::All, Combine::Any][..]), 0..scopes.len());
    let outcome = TestRunner::new(config).run(&strategy, |(sources, combine, scope)| {
        holds(&sources, combine, &scopes[scope], &within[scope], &counts)
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    println!("{counts:?}");
    for (count, least) in [(&counts.settled, 150), (&counts.matching, 30), (&counts.parts, 10)] {
        assert!(count.get() >= least, "too little was found to be tried: {counts:?}");
    }
}
