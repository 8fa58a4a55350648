#![expect(clippy::arithmetic_side_effects, reason = "what a test counts stays small")]

#[cfg(not(target_arch = "wasm32"))]
mod parts_give_the_whole;

use super::*;
use crate::tests::message::{Scene, TABLE};
use crate::{Expected, Expression, Phase, Scope};

/// A request of team-b with a header `x-role` on two lines.
fn scene() -> Scene<'static> {
    Scene {
        lines: vec![
            (b":method", b"GET"),
            (b":authority", b"api.github.com"),
            (b":path", b"/zen?x=1"),
            (b"x-role", b"guest"),
            (b"x-list", b"b, a,,c"),
            (b"x-odd", b"\xff"),
        ],
        caller: b"spiffe://cluster.local/ns/team-b/sa/team-b",
        ..Scene::default()
    }
}

fn explained(source: &str, phase: Phase) -> Step {
    let expected =
        if Expression::compile(Scope::of(&TABLE), source, phase, Expected::Header).is_ok() {
            Expected::Header
        } else {
            Expected::Rule
        };
    let compiled = Expression::compile(Scope::of(&TABLE), source, phase, expected)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let explainable = Explainable::of(source, Scope::of(&TABLE)).expect(source);
    scene().view(phase, |view| {
        let value = match expected {
            Expected::Rule => {
                compiled.matches(view, &Allowance::whole()).map(|value| value.to_string())
            }
            _ => compiled.header_value(view, &Allowance::whole()).map(|value| of_bytes(&value)),
        };
        explainable.explain(view, value.map_or_else(Value::Error, Value::Known))
    })
}

/// One line for each step: its depth in dots, variables, source and value.
fn lines(step: &Step) -> Vec<String> {
    fn write(step: &Step, depth: usize, lines: &mut Vec<String>) {
        let variables: Vec<String> =
            step.variables.iter().map(|one| format!("{} = {}", one.name, one.value)).collect();
        let variables = if variables.is_empty() {
            String::new()
        } else {
            format!("[{}] ", variables.join(", "))
        };
        let value = match &step.value {
            Value::Known(value) => value.clone(),
            Value::Error(message) => format!("error: {message}"),
            Value::NotNeeded => "not needed".to_owned(),
            Value::Varies => "varies".to_owned(),
        };
        lines.push(format!("{}{variables}{} => {value}", ".".repeat(depth), step.source));
        for part in &step.parts {
            write(part, depth + 1, lines);
        }
        if step.omitted > 0 {
            lines.push(format!("{}{} more", ".".repeat(depth + 1), step.omitted));
        }
    }
    let mut found = Vec::new();
    write(step, 0, &mut found);
    found
}

#[track_caller]
fn shows(source: &str, expected: &[&str]) {
    assert_eq!(lines(&explained(source, Phase::Request)), expected, "{source}");
}

#[test]
fn operands_that_do_not_matter_are_not_needed() {
    shows(
        r#"source.identity.namespace == "team-a" && source.identity.serviceAccount == "team-a""#,
        &[
            concat!(
                r#"source.identity.namespace == "team-a" && source.identity.serviceAccount == "#,
                r#""team-a" => false"#,
            ),
            r#".source.identity.namespace == "team-a" => false"#,
            r#"..source.identity.namespace => "team-b""#,
            r#".source.identity.serviceAccount == "team-a" => not needed"#,
        ],
    );
    shows(
        concat!(
            r#"request.path == "/" || (request.path.startsWith("/zen") || true) || "#,
            r#"request.method == "GET""#,
        ),
        &[
            concat!(
                r#"request.path == "/" || (request.path.startsWith("/zen") || true) || "#,
                r#"request.method == "GET" => true"#,
            ),
            r#".request.path == "/" => false"#,
            r#"..request.path => "/zen""#,
            r#".request.path.startsWith("/zen") => true"#,
            r#"..request.path => "/zen""#,
            r#".request.method == "GET" => not needed"#,
        ],
    );
    shows(
        r#"!(request.method == "GET") ? request.path == "/a" : request.path == "/zen""#,
        &[
            r#"!(request.method == "GET") ? request.path == "/a" : request.path == "/zen" => true"#,
            r#".!(request.method == "GET") => false"#,
            r#"..request.method == "GET" => true"#,
            r#"...request.method => "GET""#,
            r#".request.path == "/a" => not needed"#,
            r#".request.path == "/zen" => true"#,
            r#"..request.path => "/zen""#,
        ],
    );
}

