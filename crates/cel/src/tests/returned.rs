//! Expressions that return data.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use super::message::{Line, Scene, TABLE};
use super::{json, refused};
use crate::bounded::MAX_TEXT;
use crate::data::Data;
use crate::program::{self, MAX_NESTING, Program, Value};
use crate::*;

fn of(scene: &Scene<'_>, source: &str, expected: Expected) -> Result<Data, String> {
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, expected)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    scene.view(Phase::Request, |view| compiled.data(view, &Allowance::whole()))
}

fn scene() -> Scene<'static> {
    let lines: [Line<'_>; 6] = [
        (b":method", b"GET"),
        (b":authority", b"api.github.com"),
        (b":path", b"/zen"),
        (b"authorization", b"Bearer secret"),
        (b"x-team", b"a"),
        (b"x-count", b"-1"),
    ];
    Scene {
        lines: lines.to_vec(),
        caller: b"spiffe://cluster.local/ns/team-a/sa/reader",
        time: Some(1_795_858_200_250_000_000),
        ..Scene::default()
    }
}

fn text(text: &str) -> Result<Data, String> {
    Ok(Data::Text(text.to_owned()))
}

#[test]
fn a_scalar_is_what_it_is() {
    for (source, expected) in [
        ("source.identity.namespace", text("team-a")),
        ("source.identity.namespace + '/' + request.method", text("team-a/GET")),
        ("request.headers['x-team']", text("a")),
        ("b'\\xff'", Ok(Data::Bytes(vec![0xff]))),
        ("request.method == 'GET'", Ok(Data::Bool(true))),
        ("-7", Ok(Data::Int(-7))),
        ("7u", Ok(Data::Uint(7))),
        ("json('\"a\"')", text("a")),
        ("request.headers[?'x-team']", text("a")),
        ("request.headers[?'x-none']", Err("the result, or a part of it, has no value".to_owned())),
        ("request.headers['x-none']", Err("no such key: x-none".to_owned())),
        (
            "json('1.5')",
            Err("this must be a string, bytes, a bool, an int or a uint, the result is a double"
                .to_owned()),
        ),
        (
            "json('[1]')",
            Err("this must be a string, bytes, a bool, an int or a uint, the result is a list"
                .to_owned()),
        ),
        (
            "json('null')",
            Err("this must be a string, bytes, a bool, an int or a uint, the result is null"
                .to_owned()),
        ),
    ] {
        assert_eq!(of(&scene(), source, Expected::Scalar), expected, "{source}");
    }
    for source in ["1.5", "request.startTime", "duration('1s')", "ip('10.0.0.1')"] {
        let message = refused(source, Expected::Scalar);
        assert!(message.contains("put `string(...)` around it"), "{source}: {message}");
    }
    for source in ["[1]", "{'a': 1}", "request.headers", "source", "null", "int"] {
        let message = refused(source, Expected::Scalar);
        assert!(message.contains("put `string(...)` around one of its values"), "{source}");
    }
}

#[test]
fn a_count_is_not_negative() {
    let counted = |source| of(&scene(), source, Expected::Count);
    assert_eq!(counted("7"), Ok(Data::Uint(7)));
    assert_eq!(counted("18446744073709551615u"), Ok(Data::Uint(u64::MAX)));
    assert_eq!(counted("size(request.path)"), Ok(Data::Uint(4)));
    assert_eq!(counted("json('3')"), Ok(Data::Uint(3)));
    assert_eq!(counted("-1"), Err("the result is negative".to_owned()));
    assert_eq!(
        counted("int(request.headers['x-count'])"),
        Err("the result is negative".to_owned())
    );
    assert!(counted("json('1.0')").unwrap_err().ends_with("the result is a double"));
    for source in ["1.5", "'7'", "true", "duration('1s')"] {
        assert!(refused(source, Expected::Count).contains("put `int(...)` around it"), "{source}");
    }
}

#[test]
fn a_time_is_a_duration_or_a_timestamp() {
    let timed = |source| of(&scene(), source, Expected::Time);
    for (source, expected) in [
        ("duration('5m')", Data::Duration(Duration::from_secs(300))),
        ("5", Data::Duration(Duration::from_secs(5))),
        ("5u", Data::Duration(Duration::from_secs(5))),
        ("0.25", Data::Duration(Duration::from_millis(250))),
        ("json('60')", Data::Duration(Duration::from_secs(60))),
        (
            "request.startTime + duration('1s')",
            Data::Timestamp(Duration::from_nanos(1_795_858_201_250_000_000)),
        ),
    ] {
        assert_eq!(timed(source), Ok(expected), "{source}");
    }
    for source in ["-1", "-0.5", "0.0 / 0.0", "1e300", "duration('-1s')", "timestamp(-1)"] {
        assert!(timed(source).is_err(), "{source}");
    }
    for source in ["'5m'", "true", "[1]"] {
        assert!(refused(source, Expected::Time).contains("put `duration(...)`"), "{source}");
    }
}

