//! Variables: what they are, and what is wrong with them.

#[cfg(not(target_arch = "wasm32"))]
mod generated;

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
fn a_macro_may_use_the_name_where_there_are_no_variables() {
    assert_eq!(rule(&[], "['a'].exists(variables, variables == 'a')"), Ok(true));
    assert_eq!(rule(&[], "[{'ci': 1}].exists(variables, variables.ci == 1)"), Ok(true));
    assert_eq!(
        refused(&[CI], "[{'ci': 1}].exists(variables, variables.ci == 1)"),
        "line 1, column 1: `variables` are those of the configuration: give the macro's another \
         name"
    );
    assert_eq!(
        refused(&[CI], "cel.bind(variables, 1, variables == 1)").lines().next(),
        Some(
            "line 1, column 1: `variables` are those of the configuration: give the macro's \
             another name"
        )
    );
}

#[test]
fn mistakes_name_the_variable_and_its_type() {
    let all = &[CI, TEAM, PARTNERS, CLAIMS];
    for (source, message) in [
        (
            r#"variables.ci == "x""#,
            "line 1, column 1: `==` compares bool with string, which are never equal \
             (`variables.ci` is bool)",
        ),
        (
            "variables.team",
            "line 1, column 1: a rule gives a bool, this gives string (`variables.team` is string)",
        ),
        (
            "true && variables.partners == 'a'",
            "line 1, column 9: `==` compares list(string) with string, which are never equal \
             (`variables.partners` is list(string))",
        ),
        (
            "variables.team && true",
            "line 1, column 1: `&&` takes bools, not string (`variables.team` is string)",
        ),
        (
            "request.path.startsWith(variables.ci)",
            "line 1, column 1: no `string.startsWith(bool)`: expected `string.startsWith(string)` \
             (`variables.ci` is bool)",
        ),
        ("variables.ci.x", "line 1, column 1: `variables.ci` is bool, which has no field `x`"),
        (
            "source.port in variables.partners",
            "line 1, column 1: `in` looks for int in a list of string, where it never is \
             (`variables.partners` is list(string))",
        ),
        (
            "variables.teem == 'a'",
            "line 1, column 1: unknown variable `variables.teem` (did you mean `team`?)",
        ),
        (
            "has(variables.ci)",
            "line 1, column 1: `has` cannot ask for a variable, which is always there: where \
             `variables.ci` may fail, write `default(variables.ci, ...)`",
        ),
        (
            "variables['ci']",
            "line 1, column 1: `variables` is no value of its own: read one, as in \
             `variables.name`",
        ),
        (
            "variables.?ci.orValue(true)",
            "line 1, column 1: `variables` is no value of its own: read one, as in \
             `variables.name`",
        ),
    ] {
        assert_eq!(refused(all, source), message, "{source}");
    }
    assert_eq!(
        refused(&[], "variables.ci"),
        "line 1, column 1: unknown variable `variables.ci`: the configuration has no `variables`"
    );
}

#[test]
fn a_variable_reads_only_earlier_ones_and_holds_a_value() {
    for (variables, message) in [
        (&[("a", "variables.a")][..], "line 1, column 1: `variables.a` reads itself"),
        (
            &[("a", "true && variables.b"), ("b", "true")],
            "line 1, column 9: `variables.b` is declared behind this one: a variable reads only \
             those before it",
        ),
        (
            &[("a", "request.headers")],
            "line 1, column 1: a variable holds no headers: read one of them, as in \
             `request.headers[\"x-team\"]`",
        ),
        (
            &[("a", "[source.identity]")],
            "line 1, column 1: a variable holds no object such as `source.identity`: read one of \
             its attributes",
        ),
        (
            &[("a", "response.code == 200")],
            "line 1, column 1: `response` is not there yet when this is evaluated: only a response \
             transformation can read it",
        ),
        (
            &[("a", "1 +")],
            "line 1, column 4: expected an expression, got the end of the expression",
        ),
    ] {
        assert_eq!(refused(variables, "true"), message, "{variables:?}");
    }
    // What is wrong with a variable is told once.
    assert_eq!(
        refused(&[("a", "nope"), ("b", "variables.a == 1")], "variables.a && variables.b"),
        "line 1, column 1: unknown attribute `nope`"
    );
}