#[test]
fn an_error_is_shown_where_it_is_made_and_where_it_ends() {
    shows(
        concat!(
            r#"request.headers["x-none"] == "a" || request.headers["x-odd"] == "b" || "#,
            r#"has(source.identity)"#,
        ),
        &[
            concat!(
                r#"request.headers["x-none"] == "a" || request.headers["x-odd"] == "b" || "#,
                r#"has(source.identity) => true"#,
            ),
            r#".request.headers["x-none"] == "a" => error: no such key: x-none"#,
            r#"..request.headers["x-none"] => error: no such key: x-none"#,
            r#".request.headers["x-odd"] == "b" => error: error in `x-odd`"#,
            r#"..request.headers["x-odd"] => error: error in `x-odd`"#,
            ".has(source.identity) => true",
        ],
    );
    shows(
        r#"default(request.headers["x-none"], default(request.headers.role, "none")) + uuid()"#,
        &[
            concat!(
                r#"default(request.headers["x-none"], default(request.headers.role, "none")) + "#,
                r#"uuid() => varies"#,
            ),
            concat!(
                r#".default(request.headers["x-none"], default(request.headers.role, "none")) => "#,
                r#""none""#,
            ),
            r#"..request.headers["x-none"] => error: no such key: x-none"#,
            r#"..default(request.headers.role, "none") => "none""#,
            "...request.headers.role => error: no such key: role",
            ".uuid() => varies",
        ],
    );
    shows(
        r#"default(dyn(null), request.method) == "GET""#,
        &[
            r#"default(dyn(null), request.method) == "GET" => true"#,
            r#".default(dyn(null), request.method) => "GET""#,
            "..dyn(null) => null",
            r#"..request.method => "GET""#,
        ],
    );
    shows(
        r#"default(request.headers["x-role"], request.method)"#,
        &[
            r#"default(request.headers["x-role"], request.method) => "guest""#,
            r#".request.headers["x-role"] => "guest""#,
            ".request.method => not needed",
        ],
    );
}

#[test]
fn a_loop_shows_its_turns() {
    shows(
        r#"request.headers.exists(n, n.startsWith("x-") && request.headers[n] == "guest")"#,
        &[
            concat!(
                r#"request.headers.exists(n, n.startsWith("x-") && request.headers[n] == "#,
                r#""guest") => true"#,
            ),
            concat!(
                r#".request.headers => {"host": "api.github.com", "x-list": "b, a,,c", "x-odd": "#,
                r#"..., "x-role": "guest"}"#,
            ),
            r#".[n = "host"] n.startsWith("x-") && request.headers[n] == "guest" => false"#,
            r#"..n.startsWith("x-") => false"#,
            r#"..request.headers[n] == "guest" => not needed"#,
            r#".[n = "x-role"] n.startsWith("x-") && request.headers[n] == "guest" => true"#,
            r#"..n.startsWith("x-") => true"#,
            r#"..request.headers[n] == "guest" => true"#,
            r#"...request.headers[n] => "guest""#,
        ],
    );
    shows(
        r#"[1, 2].exists_one(i, i == 2) == (request.path == "/zen")"#,
        &[
            r#"[1, 2].exists_one(i, i == 2) == (request.path == "/zen") => true"#,
            ".[1, 2].exists_one(i, i == 2) => true",
            "..[i = 1] i == 2 => false",
            "..[i = 2] i == 2 => true",
            r#".request.path == "/zen" => true"#,
            r#"..request.path => "/zen""#,
        ],
    );
    shows(
        r#"request.headers["x-list"].split(",").map(p, p.trim()).filter(p, p != "").join("+")"#,
        &[
            concat!(
                r#"request.headers["x-list"].split(",").map(p, p.trim()).filter(p, p != "#,
                r#""").join("+") => "b+a+c""#,
            ),
            concat!(
                r#".request.headers["x-list"].split(",").map(p, p.trim()).filter(p, p != "") => "#,
                r#"["b", "a", "c"]"#,
            ),
            r#"..request.headers["x-list"].split(",").map(p, p.trim()) => ["b", "a", "", "c"]"#,
            r#"...request.headers["x-list"].split(",") => ["b", " a", "", "c"]"#,
            r#"....request.headers["x-list"] => "b, a,,c""#,
            r#"...[p = "b"] p.trim() => "b""#,
            r#"...[p = " a"] p.trim() => "a""#,
            r#"...[p = ""] p.trim() => """#,
            r#"...[p = "c"] p.trim() => "c""#,
            r#"..[p = "b"] p != "" => true"#,
            r#"..[p = "a"] p != "" => true"#,
            r#"..[p = ""] p != "" => false"#,
            r#"..[p = "c"] p != "" => true"#,
        ],
    );
}

