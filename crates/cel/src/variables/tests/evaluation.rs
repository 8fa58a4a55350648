//! When variables are evaluated, and what is kept of it.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

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
    let declared = super::declared(&[("id", "uuid()")]);
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