#[test]
fn a_map_has_strings_as_keys() {
    let mapped = |source| of(&scene(), source, Expected::Map);
    for (source, expected) in [
        ("{'b': 1, 'a': [true, {'c': null}]}", r#"{"a": [true, {"c": null}], "b": 1}"#),
        (r#"json('{"z": 1, "a": {"y": 0.5}}')"#, r#"{"a": {"y": 0.5}, "z": 1}"#),
        ("{?'a': request.headers[?'x-none']}", "{}"),
        (
            "source",
            r#"{"identity": {"namespace": "team-a", "serviceAccount": "reader",
                "trustDomain": "cluster.local"},
                "spiffeId": "spiffe://cluster.local/ns/team-a/sa/reader"}"#,
        ),
        // As they are: what they are sent to needs them.
        (
            "request.headers",
            r#"{"authorization": "Bearer secret", "host": "api.github.com", "x-count": "-1",
                "x-team": "a"}"#,
        ),
        ("{'h': request.headers.split()}.h.filterKeys(k, k == 'x-team')", r#"{"x-team": ["a"]}"#),
    ] {
        assert_eq!(mapped(source), Ok(json::data(expected)), "{source}");
    }
    for source in [
        "json('[1]')",
        "{dyn(1): 2}",
        "{'a': optional.none()}",
        "{'a': {'b': request.headers[?'x-none']}}",
        "{'a': type(1)}",
    ] {
        assert!(mapped(source).is_err(), "{source}");
    }
    for source in ["[1]", "'a'", "{1: 2}", "request.startTime"] {
        assert!(
            refused(source, Expected::Map).contains("a map whose keys are strings"),
            "{source}"
        );
    }
}

#[test]
fn a_value_is_whole_or_an_error() {
    let long = "x".repeat(MAX_TEXT);
    let garbled: Vec<Line<'_>> = vec![(b":path", long.as_bytes()), (b"x-bytes", b"\xff")];
    let scene = Scene { lines: garbled, body: Some(b"abc"), ..scene() };
    let value = |source: &str| of(&scene, source, Expected::Value);
    assert_eq!(value("request.path"), text(&long));
    assert_eq!(value("request.body"), Ok(Data::Bytes(b"abc".to_vec())));
    assert_eq!(value("null"), Ok(Data::Null));
    assert_eq!(value("ip('10.0.0.1')"), text("10.0.0.1"));
    for source in [
        // Larger than 64 KiB together.
        "[request.path, 'x']",
        "{'a': request.path}",
        // What cannot be read.
        "request.headers",
        "request",
        "request.headers['x-bytes']",
        "default(request.headers['x-bytes'], 'none')",
        "[default(string(b'\\xff'), 'none')]",
        "optional.none()",
        "[request.headers[?'x-none']]",
        "timestamp('1969-12-31T23:59:59Z')",
        "extauthz",
    ] {
        let found = value(source);
        assert!(found.is_err(), "{source}");
        assert!(!format!("{found:?}").contains("xxx"), "the error repeats what was sent");
    }
    let deep = |depth: usize| format!("json('{}{}')", "[".repeat(depth), "]".repeat(depth));
    assert!(value(&deep(31)).is_ok());
    assert!(refused("type(1)", Expected::Value).contains("a type is no data"));
    let many = format!("[{}1].map(a, request.path)", "1,".repeat(40));
    assert!(value(&many).is_err(), "too many copies");
}

#[test]
fn what_a_service_said_comes_back() {
    let said =
        r#"{"a": [1, {"b": null, "c": "d"}], "e": true, "f": 0.5, "u": 18446744073709551615}"#;
    let scene = Scene { extauthz: Some(said), ..scene() };
    assert_eq!(of(&scene, "extauthz", Expected::Map), Ok(json::data(said)));
    assert_eq!(of(&scene, "extauthz.a[1].c", Expected::Scalar), text("d"));
    assert_eq!(of(&scene, "default(extauthz.z, 'none')", Expected::Scalar), text("none"));
}

#[test]
fn data_that_no_json_has_is_read_too() {
    use crate::values::of_data;
    let spans = Data::List(vec![
        Data::Duration(Duration::from_millis(1_500)),
        Data::Timestamp(Duration::from_secs(7)),
        Data::Bytes(vec![0, 255]),
        Data::Map(vec![("a".to_owned(), Data::Int(1)), ("a".to_owned(), Data::Int(2))]),
    ]);
    let allowance = Allowance::whole();
    let there_and_back = |data: &Data| {
        bridge::lend(&allowance, || {
            let value = of_data(data).map_err(|error| error.to_string())?;
            crate::reference::returned::data(value.as_ref())
        })
    };
    let Data::List(mut first) = spans.clone() else { panic!("a list") };
    first.pop();
    // The first of two entries counts, as in `Data::get`.
    first.push(Data::Map(vec![("a".to_owned(), Data::Int(1))]));
    assert_eq!(there_and_back(&spans), Ok(Some(Data::List(first.clone()))));
    let program = Program::literal(Value::of_data(&spans).lasting(MAX_NESTING).unwrap());
    let ours = scene().view(Phase::Request, |view| {
        let (attributes, allowance) = (view, &Allowance::whole());
        program
            .data(program::Scene { attributes, allowance, patterns: &[], variables: &[] })
            .map_err(|failure| failure.to_string())
    });
    assert_eq!(ours, Ok(Some(Data::List(first))));
    let deep = (0..crate::data::MAX_DEPTH).fold(Data::Null, |inner, _| Data::List(vec![inner]));
    assert!(there_and_back(&deep).is_ok() && allowance.breached().is_none());
    assert!(there_and_back(&Data::List(vec![deep])).is_err());
    assert!(allowance.breached().is_some(), "nested too deep");
}