#[test]
fn what_a_variable_cannot_hold_is_refused_at_the_request() {
    for source in ["dyn(request.headers)", "dyn([dyn(source)])", "dyn({'a': dyn(request)})"] {
        let declared = declared(&[("a", source)]);
        let compiled = compile(&declared, "default(variables.a == 1, true)", Expected::Rule);
        scene().view(Phase::Request, |view| {
            let allowance = Allowance::whole();
            let _ = compiled.matches(view, &allowance);
            assert!(allowance.breached().is_some(), "{source}");
        });
    }
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

/// How many steps a rule takes.
fn steps(rule: &Expression, view: &impl crate::attributes::Attributes) -> u64 {
    let allowance = Allowance::whole();
    rule.matches(view, &allowance).unwrap();
    allowance.spent()
}

#[test]
fn a_variable_is_evaluated_once() {
    let declared = declared(&[("loops", "request.headers.exists(n, n == 'x-team')"), CLAIMS]);
    let one = compile(&declared, "variables.loops", Expected::Rule);
    let many = compile(
        &declared,
        "variables.loops && [1, 2, 3, 4].all(n, variables.loops && variables.claims.admin)",
        Expected::Rule,
    );
    scene().view(Phase::Request, |view| {
        let (first, again) = (steps(&one, view), steps(&one, view));
        assert!(again < first / 4, "{first} steps, then {again}");
        let (first, again) = (steps(&many, view), steps(&many, view));
        assert!(again < first, "{first} steps, then {again}");
    });
    scene().view_without_memo(Phase::Request, |view| {
        assert_eq!(steps(&one, view), steps(&one, view));
    });
    // Not even what is random differs within a request.
    let declared = super::tests::declared(&[("id", "uuid()")]);
    let rule = compile(&declared, "variables.id == variables.id", Expected::Rule);
    let value = compile(&declared, "variables.id", Expected::Header);
    scene().view(Phase::Request, |view| {
        assert_eq!(rule.matches(view, &Allowance::whole()), Ok(true));
        let value = || value.header_value(view, &Allowance::whole()).unwrap();
        assert_eq!(value(), value());
    });
}

#[test]
fn a_failure_is_one_wherever_it_is_read() {
    let all =
        &[("role", "request.headers['x-role'].lowerAscii()"), ("admin", "variables.role == 'a'")];
    let declared = declared(all);
    scene().view(Phase::Request, |view| {
        for source in [
            "variables.role == 'a'",
            "variables.admin",
            "!variables.admin",
            "[1].exists(n, variables.admin)",
            "variables.role.size() > 1",
            "[variables.role] == ['a']",
        ] {
            let rule = compile(&declared, source, Expected::Rule);
            let allowance = Allowance::whole();
            for _ in 0..2 {
                let message = rule.matches(view, &allowance).unwrap_err();
                assert_eq!(message, "no such key: x-role", "{source}");
            }
            assert_eq!(allowance.breached(), None, "{source}");
        }
        let caught =
            compile(&declared, "default(variables.role, 'none') == 'none'", Expected::Rule);
        assert_eq!(caught.matches(view, &Allowance::whole()), Ok(true));
    });
}

#[test]
fn what_cannot_be_read_is_a_breach_at_every_use() {
    let declared = declared(&[
        ("bad", "request.headers['x-bad'].lowerAscii()"),
        ("is", "variables.bad == ''"),
    ]);
    scene().view(Phase::Request, |view| {
        for source in [
            "variables.bad == 'a'",
            "default(variables.is, false)",
            "true || variables.is",
            "variables.is || true",
            "[1].exists(n, variables.is || true)",
        ] {
            let rule = compile(&declared, source, Expected::Rule);
            for _ in 0..3 {
                let allowance = Allowance::whole();
                let _ = rule.matches(view, &allowance);
                let settled = source.starts_with("true");
                assert_eq!(allowance.breached().is_none(), settled, "{source}");
            }
        }
    });
}

#[test]
fn an_outcome_that_passed_the_limit_is_not_kept() {
    let declared =
        declared(&[("many", "request.headers.all(a, request.headers.all(b, b != '!'))")]);
    let (rule, caught) = (
        compile(&declared, "variables.many", Expected::Rule),
        compile(&declared, "default(variables.many, true)", Expected::Rule),
    );
    let names: Vec<String> = (0..400).map(|index| format!("x-{index}")).collect();
    let lines = names.iter().map(|name| (name.as_bytes(), &b"a"[..])).collect();
    let scene = Scene { lines, ..Scene::default() };
    scene.view(Phase::Request, |view| {
        for rule in [&rule, &caught, &rule] {
            let allowance = Allowance::whole();
            let _ = rule.matches(view, &allowance);
            assert!(allowance.breached().is_some());
            assert!(allowance.spent() > MAX_STEPS, "{}", allowance.spent());
        }
    });
}

#[test]
fn a_variable_reads_the_message_as_it_came() {
    let scene = Scene { changed: Some((b"x-team", b"Changed")), ..scene() };
    let declared = declared(&[
        TEAM,
        ("plain", "request.headers['x-team']"),
        ("is", "request.headers['x-team'] == 'Payments'"),
        ("size", "request.headers['x-team'].size()"),
    ]);
    for (source, expected) in [
        ("request.headers['x-team'] + '/' + variables.plain", "Changed/Payments"),
        ("variables.team + '/' + request.headers['x-team']", "payments/Changed"),
        ("variables.is ? 'came' : 'changed'", "came"),
        ("[request.headers['x-team'], variables.plain].join('/')", "Changed/Payments"),
        ("string(variables.size)", "8"),
    ] {
        let compiled = compile(&declared, source, Expected::Header);
        let value =
            scene.view(Phase::Request, |view| compiled.header_value(view, &Allowance::whole()));
        assert_eq!(value, Ok(expected.as_bytes().to_vec()), "{source}");
        // The parts of an explanation as well.
        let scope = Scope { table: &TABLE, variables: &declared };
        let whole = Explainable::of(source, scope).unwrap();
        let step = scene.view(Phase::Request, |view| whole.explain(view, Value::NotNeeded));
        let shown = format!("{step:?}");
        assert!(!shown.contains("Error"), "{source}: {shown}");
        if source.contains("variables.plain") {
            assert!(shown.contains(r#"Known("\"Payments\"")"#), "{source}: {shown}");
        }
    }
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

#[test]
fn what_is_written_out_is_bounded() {
    // Twice the one before, 64 times.
    let mut declared = Variables::declare((0..64).map(|index| format!("v{index}")));
    let mut errors =
        declared.define(&TABLE, "request.method == 'GET'").err().into_iter().collect::<Vec<_>>();
    for index in 1..64 {
        let before = index - 1;
        let source = format!("variables.v{before} && variables.v{before}");
        errors.extend(declared.define(&TABLE, &source).err());
    }
    let mut errors: Vec<String> = errors.iter().flatten().map(ExprError::to_string).collect();
    // One that is wrong counts as nothing where others read it.
    assert!(errors.len() < 8, "{errors:#?}");
    errors.dedup();
    assert_eq!(
        errors,
        [
            "line 1, column 1: the expression has more than 10000 parts, with the expressions of its \
          variables in their place: shorten the variables, or read them less often"
        ]
    );
    // As deep as can be, and deeper.
    let mut deep = Variables::declare((0..64).map(|index| format!("v{index}")));
    let mut errors = Vec::new();
    for index in 0..64_usize {
        let source = match index.checked_sub(1) {
            None => "true".to_owned(),
            Some(before) => format!("!(true && (false || variables.v{before}))"),
        };
        errors.extend(deep.define(&TABLE, &source).err().into_iter().flatten());
    }
    let told = "the variables and macros of the expression make it nested 154 deep (a variable \
                counts 6 levels more), the limit is 144";
    assert_eq!(errors[0].message, told);
    // Loops in loops.
    assert!(
        refused(&[("a", "[1].all(a, [1].all(b, true))"), ("b", "[1].all(a, variables.a)")], "true")
            .contains("nested 3 deep, the limit is 2, with the expressions of its variables"),
    );
}

#[test]
fn the_deepest_variables_are_evaluated() {
    // All are left to the interpreter, each within the next, as deep as is accepted.
    let mut deep = Variables::declare((0..64).map(|index| format!("v{index}")));
    let mut last = 0;
    for index in 0..64_usize {
        let source = match index.checked_sub(1) {
            None => "dyn(size([1]) == 1)".to_owned(),
            Some(before) => format!("variables.v{before}"),
        };
        if deep.define(&TABLE, &source).is_err() {
            break;
        }
        last = index;
    }
    assert_eq!(last, 17);
    // One more level would be too much.
    let rule = compile(&deep, &format!("variables.v{}", last - 1), Expected::Rule);
    for _ in 0..2 {
        scene().view(Phase::Request, |view| {
            assert_eq!(rule.matches(view, &Allowance::whole()), Ok(true));
        });
        scene().view_without_memo(Phase::Request, |view| {
            assert_eq!(rule.matches(view, &Allowance::whole()), Ok(true));
        });
    }
}

#[test]
fn all_expressions_are_bounded_together() {
    let list: Vec<String> = (0..1_000).map(|_| "1".to_owned()).collect();
    let declared = declared(&[("list", &format!("[{}]", list.join(",")))]);
    let scope = Scope { table: &TABLE, variables: &declared };
    let uses = vec!["size(variables.list) > 0"; 9].join(" && ");
    let compile = || Expression::compile(scope, &uses, Phase::Request, Expected::Rule);
    let mut errors = Vec::new();
    for _ in 0..500 {
        errors.extend(compile().err().into_iter().flatten());
    }
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains("more than 4000000 parts in all"), "{}", errors[0]);
}

#[test]
fn variables_that_nothing_reads_are_known() {
    let declared =
        declared(&[("a", "true"), ("b", "variables.a"), ("c", "1"), ("d", "variables.b")]);
    assert_eq!(declared.unused(), [0, 1, 2, 3]);
    compile(&declared, "variables.b", Expected::Rule);
    assert_eq!(declared.unused(), [2, 3]);
}
