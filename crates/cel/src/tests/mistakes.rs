//! Expressions that are refused when they are compiled, and the reasons.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{refused, rule};
use crate::*;

#[test]
fn mistakes_are_found_when_it_loads() {
    for (source, message) in [
        (
            r#"source.identty.namespace == "a""#,
            "line 1, column 1: unknown attribute `source.identty` (did you mean \
             `source.identity`?)",
        ),
        (
            r#"source["identity.namespace"] == "a""#,
            "line 1, column 1: unknown attribute `source.identity.namespace`: expected one of \
             `source.identity`, `source.spiffeId`, `source.address`, `source.port`",
        ),
        (
            r#"true && source.identity.name == "a""#,
            "line 1, column 9: unknown attribute `source.identity.name`: expected one of \
             `source.identity.trustDomain`, `source.identity.namespace`, \
             `source.identity.serviceAccount`",
        ),
        (
            "true &&\n  requst.path == \"a\"",
            "line 2, column 3: unknown attribute `requst` (did you mean `request`?)",
        ),
        (
            r#"jwt.sub == "a""#,
            "line 1, column 1: unknown attribute `jwt`: expected one of `source`, `request`, \
             `destination`, `extauthz`, or a text in quotes",
        ),
        (
            r#"request.method == GET"#,
            "line 1, column 19: unknown attribute `GET`: expected one of `source`, `request`, \
             `destination`, `extauthz`, or a text in quotes",
        ),
        (
            r#"source.namespace == "a""#,
            "line 1, column 1: unknown attribute `source.namespace` (did you mean \
             `source.identity.namespace`?)",
        ),
        (
            "response.code == 200",
            "line 1, column 1: `response` is not there yet when this is evaluated: only a response \
             transformation can read it",
        ),
        (
            r#"request.path.startWith("/")"#,
            "line 1, column 1: unknown function `startWith` (did you mean `startsWith`?)",
        ),
        (
            r#"startsWith(request.path, "/")"#,
            "line 1, column 1: unknown function `startsWith`: it is called on a value, \
             `x.startsWith(...)`",
        ),
        (
            "request.path.startsWith(1)",
            "line 1, column 1: no `string.startsWith(int)`: expected `string.startsWith(string)`",
        ),
        (
            "request.path == 1",
            "line 1, column 1: `==` compares string with int, which are never equal",
        ),
        ("request.path", "line 1, column 1: a rule gives a bool, this gives string"),
        ("\"true\"", "line 1, column 1: a rule gives a bool, this gives string"),
        ("request.path && true", "line 1, column 1: `&&` takes bools, not string"),
        (
            r#"request.path in ["a", "b"] || source.port in ["a"]"#,
            "line 1, column 31: `in` looks for int in a list of string, where it never is",
        ),
        (
            r#"request.path.x == "a""#,
            "line 1, column 1: `request.path` is string, which has no field `x`",
        ),
        (
            r#"request.path.matches("(")"#,
            "line 1, column 22: the pattern cannot be read: unclosed group",
        ),
        (
            r#"request.path.matches("a(?=b)")"#,
            "line 1, column 22: the pattern cannot be read: look-around, including look-ahead and \
             look-behind, is not supported",
        ),
        (
            r#"request.headers == {"a": "b"}"#,
            "line 1, column 1: `==` does not compare headers as a whole: compare single ones",
        ),
        (
            "source == request",
            "line 1, column 1: `==` does not compare `source` as a whole: compare its attributes",
        ),
        (
            r#""a" + 1 == "a1""#,
            "line 1, column 1: `+` does not take string and int: put `string(...)` around the \
             latter",
        ),
        (
            r#"request.headers.x-team-id == "a""#,
            "line 1, column 1: `-` takes something away from `request.headers.x`: a header whose \
             name has one is `request.headers[\"x-team-id\"]`",
        ),
        (
            "source.port - method > 1",
            "line 1, column 15: unknown attribute `method`: expected one of `source`, `request`, \
             `destination`, `extauthz`, or a text in quotes",
        ),
        (
            "Msg{f: 1} == 1",
            "line 1, column 1: no message can be made here: `Msg` is no type of this filter",
        ),
        (
            "[1].all(x, [1].all(y, [1].all(z, true)))",
            "line 1, column 1: macros such as `all` and `map` are nested 3 deep, the limit is 2",
        ),
        (
            "all(1)",
            "line 1, column 1: unknown function `all`: it is a macro, called with other arguments",
        ),
        (
            r#"default(request.nope, "x") == "x""#,
            "line 1, column 9: unknown attribute `request.nope`: expected one of `request.method`, \
             `request.scheme`, `request.host`, `request.path`, `request.pathAndQuery`, \
             `request.version`, `request.headers`, `request.body`, `request.id`, \
             `request.startTime`",
        ),
    ] {
        assert_eq!(refused(source, Expected::Rule), message, "{source}");
    }
    assert_eq!(
        refused("source.port", Expected::Header),
        "line 1, column 1: a header's value is a string or bytes, this gives int: put \
         `string(...)` around it"
    );
}

#[test]
fn all_mistakes_of_an_expression_are_told() {
    let message = refused(r#"source.nope == "a" && request.nope == "b""#, Expected::Rule);
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    for source in [
        "",
        " ",
        "request.path ==",
        "1 +",
        "(",
        "request.path == 'a",
        "a b",
        "\"\\q\" == \"a\"",
        "== 1",
        "\u{0}",
        "true; false",
        "if",
        "#",
    ] {
        let message = refused(source, Expected::Rule);
        assert!(message.starts_with("line 1, column "), "{source:?}: {message}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for source in [
        vec!["1"; 2000].join("+"),
        format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        format!("request{} == 1", ".a".repeat(2000)),
        format!("{}true", "true ? false : ".repeat(250)),
        format!("\"{}\" == \"\"", "a".repeat(5000)),
    ] {
        let message = refused(&source, Expected::Rule);
        assert!(
            message.contains("the limit is"),
            "{}: {message}",
            source.get(..20).unwrap_or_default()
        );
    }
    let deepest = vec!["1"; limits::MAX_DEPTH - 1].join("+");
    assert_eq!(rule(&format!("{deepest} > 0")), Ok(true), "as deep as it may be");
}

#[test]
fn nested_defaults_do_not_double_without_end() {
    let nested = |levels: usize| {
        format!("{}request.path{} == 'x'", "default(".repeat(levels), ", 'a')".repeat(levels))
    };
    assert_eq!(rule(&nested(4)), Ok(false));
    assert!(
        refused(&nested(24), Expected::Rule)
            .contains("the first argument of `default` is evaluated twice")
    );
    let chained =
        format!("{}'x'{} == '/repos/a'", "default(request.path, ".repeat(20), ")".repeat(20));
    assert_eq!(rule(&chained), Ok(true), "the second argument may nest");
}
