//! Bodies, and what an authorization service has said.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::message::{Scene, TABLE};
use crate::bounded::MAX_TEXT;
use crate::*;

/// What a rule gives, and the breach that it met.
fn asked(scene: &Scene<'_>, source: &str) -> (Result<bool, String>, Option<&'static str>) {
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let allowance = Allowance::whole();
    let found = scene.view(Phase::Request, |view| compiled.matches(view, &allowance));
    (found, allowance.breached())
}

fn with_body(body: &[u8]) -> Scene<'_> {
    Scene { body: Some(body), ..Scene::default() }
}

const SAID: &str = r#"{"team": "a", "n": 7, "flag": true, "list": ["x", "y"], "a.b": 1,
    "nested": {"k": {"d": [1, 2]}}, "nothing": null}"#;

#[test]
fn what_a_service_said_is_a_map() {
    let scene = Scene { extauthz: Some(SAID), ..Scene::default() };
    for source in [
        r#"extauthz.team == "a" && .extauthz.team == "a" && extauthz["team"] == "a""#,
        "extauthz.n > 5 && extauthz.n + 1 == 8 && extauthz.n in [7]",
        "extauthz.flag",
        "extauthz.nested.k.d[1] == 2 && extauthz[\"nested\"].k.d == [1, 2]",
        r#"extauthz["a.b"] == 1 && !has(extauthz.a)"#,
        "extauthz.nothing == null && has(extauthz.nothing)",
        "has(extauthz.team) && has(extauthz.nested.k) && !has(extauthz.nope)",
        r#"extauthz.?team.orValue("") == "a" && extauthz[?"team"].orValue("") == "a""#,
        r#"extauthz.?nope.orValue("x") == "x" && extauthz.?nested.?k.hasValue()"#,
        r#""team" in extauthz && !("nope" in extauthz)"#,
        r#"extauthz.list.exists(x, x == "y") && extauthz.exists(k, k == "n")"#,
        r#"extauthz.exists(k, v, k == "n" && v == 7)"#,
        "size(extauthz) == 7 && extauthz.size() == 7 && extauthz != {}",
        r#"extauthz.with(e, e.team == "a") && toJson(extauthz.list) == "[\"x\",\"y\"]""#,
        r#"default(extauthz.nope, "x") == "x" && default(extauthz.team, "x") == "a""#,
        // A macro's own variable of this name is another.
        r#"["a"].exists(extauthz, extauthz == "a")"#,
        r#"[{"x": 1}].exists(extauthz, has(extauthz.x) && extauthz.?x.hasValue())"#,
        r#"[{"x": 1}].exists(e, has(extauthz.team) && extauthz.?team.hasValue())"#,
    ] {
        assert_eq!(asked(&scene, source), (Ok(true), None), "{source}");
    }
    // A value of another type is there, and cannot be read.
    for source in
        ["default(extauthz.n, \"\") == \"7\"", "extauthz.team > 5 || true", "extauthz.team.x == 1"]
    {
        assert!(asked(&scene, source).1.is_some(), "{source}");
    }
}

#[test]
fn while_no_service_has_said_anything_reading_it_fails() {
    let scene = Scene::default();
    for source in [
        r#"extauthz.team == "a""#,
        r#"extauthz["team"] == "a""#,
        r#""team" in extauthz"#,
        r#"!("blocked" in extauthz)"#,
        "size(extauthz) == 0",
        "extauthz == {}",
        "extauthz != {\"a\": 1}",
        "extauthz.exists(k, k == 'a')",
        "extauthz.all(k, k == 'a')",
        "has(extauthz.team.name)",
    ] {
        assert_eq!(asked(&scene, source), (Err("no such key: extauthz".to_owned()), None));
        let caught = format!("default({source}, true)");
        assert_eq!(asked(&scene, &caught), (Ok(true), None), "{caught}");
    }
    for source in [
        "!has(extauthz.team)",
        "[1].all(x, !has(extauthz.team))",
        r#"extauthz.?team.orValue("x") == "x" && extauthz[?"team"].orValue("x") == "x""#,
        r#"default(extauthz.team, "x") == "x""#,
        "default(extauthz, {}).size() == 0",
    ] {
        assert_eq!(asked(&scene, source), (Ok(true), None), "{source}");
    }
}