#[test]
fn of_a_long_loop_the_first_turns_are_shown_and_the_last() {
    let step = explained(
        concat!(
            r#"request.path.split("").size() == 4 && "abcdefghijklmnop".split("").exists(c, "#,
            r#"request.method == "GET" && c == "m")"#,
        ),
        Phase::Request,
    );
    let turns = &step.parts[1];
    assert_eq!(turns.value, Value::Known("true".to_owned()));
    let shown: Vec<&str> =
        turns.parts[1..].iter().map(|turn| turn.variables[0].value.as_str()).collect();
    assert_eq!(
        shown,
        ["\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\"", "\"f\"", "\"g\"", "\"h\"", "\"m\""]
    );
    assert_eq!(turns.omitted, 4);
}

#[test]
fn loops_with_two_variables_and_maps_show_each() {
    shows(
        r#"{"b": request.method, "a": "x"}.transformMap(k, v, v == "x", v + k) == {"a": "xa"}"#,
        &[
            concat!(
                r#"{"b": request.method, "a": "x"}.transformMap(k, v, v == "x", v + k) == {"a": "#,
                r#""xa"} => true"#,
            ),
            concat!(
                r#".{"b": request.method, "a": "x"}.transformMap(k, v, v == "x", v + k) => {"a": "#,
                r#""xa"}"#,
            ),
            r#"..{"b": request.method, "a": "x"} => {"a": "x", "b": "GET"}"#,
            r#"...request.method => "GET""#,
            r#"..[k = "a", v = "x"] v + k => "xa""#,
            r#"...v == "x" => true"#,
            r#"..[k = "b", v = "GET"] v == "x" => false"#,
        ],
    );
    shows(
        r#"[request.method].all(i, m, i == 0 && m == "GET")"#,
        &[
            r#"[request.method].all(i, m, i == 0 && m == "GET") => true"#,
            r#".[request.method] => ["GET"]"#,
            r#"..request.method => "GET""#,
            r#".[i = 0, m = "GET"] i == 0 && m == "GET" => true"#,
            "..i == 0 => true",
            r#"..m == "GET" => true"#,
        ],
    );
    shows(
        r#"{"a": request.method}.mapValues(v, v.lowerAscii()).a == "get""#,
        &[
            r#"{"a": request.method}.mapValues(v, v.lowerAscii()).a == "get" => true"#,
            r#".{"a": request.method}.mapValues(v, v.lowerAscii()).a => "get""#,
            r#"..{"a": request.method}.mapValues(v, v.lowerAscii()) => {"a": "get"}"#,
            r#"...{"a": request.method} => {"a": "GET"}"#,
            r#"....request.method => "GET""#,
            r#"...[v = "GET"] v.lowerAscii() => "get""#,
        ],
    );
}

#[test]
fn bound_variables_have_their_values() {
    shows(
        r#"request.method.with(m, m == "GET" || m == "HEAD")"#,
        &[
            r#"request.method.with(m, m == "GET" || m == "HEAD") => true"#,
            r#".request.method => "GET""#,
            r#".[m = "GET"] m == "GET" || m == "HEAD" => true"#,
            r#"..m == "GET" => true"#,
            r#"..m == "HEAD" => not needed"#,
        ],
    );
    shows(
        concat!(
            r#"request.headers[?"x-role"].optMap(r, r + "!").orValue("none") + "#,
            r#"request.headers[?"x-no"].optMap(r, r + "!").orValue("-")"#,
        ),
        &[
            concat!(
                r#"request.headers[?"x-role"].optMap(r, r + "!").orValue("none") + "#,
                r#"request.headers[?"x-no"].optMap(r, r + "!").orValue("-") => "guest!-""#,
            ),
            r#".request.headers[?"x-role"].optMap(r, r + "!").orValue("none") => "guest!""#,
            r#"..request.headers[?"x-role"].optMap(r, r + "!") => optional.of("guest!")"#,
            r#"...request.headers[?"x-role"] => optional.of("guest")"#,
            r#"...[r = "guest"] r + "!" => "guest!""#,
            r#".request.headers[?"x-no"].optMap(r, r + "!").orValue("-") => "-""#,
            r#"..request.headers[?"x-no"].optMap(r, r + "!") => optional.none()"#,
            r#"...request.headers[?"x-no"] => optional.none()"#,
            r#"...r + "!" => not needed"#,
        ],
    );
}

