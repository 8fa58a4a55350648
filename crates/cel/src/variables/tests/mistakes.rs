//! What is refused when a configuration loads, and limits.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

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
        (
            &[("a", "variables.a")][..],
            "line 1, column 1: `variables.a` reads itself: take it out of its own expression",
        ),
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
        "line 1, column 1: unknown attribute `nope`: expected one of `source`, `request`, \
         `destination`, `extauthz`, or a text in quotes"
    );
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
        ["line 1, column 1: the expression has more than 10000 parts, with the expressions of \
          its variables in their place: shorten the variables, or read them less often"]
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
fn all_expressions_are_bounded_together() {
    let list: Vec<String> = (0..1_000).map(|_| "1".to_owned()).collect();
    let declared = declared(&[("list", &format!("[{}]", list.join(",")))]);
    let scope = Scope { table: &TABLE, variables: &declared };
    let uses = ["size(variables.list) > 0"; 9].join(" && ");
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
