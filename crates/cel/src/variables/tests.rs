//! Variables: what they are, and what is wrong with them.

mod evaluation;
#[cfg(not(target_arch = "wasm32"))]
mod generated;
mod mistakes;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Expected;
use crate::explain::{Explainable, Value};
use crate::guard::Wanted;
use crate::limits::MAX_STEPS;
use crate::meter::Allowance;
use crate::tests::message::{Line, Scene, TABLE};

const LINES: &[Line<'_>] = &[
    (b":method", b"GET"),
    (b":authority", b"api.github.com"),
    (b":path", b"/repos/a/b?x=1"),
    (b"x-team", b"Payments"),
    (b"x-bad", b"\xff"),
    (b"x-claims", br#"{"sub": "alice", "admin": true, "level": 3, "roles": ["a", "b"]}"#),
];

fn scene() -> Scene<'static> {
    Scene {
        lines: LINES.to_vec(),
        caller: b"spiffe://cluster.local/ns/ci-build/sa/runner",
        ..Scene::default()
    }
}

/// Variables of these names and sources.
fn declared(variables: &[(&str, &str)]) -> Variables {
    let mut declared = Variables::declare(variables.iter().map(|(name, _)| (*name).to_owned()));
    for (name, source) in variables {
        declared.define(&TABLE, source).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
    }
    declared
}

fn compile(variables: &Variables, source: &str, expected: Expected) -> Expression {
    Expression::compile(Scope { table: &TABLE, variables }, source, Phase::Request, expected)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"))
}

fn rule(variables: &[(&str, &str)], source: &str) -> Result<bool, String> {
    let compiled = compile(&declared(variables), source, Expected::Rule);
    scene().view(Phase::Request, |view| compiled.matches(view, &Allowance::whole()))
}