#[test]
fn values_are_written_as_cel_writes_them() {
    for (source, expected) in [
        ("dyn(1u)", "1u"),
        ("dyn(1.0)", "1.0"),
        ("dyn(null)", "null"),
        ("dyn(b'\\x00a\"')", r#"b"\x00a\"""#),
        ("dyn('\\t\"\\\\\\u200b')", r#""\t\"\\\U0000200b""#),
        ("dyn([1, -2])", "[1, -2]"),
        ("dyn({'b': 1, 'a': [true]})", r#"{"a": [true], "b": 1}"#),
        ("dyn(ip('10.0.0.1'))", r#"ip("10.0.0.1")"#),
        ("dyn(timestamp(0))", r#"timestamp("1970-01-01T00:00:00Z")"#),
        ("[duration('90s')]", r#"[duration("90s")]"#),
        ("dyn(cidr('10.0.0.0/8'))", r#"cidr("10.0.0.0/8")"#),
        ("dyn(type(1))", "int"),
        ("dyn(optional.of('a'))", r#"optional.of("a")"#),
    ] {
        // Beside what reads the request, since a part that is the same always is not shown.
        let whole = format!("[{source}, request.method] == []");
        let step = explained(&whole, Phase::Request);
        assert_eq!(step.parts[0].value, Value::Known(format!("[{expected}, \"GET\"]")), "{source}");
    }
    let long = explained(
        concat!(
            r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".replace("a", "123456789é") + "#,
            r#"request.method == """#,
        ),
        Phase::Request,
    );
    let Value::Known(text) = &long.parts[0].value else { panic!("{long:?}") };
    assert!(
        text.len() <= 403 && text.starts_with("\"123456789é12") && text.ends_with("..."),
        "{text}"
    );
}

#[test]
fn what_passes_a_limit_is_shown_where_it_does() {
    let names: Vec<String> = (0..400).map(|n| format!("x-{n}")).collect();
    let mut scene = scene();
    scene.lines.extend(names.iter().map(|name| (name.as_bytes(), &b"v"[..])));
    let source = concat!(
        r#"request.headers.map(a, request.headers.map(b, a.replace("x", b))) == [] || "#,
        r#"request.method == "GET""#,
    );
    let expression =
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule).unwrap();
    scene.view(Phase::Request, |view| {
        // Caught by `||`, and yet no answer of the rule's.
        let allowance = Allowance::whole();
        assert_eq!(expression.matches(view, &allowance), Ok(true));
        assert!(allowance.breached().is_some());
        let step =
            Explainable::of(source, Scope::of(&TABLE)).unwrap().explain(view, Value::NotNeeded);
        assert_eq!(step.parts[0].value, Value::Error(eval::EXCEEDED.to_owned()));
    });
}

#[test]
fn what_nothing_reads_is_not_evaluated() {
    shows(
        r#"cel.bind(t, request.headers["x-none"], request.path == "/zen" || t == "a")"#,
        &[
            r#"cel.bind(t, request.headers["x-none"], request.path == "/zen" || t == "a") => true"#,
            r#".request.headers["x-none"] => not needed"#,
            r#".request.path == "/zen" || t == "a" => true"#,
            r#"..request.path == "/zen" => true"#,
            r#"...request.path => "/zen""#,
            r#"..t == "a" => not needed"#,
        ],
    );
    // It fails where it is read, and what cannot be read is caught by nothing there either.
    shows(
        r#"request.headers["x-odd"].with(t, default(t == "a", true))"#,
        &[
            r#"request.headers["x-odd"].with(t, default(t == "a", true)) => true"#,
            r#".request.headers["x-odd"] => error: error in `x-odd`"#,
            r#".default(t == "a", true) => error: the request cannot be read"#,
            r#"..t == "a" => error: error in `x-odd`"#,
        ],
    );
    shows(
        r#"optional.of(request.path).orValue(request.headers["x-none"]) == "/zen""#,
        &[
            r#"optional.of(request.path).orValue(request.headers["x-none"]) == "/zen" => true"#,
            r#".optional.of(request.path).orValue(request.headers["x-none"]) => "/zen""#,
            r#"..optional.of(request.path) => optional.of("/zen")"#,
            r#"...request.path => "/zen""#,
            r#"..request.headers["x-none"] => not needed"#,
        ],
    );
    shows(
        r#"request.headers[?"x-none"].orValue(request.path)"#,
        &[
            r#"request.headers[?"x-none"].orValue(request.path) => "/zen""#,
            r#".request.headers[?"x-none"] => optional.none()"#,
            r#".request.path => "/zen""#,
        ],
    );
}
