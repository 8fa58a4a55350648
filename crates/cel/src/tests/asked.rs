//! What users of other implementations of CEL expect, and what is different here.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::message::{Scene, TABLE};
use super::{refused, rule};
use crate::meter::Allowance;
use crate::{Expected, Expression, Phase, Scope};

/// Whether a rule meets something that cannot be read, which nothing in it catches.
fn is_unreadable(source: &str) -> bool {
    let compiled =
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule).unwrap();
    Scene::default().view(Phase::Request, |view| {
        let allowance = Allowance::whole();
        _ = compiled.matches(view, &allowance);
        allowance.breached().is_some()
    })
}

#[test]
fn an_element_behind_a_question_mark_is_an_optional() {
    for source in [
        "[?request.headers[?'x-none'], ?optional.of(1)] == [1]",
        "{?'a': optional.of('b'), ?'c': optional.none()} == {'a': 'b'}",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    for source in ["[?1] == [1]", "{?'a': 1} == {}", "[?request.headers['x-none']] == []"] {
        let message = refused(source, Expected::Rule);
        assert!(message.contains("`?` takes an optional here, not "), "{source}: {message}");
    }
    let of_none = "{?'a': {'b': 1}.?b}.a == 'c'";
    assert!(refused(of_none, Expected::Rule).contains("`==` compares int with string"));
    // The type is known only at the request, and nothing catches that it is another.
    for source in ["default([?dyn(1)].size(), 0) == 0", "{?'a': dyn(1)}.size() == 1 || true"] {
        assert!(is_unreadable(source), "{source}");
    }
}

#[test]
fn an_optional_access_to_what_has_no_such_part_is_no_empty_optional() {
    let of = |json: &str, rest: &str| format!("json('{json}'){rest}");
    let list = r#"{"user": [{"admin": true}]}"#;
    let accesses = [
        ".?user.?admin.orValue(false)",
        ".?user[?'admin'].orValue(false)",
        ".?user.admin.orValue(false)",
        "[?'user'].?admin.orValue(false)",
        ".with(j, has(j.?user.admin))",
        ".with(j, default(j.?user.?admin.value(), false))",
        ".with(j, j.?user.?admin.orValue(false) || true)",
    ];
    for access in accesses {
        for json in [list, r#"{"user": "admin"}"#, r#"{"user": 1}"#, r#"{"user": true}"#] {
            assert!(is_unreadable(&of(json, access)), "{json} {access}");
        }
        // A map has it or not, and null has nothing.
        for json in ["{}", r#"{"user": {}}"#, r#"{"user": {"admin": false}}"#] {
            assert!(!is_unreadable(&of(json, access)), "{json} {access}");
        }
    }
    let null = of(r#"{"user": null}"#, ".?user.?admin.orValue(false)");
    assert_eq!(rule(&null), Ok(false));
    for (rest, value) in [("[?0].orValue(7) == 7", false), ("[?1].orValue(7) == 7", true)] {
        assert_eq!(rule(&of(r#"{"a": [1]}"#, &format!(".?a{rest}"))), Ok(value), "{rest}");
    }
    // A key of a type that a list has no elements by is an error, as it is without the optional.
    assert!(rule("json('[1]').with(l, l[?request.path].orValue(1) == 1)").is_err());
}

#[test]
fn numbers_are_compared_by_value_in_lists_and_maps_too() {
    for source in [
        "[1] == [1.0] && dyn([1]) == [1.0] && [[1u]] == [[1]] && [1] != [2u]",
        "{'a': 1} == {'a': 1.0} && {1: 'a'} == {1u: 'a'} && [1.0] in [[1]]",
        "optional.of(1) == optional.of(1.0)",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    for (source, message) in [
        (
            "[1] == ['a']",
            "list(int) with list(string), which are never equal unless both are empty",
        ),
        ("{'a': 1} == {'a': 'b'}", "which are never equal unless both are empty"),
        ("[1] == 1", "`==` compares list(int) with int, which are never equal"),
    ] {
        let found = refused(source, Expected::Rule);
        assert!(found.ends_with(message), "{source}: {found}");
    }
    assert_eq!(rule("dyn([1]).filter(x, x > 1) == ['a'].filter(x, x == '')"), Ok(true));
}

#[test]
fn an_index_at_the_end_of_a_text_or_beyond_is_not_there() {
    for call in
        ["indexOf('a', 3)", "indexOf('a', 4)", "lastIndexOf('a', 3)", "lastIndexOf('a', -1)"]
    {
        let source = format!("'abc'.{call} == -1");
        assert!(rule(&source).is_err(), "{source}");
        assert_eq!(rule(&format!("default('abc'.{call}, -1) == -1")), Ok(true), "{source}");
    }
}

#[test]
fn a_number_as_text_has_no_exponent() {
    for source in [
        "string(1e6) == '1000000' && string(1e21) == '1000000000000000000000'",
        "string(0.000001) == '0.000001' && string(-4.5e-3) == '-0.0045' && string(1.0) == '1'",
        "string(1e300).size() == 301",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn a_leading_dot_is_no_part_of_a_functions_name() {
    for source in [
        ".size('a') == 1 && .math.abs(-1) == 1 && .type(.int('1')) == .int",
        ".request.method == 'GET' && .request.path.startsWith('/repos')",
        ".size([.ip('::1')]) == 1",
        "[1].exists(size, .size('ab') == 2 && size == 1)",
        ".matches(request.path, '^/re') && .size(request.headers) > 0",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    assert!(refused(".has(request.path)", Expected::Rule).contains("it is a macro"));
    assert!(refused(".nope(1) == 1", Expected::Rule).contains("unknown function `nope`"));
}

#[test]
fn macros_of_maps_take_no_lists() {
    for source in
        ["[1].filterKeys(k, true)", "[1].removeKeys(k, true)", "['a'].mapValues(v, v + 'b')"]
    {
        let found = refused(&format!("{source} == {{}}"), Expected::Rule);
        assert!(found.contains("this macro takes a map, not list("), "{source}: {found}");
        let source = source.replacen('[', "dyn([", 1).replacen(']', "])", 1);
        let source = format!("default({source}.size(), 0) == 0");
        assert!(is_unreadable(&source), "{source}");
    }
    assert_eq!(rule("json('{\"a\": 1}').mapValues(v, v + 1) == {'a': 2}"), Ok(true));
    assert_eq!(rule("['a'].transformMap(i, v, v) == {0: 'a'}"), Ok(true));
}

#[test]
fn padding_is_whole_or_left_out() {
    assert_eq!(rule("base64.decode('YQ==') == b'a' && base64.decode('YQ') == b'a'"), Ok(true));
    for text in ["YQ=", "YWI==", "Y===", "=", "YQ=="] {
        let source = format!("default(base64.decode('{text}'), b'') == b'a'");
        assert_eq!(is_unreadable(&source), text != "YQ==", "{text}");
    }
}

#[test]
fn a_list_is_indexed_by_any_whole_number() {
    for source in
        ["[1, 2][1u] == 2 && [1, 2][1.0] == 2", "[1, 2][?1u].value() == 2", "[1, 2][dyn(1u)] == 2"]
    {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    assert!(rule("[1, 2][0.5] == 1").is_err());
}

#[test]
fn has_may_ask_any_map() {
    assert_eq!(rule("!has({1: 1}.a) && !has({}.a) && has({'a': 1}.a)"), Ok(true));
    assert!(refused("{1: 1}.a == 1", Expected::Rule).contains("map(int, int) has no field `a`"));
}

#[test]
fn a_function_goes_before_a_variable_of_its_name() {
    for source in [
        "[optional.of(1)].exists(optional, optional.optMap(x, x + 1).value() == 2)",
        "optional.of(1).optMap(optional, optional + 1).value() == 2",
        "optional.of(1).optFlatMap(optional, optional.of(optional + 1)).value() == 2",
        "[-1].exists(math, math.abs(math) == 1)",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn what_is_not_known_is_named_and_nothing_else() {
    for (source, name) in
        [("jwt.groups.contains('x')", "jwt"), ("conection.a.startsWith('x')", "conection")]
    {
        let found = refused(source, Expected::Rule);
        let start = format!("line 1, column 1: unknown attribute `{name}`");
        assert!(found.starts_with(&start) && !found.contains("function"), "{source}: {found}");
        assert_eq!(found.lines().count(), 1, "{source}: {found}");
    }
    for (source, message) in [
        ("math.contains('x')", "line 1, column 1: unknown function `math.contains`"),
        (
            "string.quote('x') == ''",
            "line 1, column 1: unknown function `string.quote` (did you mean `strings.quote`?)",
        ),
        (
            "'a'.base64Encode() == 'YQ=='",
            "line 1, column 1: unknown function `base64Encode` (did you mean `base64.encode`?)",
        ),
        (
            "base64Decode('YQ==') == b'a'",
            "line 1, column 1: unknown function `base64Decode` (did you mean `base64.decode`?)",
        ),
        (
            "to_json('a') == ''",
            "line 1, column 1: unknown function `to_json` (did you mean `toJson`?)",
        ),
    ] {
        assert_eq!(refused(source, Expected::Rule), message, "{source}");
    }
}

#[test]
fn types_have_the_names_that_other_implementations_give_them() {
    for source in [
        "type(ip('1.2.3.4')) == net.IP && type(cidr('1.2.3.0/24')) == net.CIDR",
        "type(optional.of(1)) == optional_type && type(null) == null_type",
        "type(timestamp(0)) == google.protobuf.Timestamp",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}