fn value(variables: &[(&str, &str)], source: &str) -> Result<String, String> {
    let compiled = compile(&declared(variables), source, Expected::Header);
    let value =
        scene().view(Phase::Request, |view| compiled.header_value(view, &Allowance::whole()));
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// The errors of the last variable, or where that is right, of an expression.
fn refused(variables: &[(&str, &str)], source: &str) -> String {
    let mut declared = Variables::declare(variables.iter().map(|(name, _)| (*name).to_owned()));
    let mut errors = Vec::new();
    for (_, source) in variables {
        errors.extend(declared.define(&TABLE, source).err().into_iter().flatten());
    }
    let scope = Scope { table: &TABLE, variables: &declared };
    let compiled = Expression::compile(scope, source, Phase::Request, Expected::Rule);
    errors.extend(compiled.err().into_iter().flatten());
    errors.iter().map(ExprError::to_string).collect::<Vec<_>>().join("\n")
}

const CI: (&str, &str) = ("ci", r#"source.identity.namespace.startsWith("ci-")"#);
const TEAM: (&str, &str) = ("team", r#"request.headers["x-team"].lowerAscii()"#);
const PARTNERS: (&str, &str) = ("partners", r#"["api.github.com", "api.gitlab.com"]"#);
const CLAIMS: (&str, &str) = ("claims", r#"json(request.headers["x-claims"])"#);

#[test]
fn a_variable_stands_for_its_expression() {
    let all = &[CI, TEAM, PARTNERS, CLAIMS, ("port", "443"), ("pattern", "'^/repos/'")];
    for source in [
        "variables.ci",
        ".variables.ci",
        "variables.ci && request.method == 'GET'",
        "!variables.ci || variables.team == 'payments'",
        "variables.team == 'payments'",
        "'payments' == variables.team",
        "variables.team.startsWith('pay')",
        "variables.team in ['a', 'payments']",
        "request.host in variables.partners",
        "!('x' in variables.partners)",
        "variables.partners.exists(p, p == request.host)",
        "variables.partners[1] == 'api.gitlab.com' && size(variables.partners) == 2",
        "request.headers.exists(n, n == 'x-team' && variables.ci)",
        "[1, 2].all(n, n > 0 && variables.team == 'payments')",
        "variables.claims.admin",
        "variables.claims.sub == 'alice' && variables.claims['level'] == 3",
        "'b' in variables.claims.roles",
        "variables.port == 443 && variables.port + 1 == 444",
        "request.path.matches(variables.pattern)",
        "default(variables.ci, false)",
        "variables.team.with(t, t == 'payments' && variables.ci)",
        "default(variables.claims.none, 'x') == 'x'",
    ] {
        assert_eq!(rule(all, source), Ok(true), "{source}");
    }
    assert_eq!(value(all, "variables.team"), Ok("payments".to_owned()));
    assert_eq!(
        value(all, "variables.team + '/' + string(variables.port)").unwrap(),
        "payments/443"
    );
    assert_eq!(
        value(all, "variables.partners.join(',')").unwrap(),
        "api.github.com,api.gitlab.com"
    );
    assert_eq!(value(all, "string(variables.claims.sub)").unwrap(), "alice");
}

#[test]
fn a_variable_may_be_of_any_type() {
    for (source, rule) in [
        ("timestamp('2026-12-24T00:00:00Z')", "variables.a.getFullYear() == 2026"),
        ("duration('90m')", "variables.a == duration('1h30m')"),
        ("ip('10.0.0.7')", "cidr('10.0.0.0/8').containsIP(variables.a)"),
        ("cidr('10.0.0.0/8')", "variables.a.containsIP(ip('10.0.0.7'))"),
        ("b'abc'", "variables.a == b'abc'"),
        ("1.5", "variables.a > 1.0"),
        ("2u", "variables.a == 2u"),
        ("null", "variables.a == null"),
        ("type(1)", "variables.a == int"),
        ("{'a': [1, {'b': request.method}]}", "variables.a.a[1].b == 'GET'"),
        ("{1: 'x', true: 'y'}", "variables.a[1] == 'x' && variables.a[true] == 'y'"),
        ("optional.of('x')", "variables.a.orValue('y') == 'x'"),
        ("request.headers[?'x-none']", "!variables.a.hasValue()"),
        ("size(request.path)", "variables.a > 3 && [variables.a][0] < 100"),
        ("json(request.headers['x-claims'])", "variables.a.roles == ['a', 'b']"),
    ] {
        let declared = declared(&[("a", source)]);
        let rule = compile(&declared, rule, Expected::Rule);
        scene().view(Phase::Request, |view| {
            for _ in 0..2 {
                assert_eq!(rule.matches(view, &Allowance::whole()), Ok(true), "{source}");
            }
        });
    }
}

#[test]
fn a_value_of_a_record_reads_variables() {
    let declared = declared(&[CLAIMS, TEAM]);
    for (source, json) in
        [("variables.claims.roles", r#"["a","b"]"#), ("variables.team", r#""payments""#)]
    {
        let value = compile(&declared, source, Expected::Any);
        let recorded =
            scene().view(Phase::Request, |view| value.recorded(view, &Allowance::whole()));
        assert_eq!(recorded.unwrap().unwrap().json, json);
    }
}

#[test]
fn a_later_variable_reads_earlier_ones() {
    let all = &[
        CI,
        ("reads", "request.method in ['GET', 'HEAD']"),
        ("quiet", "variables.ci && variables.reads"),
        ("loud", "!variables.quiet || [1].exists(n, variables.quiet)"),
        ("list", "[variables.loud, variables.ci]"),
    ];
    assert_eq!(rule(all, "variables.quiet && variables.loud"), Ok(true));
    assert_eq!(rule(all, "variables.list == [true, true] && variables.list[0]"), Ok(true));
}

#[test]
fn a_guard_is_found_in_a_variable() {
    let declared = declared(&[
        ("namespace", "source.identity.namespace"),
        ("team", "'payments'"),
        ("teams", "['payments', 'billing']"),
        ("is_team", "variables.namespace == variables.team"),
        ("api", "request.path.startsWith('/api/')"),
    ]);
    for (source, name, values) in [
        ("variables.is_team && request.method == 'GET'", "source.identity.namespace", 1),
        ("!(!variables.is_team)", "source.identity.namespace", 1),
        ("variables.namespace in variables.teams", "source.identity.namespace", 2),
        ("source.identity.namespace in variables.teams", "source.identity.namespace", 2),
        ("variables.namespace == 'x'", "source.identity.namespace", 1),
        ("variables.is_team || variables.namespace == 'x'", "source.identity.namespace", 2),
        ("variables.api", "request.path", 1),
    ] {
        let guards = compile(&declared, source, Expected::Rule).guards(false);
        let guard = guards
            .iter()
            .find(|guard| TABLE.id(name) == Some(guard.attribute))
            .unwrap_or_else(|| panic!("{source}: {guards:?}"));
        assert_eq!(guard.values.len(), values, "{source}");
    }
    let guards = compile(&declared, "variables.is_team", Expected::Rule).guards(false);
    assert_eq!(guards[0].values, [Wanted::Exactly("payments".into())]);
}

#[test]
fn what_it_reads_is_what_its_variables_read() {
    let declared = declared(&[TEAM, ("session", "request.headers.cookie('s') == 'a'")]);
    let source = r#"variables.session && [1].exists(n, variables.team == "a")"#;
    let written =
        r#"request.headers.cookie('s') == 'a' && request.headers["x-team"].lowerAscii() == "a""#;
    let (read, written) = (
        compile(&declared, source, Expected::Rule),
        compile(&Variables::default(), written, Expected::Rule),
    );
    assert_eq!(read.uses(), written.uses());
}

#[test]
fn an_explanation_shows_a_variable_with_its_source() {
    let declared = declared(&[CI, ("quiet", "variables.ci && request.method == 'GET'"), PARTNERS]);
    let scope = Scope { table: &TABLE, variables: &declared };
    let whole = Explainable::of("!variables.quiet || request.host in variables.partners", scope);
    let step = scene().view(Phase::Request, |view| whole.unwrap().explain(view, Value::NotNeeded));
    let not = &step.parts[0];
    let quiet = &not.parts[0];
    assert_eq!((&*not.source, &*quiet.source), ("!variables.quiet", "variables.quiet"));
    assert_eq!(quiet.value, Value::Known("true".to_owned()));
    let written = &quiet.parts[0];
    assert_eq!(written.source, "variables.ci && request.method == 'GET'");
    let ci = &written.parts[0];
    assert_eq!((&*ci.source, &*ci.parts[0].source), ("variables.ci", CI.1));
    assert_eq!(ci.parts[0].parts[0].source, "source.identity.namespace");
    assert_eq!(ci.parts[0].parts[0].value, Value::Known("\"ci-build\"".to_owned()));
    let partners = &step.parts[1].parts[1];
    assert_eq!(partners.source, "variables.partners");
    assert_eq!(partners.value, Value::Known(r#"["api.github.com", "api.gitlab.com"]"#.to_owned()));
}
