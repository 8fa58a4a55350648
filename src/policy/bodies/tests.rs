#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::CONTENT_TYPES;
use crate::policy::Engine;

fn bodies(types: &[&str]) -> Bodies {
    Bodies { max_size: 8, types: types.iter().map(|pattern| parts(pattern)).collect() }
}

fn objection(types: &[&str], lines: &[(&str, &str)]) -> Option<&'static str> {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    bodies(types).objection(&lines.collect())
}

#[test]
fn a_body_is_read_by_its_content_type() {
    for (value, expected) in [
        ("application/json", None),
        ("Application/JSON", None),
        ("application/json;charset=utf-8", None),
        ("application/json ; Charset=\"UTF-8\"", None),
        ("text/plain; charset=us-ascii; format=flowed", None),
        ("application/problem+json", None),
        ("application/x-www-form-urlencoded", None),
        ("text/html", None),
        ("application/json; charset=utf-16", Some(CHARSET)),
        ("text/plain; charset=iso-8859-1", Some(CHARSET)),
        ("text/plain; charset=utf-8; charset=utf-7", Some(CHARSET)),
        ("text/plain; charset", Some(CHARSET)),
        ("text/plain; charset*=UTF-8''utf-7", Some(CHARSET)),
        ("text/plain; charset*0=utf-; charset*1=7", Some(CHARSET)),
        ("text/plain; charset=", Some(CHARSET)),
        ("text/plain; a=\"; charset=utf-16\"", Some(CHARSET)),
        ("application/octet-stream", Some(TYPE)),
        ("application/json, text/plain", Some(TYPES)),
        ("application/jsonp", Some(TYPE)),
        ("application/grpc", Some(TYPE)),
        ("multipart/form-data; boundary=x", Some(TYPE)),
        ("+json", Some(TYPE)),
        ("", Some(TYPE)),
        ("json", Some(TYPE)),
    ] {
        let found = objection(&CONTENT_TYPES, &[("content-type", value)]);
        assert_eq!(found, expected, "{value}");
    }
    assert_eq!(objection(&CONTENT_TYPES, &[]), None, "an origin may guess the type");
    assert_eq!(objection(&["*/*"], &[("content-type", "a/b")]), None);
}

#[test]
fn what_origins_read_in_two_ways_is_not_read() {
    let json = ("content-type", "application/json");
    for (lines, expected) in [
        (&[json, ("content-type", "text/plain")][..], Some(TYPES)),
        (&[json, ("content_type", "image/png")], Some(TYPES)),
        (&[json, ("content-encoding", "gzip")], Some(CODED)),
        (&[json, ("content_encoding", "gzip")], Some(CODED)),
        (&[json, ("content-encoding", "identity"), ("content-encoding", "br")], Some(CODED)),
        (&[json, ("content-encoding", "")], Some(CODED)),
        (&[json, ("content-encoding", " Identity ")], None),
    ] {
        assert_eq!(objection(&CONTENT_TYPES, lines), expected, "{lines:?}");
    }
}

#[test]
fn a_body_is_read_as_a_whole_or_not_at_all() {
    let of = |bytes: &'static [u8]| bodies(&CONTENT_TYPES).readable(None, bytes);
    assert_eq!(of(b"12345678"), Body::Read(b"12345678"));
    assert_eq!(of(b""), Body::Read(b""));
    assert_eq!(of(b"123456789"), Body::Unreadable(TOO_LARGE));
    assert_eq!(of(b"1\x002"), Body::Unreadable(NUL));
    assert_eq!(bodies(&[]).readable(Some(TYPE), b"1"), Body::Unreadable(TYPE));
}

fn errors(policy: &str) -> String {
    let config = format!(r#"{{"policies": [{{"name": "p", "hosts": ["a.example"], {policy}}}]}}"#);
    let errors = Engine::load(config.as_bytes()).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

/// Headers go on before the body is there, and nothing but the body's own stages has it.
#[test]
fn only_rules_and_new_bodies_read_bodies() {
    let rule = |source: &str| {
        let rule = format!(r#"{{"policy": {{"matchExpressions": ["{source}"]}}}}"#);
        format!(r#""traffic": {{"authorization": {rule}}}"#)
    };
    let value = |of: &str, source: &str| {
        let set = format!(r#"{{"set": [{{"name": "x-a", "value": "{source}"}}]}}"#);
        format!(r#""traffic": {{"transformation": {{"{of}": {set}}}}}"#)
    };
    let body = |of: &str, source: &str| {
        let body = format!(r#"{{"{of}": {{"body": "{source}"}}}}"#);
        format!(r#""traffic": {{"transformation": {body}}}"#)
    };
    for fine in [
        rule("string(request.body) == '1'"),
        rule("has(request.body)"),
        body("request", "request.body"),
        body("request", "{'a': json(request.body)}"),
        body("response", "response.body"),
        body("response", "string(response.code)"),
    ] {
        assert_eq!(errors(&fine), "", "{fine}");
    }
    for (wrong, name, only) in [
        (rule("response.body == b''"), "response", "a response transformation"),
        (value("request", "string(request.body)"), "request.body", "`authorization` and"),
        (value("response", "string(request.body)"), "request.body", "`authorization` and"),
        (value("response", "string(response.body)"), "response.body", "`transformation.resp"),
        (body("request", "response.body"), "response", "a response transformation"),
        (body("response", "request.body"), "request.body", "`authorization` and"),
        (r#""denial": {"bodyExpression": "string(request.body)"}"#.to_owned(), "request.body", "`"),
    ] {
        let found = errors(&wrong);
        let expected = format!("`{name}` is not there yet when this is evaluated: only {only}");
        assert!(found.contains(&expected), "{wrong}: {found}");
    }
}