#[test]
fn nothing_catches_that_what_was_said_cannot_be_read() {
    let scene = Scene { body_is_unreadable: true, ..Scene::default() };
    for source in [
        r#"extauthz.team == "a""#,
        "!has(extauthz.blocked)",
        r#"!("blocked" in extauthz)"#,
        r#"extauthz.?team.orValue("x") == "x""#,
        "default(extauthz, {}).size() == 0",
        r#"default(extauthz.team, "x") == "x""#,
    ] {
        for source in [source.to_owned(), format!("default({source}, true)")] {
            assert!(asked(&scene, &source).1.is_some(), "{source}");
        }
    }
    assert_eq!(asked(&scene, "has(extauthz.a)").0, Err("`extauthz` cannot be read".to_owned()));
}

#[test]
fn mistakes_about_what_a_service_said_are_found_when_it_loads() {
    for (source, part) in [
        (r#"extauthz == "a""#, "`==` compares map(string, dyn) with string"),
        ("extauthz", "a rule gives a bool, this gives map(string, dyn)"),
        ("extauth.team == 1", "unknown attribute `extauth` (did you mean `extauthz`?)"),
        ("7 in extauthz", "`in` looks for int among the string keys of a map"),
        ("extauthz.lookup()", "unknown function `lookup`"),
    ] {
        let message = super::refused(source, Expected::Rule);
        assert!(message.contains(part), "{source}: {message}");
    }
}

#[test]
fn a_body_is_bytes() {
    let scene = with_body(br#"{"a": {"b": 1}, "t": "card 4111"}"#);
    for source in [
        "has(request.body) && size(request.body) == 33 && request.body.size() == 33",
        r#"string(request.body).contains("card") && string(request.body).matches("4[0-9]{3}")"#,
        "json(request.body).a.b == 1 && json(request[\"body\"]).a.b == 1",
        "json(string(request.body)).a.b == 1",
        r#"request.body != b"x" && request.body > b"a""#,
        r#"base64.encode(request.body).startsWith("eyJhIjog")"#,
        "dyn(request).body == request.body && request.?body.hasValue()",
        "[1].all(x, has(request.body))",
        // A macro's own variable of this name is another.
        r#"[{"body": b""}].exists(request, has(request.body) && request.body == b"")"#,
    ] {
        assert_eq!(asked(&scene, source), (Ok(true), None), "{source}");
    }
    let empty = with_body(b"");
    for source in ["has(request.body)", "request.body == b\"\"", "string(request.body) == ''"] {
        assert_eq!(asked(&empty, source), (Ok(true), None), "{source}");
    }
    assert_eq!(
        super::refused("request.body == 'a'", Expected::Rule),
        "line 1, column 1: `==` compares bytes with string, which are never equal"
    );
    assert!(
        super::refused("response.body == b''", Expected::Rule).contains("is not there yet"),
        "a request has no response"
    );
}

/// Rules that read a body, and would let something through if its lack could be caught.
const READING: &[&str] = &[
    r#"request.body == b"x""#,
    r#"string(request.body) == "x""#,
    r#"string(request.body).contains("x")"#,
    "json(request.body).a == 1",
    "size(request.body) > 5",
    r#"request["body"] == b"x""#,
    r#"dyn(request).body == b"x""#,
    "has(dyn(request).body)",
    r#"request.?body.orValue(b"") == b"""#,
];

#[test]
fn nothing_catches_that_a_body_is_not_there() {
    let unreadable = Scene { body_is_unreadable: true, ..Scene::default() };
    for (scene, has, message) in [
        (Scene::default(), Some(false), "`request.body` is not there: it has not been read"),
        (unreadable, None, "`request.body` cannot be read: it is compressed"),
    ] {
        for source in READING {
            let (found, breach) = asked(&scene, source);
            assert!(breach.is_some(), "{source}: {found:?}");
            assert!(source.contains(".?") || found == Err(message.to_owned()), "{found:?}");
            for caught in [
                format!("default({source}, false)"),
                format!("({source}) || true"),
                format!("[1].exists(x, ({source}) || x == 1)"),
            ] {
                assert!(asked(&scene, &caught).1.is_some(), "{caught}");
            }
        }
        let (found, breach) = asked(&scene, "has(request.body)");
        assert_eq!((found.clone().ok(), breach.is_none()), (has, has.is_some()));
        if has.is_none() {
            assert_eq!(found, Err("`request.body` cannot be read".to_owned()));
            assert!(asked(&scene, "has(request.body) || true").1.is_some());
        }
    }
    for source in [r#"string(request.body) == """#, "default(string(request.body), '') == ''"] {
        assert!(asked(&with_body(b"a\xff"), source).1.is_some(), "{source}: not UTF-8");
    }
}

#[test]
fn a_body_is_read_only_by_its_name() {
    let uses = |source: &str, expected| {
        let compiled =
            Expression::compile(Scope::of(&TABLE), source, Phase::Request, expected).expect(source);
        let id = TABLE.id("request.body").expect("a row");
        compiled.uses().attributes.contains(id)
    };
    for (source, reads) in [
        ("json(request.body)", true),
        ("has(request.body)", true),
        ("request['body']", true),
        ("[1].map(x, request.body)", true),
        ("request", false),
        ("{'a': request}", false),
        ("dyn(request).path", false),
    ] {
        assert_eq!(uses(source, Expected::Any), reads, "{source}");
    }
    let scene = with_body(b"secret");
    let whole = Expression::compile(Scope::of(&TABLE), "request", Phase::Request, Expected::Any);
    let recorded = scene
        .view(Phase::Request, |view| whole.expect("a value").recorded(view, &Allowance::whole()));
    let recorded = recorded.expect("a record").expect("a value");
    assert_eq!((recorded.json.contains("body"), recorded.is_cut), (false, false));
}

#[test]
fn a_document_in_a_body_has_one_reading() {
    let many = |count: usize| format!("[{}0]", "0,".repeat(count.saturating_sub(2)));
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (document, is_read) in [
        (many(4096), true),
        (many(4097), false),
        (deep(32), true),
        (deep(33), false),
        (r#"{"a": 1} "#.to_owned(), true),
        (r#"{"a": 1, "a": 2}"#.to_owned(), false),
        (r#"{"a": 1, "A": 2}"#.to_owned(), false),
        (r#"{"a": 1, "\u0061": 2}"#.to_owned(), false),
        (r#"{"a": 1}{}"#.to_owned(), false),
        (r#"{"a": 1,}"#.to_owned(), false),
        (r#"{"a": 01}"#.to_owned(), false),
        (r#"{a: 1}"#.to_owned(), false),
        (r#"{"a": 1} // b"#.to_owned(), false),
        ("\u{feff}{\"a\": 1}".to_owned(), false),
        (r#""\ud800""#.to_owned(), false),
        ("\"\t\"".to_owned(), false),
        ("NaN".to_owned(), false),
        ("1e400".to_owned(), false),
        (String::new(), false),
    ] {
        let (found, breach) = asked(&with_body(document.as_bytes()), "json(request.body) != null");
        let short = document.get(..20).unwrap_or(&document);
        assert_eq!((found.is_ok(), breach.is_none()), (is_read, is_read), "{short}");
    }
    for bytes in [&b"{\"a\": \"\xff\"}"[..], b"{\"\xc0\xaf\": 1}", b"\xff\xfe\"\x00"] {
        assert!(asked(&with_body(bytes), "json(request.body) != null").1.is_some(), "{bytes:?}");
    }
}

/// A body of 64 KiB is within the steps of one rule, if the pattern does not visit many states at
/// every byte. The page of expressions has these figures.
#[test]
fn the_largest_body_can_be_searched_and_read() {
    let words = "the quick brown fox, 1234 jumps over \"lazy\" dogs 4111 1111 and more text. ";
    let text: String = words.chars().cycle().take(MAX_TEXT).collect();
    let message = |n| format!(r#"{{"role": "user", "content": "{n} {}"}}, "#, "word ".repeat(10));
    let messages: String = (0..730).map(message).collect();
    let document = format!(
        r#"{{"a": {{"b": 1}}, "messages": [{messages}{{"role": "user", "content": ""}}]}}"#
    );
    assert!(document.len() > 62_000 && document.len() <= MAX_TEXT, "{}", document.len());
    let flat = format!(r#"{{"a": {{"b": 1}}, "t": "{}"}}"#, "x".repeat(65_500));
    let within = |body: &str, source: &str, expected: bool, steps: u64| {
        let rule = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule);
        let (rule, allowance) = (rule.expect(source), Allowance::whole());
        let scene = with_body(body.as_bytes());
        let found = scene.view(Phase::Request, |view| rule.matches(view, &allowance));
        let short = body.get(..20).unwrap_or_default();
        assert_eq!((found, allowance.breached()), (Ok(expected), None), "{source} in {short}");
        assert!(allowance.spent() <= steps, "{source} in {short}: {}", allowance.spent());
    };
    for body in [&text, &document, &flat] {
        for (source, steps) in [
            ("string(request.body).contains('secret')", 3_100),
            ("string(request.body).lowerAscii().contains('secret')", 15_000),
            (r"string(request.body).matches('AKIA[0-9A-Z]{16}')", 3_100),
            (r"string(request.body).matches('(?i)api[_-]?key')", 4_000),
            (r"string(request.body).matches('\\b(?:[0-9][ -]?){13,16}\\b')", 14_500),
            (r"string(request.body).matches('-----BEGIN [A-Z ]*PRIVATE KEY-----')", 3_100),
            (r"string(request.body).matches('[a-z]+@[a-z]+\\.[a-z]+')", 51_000),
        ] {
            within(body, source, false, steps);
        }
    }
    for body in [&document, &flat] {
        for (source, steps) in [
            ("json(request.body).a.b == 1", 17_500),
            ("default(json(request.body).a.b, 2) == 1", 35_000),
            (
                "!default(json(request.body).messages, []).exists(m, m.content.contains('secret'))",
                100_000,
            ),
        ] {
            within(body, source, true, steps);
        }
    }
    let larger = "x".repeat(MAX_TEXT.saturating_add(1));
    let found = asked(&with_body(larger.as_bytes()), "json(request.body) == 1");
    assert!(found.1.is_some(), "{found:?}");
}

#[test]
fn a_variable_may_read_both() {
    let mut variables = Variables::declare(["doc".to_owned(), "team".to_owned()]);
    variables.define(&TABLE, "json(request.body)").expect("a variable");
    variables.define(&TABLE, "extauthz.team").expect("a variable");
    let scope = Scope { table: &TABLE, variables: &variables };
    let source = "variables.doc.a == 1 && variables.doc.b == variables.team";
    let rule = Expression::compile(scope, source, Phase::Request, Expected::Rule).expect(source);
    for name in ["request.body", "extauthz"] {
        assert!(rule.uses().attributes.contains(TABLE.id(name).expect("a row")), "{name}");
    }
    let ask = |scene: &Scene<'_>| {
        let allowance = Allowance::whole();
        let found = scene.view(Phase::Request, |view| rule.matches(view, &allowance));
        (found, allowance.breached().is_some())
    };
    let body = br#"{"a": 1, "b": "a"}"#;
    let provided = Scene { extauthz: Some(SAID), ..with_body(body) };
    assert_eq!(ask(&provided), (Ok(true), false));
    let unsaid = with_body(body);
    assert_eq!(ask(&unsaid), (Err("no such key: extauthz".to_owned()), false));
    let unread = Scene { extauthz: Some(SAID), ..Scene::default() };
    assert!(ask(&unread).1, "a body that is not there");
}
