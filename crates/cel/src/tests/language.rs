//! What expressions give.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::message::{Line, Scene, TABLE, View};
use crate::*;

fn scene() -> Scene<'static> {
    let lines: [Line<'_>; 9] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"API.GitHub.com.:80"),
        (b":path", b"/repos/a?x=1"),
        (b"x-team", b"a"),
        (b"x-list", b"one,two"),
        (b"x-request-id", b"42"),
        (b"x-bytes", b"\xff"),
        (b"x-team", b"b"),
    ];
    Scene {
        lines: lines.to_vec(),
        caller: b"spiffe://cluster.local/ns/team-a/sa/reader",
        service: b"inbound-vip|80|http|api.github.com",
        version: b"HTTP/1.1",
        addresses: [b"10.0.0.7:41000", b"240.240.0.1:80"],
        ..Scene::default()
    }
}

fn with_view<T>(run: impl FnOnce(&View<'_>) -> T) -> T {
    scene().view(Phase::Request, run)
}

pub(crate) fn rule(source: &str) -> Result<bool, String> {
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    with_view(|view| compiled.matches(view, &Allowance::whole()))
}

pub(crate) fn value(source: &str) -> Result<Vec<u8>, String> {
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Header)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    with_view(|view| compiled.header_value(view, &Allowance::whole()))
}

pub(crate) fn refused(source: &str, expected: Expected) -> String {
    match Expression::compile(Scope::of(&TABLE), source, Phase::Request, expected) {
        Ok(_) => panic!("{source} compiles"),
        Err(errors) => errors.iter().map(ExprError::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn what_is_not_read_is_not_evaluated_and_chains_are_not_nested() {
    for source in [
        "optional.of(1).orValue(fail('x')) == 1 && optional.of(1).or(fail('x')).hasValue()",
        "optional.none().orValue(2) == 2 && !optional.none().or(optional.none()).hasValue()",
        "cel.bind(t, request.headers['x-none'], request.path != '' || t == 'a')",
        "request.headers['x-none'].with(t, true || t == 'a')",
        "[1, 2].map(x, cel.bind(y, x * 2, y + y)) == [4, 8]",
        "'a,,b'.split(',').filter(s, s != '').map(s, s + 'x').exists(s, s == 'bx')",
        "{'b': 2, 'a': 1, 3: 0, true: 4}.map(k, string(k)) == ['true', '3', 'a', 'b']",
        "json('{\"z\": 1, \"a\": 2}').map(k, k) == ['a', 'z']",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    assert!(rule("cel.bind(t, request.headers['x-none'], t == 'a')").is_err());
    let nested = "[1].exists(a, [1].exists(b, [1].exists(c, a + b == c)))";
    assert!(refused(nested, Expected::Rule).contains("nested 3 deep"));
}

#[test]
fn attributes_are_what_came() {
    for source in [
        r#"source.identity.trustDomain == "cluster.local""#,
        r#"source.identity.namespace == "team-a" && source.identity.serviceAccount == "reader""#,
        r#"source.spiffeId == "spiffe://cluster.local/ns/team-a/sa/reader""#,
        r#"source.address == "10.0.0.7" && source.port == 41000"#,
        concat!(
            r#"destination.address == "240.240.0.1" && destination.port == 80 && "#,
            r#"destination.hostname == "api.github.com""#,
        ),
        r#"request.method == "GET" && request.scheme == "http" && request.version == "HTTP/1.1""#,
        r#"request.host == "api.github.com""#,
        r#"request.path == "/repos/a" && request.pathAndQuery == "/repos/a?x=1""#,
        r#"request.id == "42""#,
        concat!(
            r#"request.headers["x-team"] == "a" && request.headers["X-Team"] == "a" && "#,
            r#"request.headers.host == "API.GitHub.com.:80""#,
        ),
        r#"request["path"] == "/repos/a""#,
        r#""x-team" in request.headers && !("x-none" in request.headers)"#,
        "has(request.headers.host) && !has(request.headers.none) && has(source.identity)",
        concat!(
            r#"request.headers.exists(name, name == "x-list" && "#,
            r#"request.headers[name].contains("two"))"#,
        ),
        r#"size(request.headers) == 5 && request.headers.all(name, name != ":path")"#,
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn functions_and_macros_work() {
    for source in [
        concat!(
            r#"request.path.startsWith("/repos/") && request.path.endsWith("a") && "#,
            r#"request.path.contains("pos")"#,
        ),
        r#"request.path.matches("^/repos/[a-z]+$") && matches(request.path, "rep")"#,
        r#"request.path.matches("^/" + "repos")"#,
        r#"request.method in ["GET", "HEAD"]"#,
        r#"request.headers["x-list"].split(",").exists(part, part == "two")"#,
        r#"["a", "b"].map(x, x + "!") == ["a!", "b!"] && [1, 2, 3].filter(n, n > 1).size() == 2"#,
        r#"request.host.lowerAscii().replace("api.", "").substring(0, 6) == "github""#,
        r#"string(base64.decode("aGk=")) == "hi" && base64.encode(b"hi") == "aGk=""#,
        "math.greatest(1, 2) == 2 && math.abs(-1) == 1",
        r#"default(request.headers["none"], "x") == "x" && default(request.method, "x") == "GET""#,
        r#"request.?headers["none"].orValue("x") == "x""#,
        r#"request.headers[?"x-team"].orValue("x") == "a""#,
        r#""%s-%d".format(["a", 1]) == "a-1""#,
        r#"type(request.path) == string && int("7") + 1 == 8 && 1 == 1.0"#,
        r#"optional.of("a").optMap(v, v + "b").value() == "ab""#,
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn macros_give_values_to_names() {
    for source in [
        "request.path.with(p, p.size() + p.size()) == 16",
        "request.path.with(p, request.host.with(h, h + p)) == 'api.github.com/repos/a'",
        "'a'.with(v, 'b'.with(v, v) + v) == 'ba' && 'a'.with(v, v + 'b').with(v, v + v) == 'abab'",
        "request.headers.with(h, h['x-team'] == 'a' && h.host == request.headers.host)",
        "request.with(r, r.path == request.path && r.headers['x-team'] == 'a')",
        "{'path': '/x'}.with(request, request.path) == '/x' && request.path == '/repos/a'",
        "cel.bind(p, request.path, p == '/repos/a' && p.startsWith('/repos/'))",
        "[1, 2].exists(x, x.with(y, y + 1) == 3) && {'a': 1}.with(m, m.a) == 1",
        "optional.of('a').optMap(v, v + 'b').optMap(v, v + 'c').value() == 'abc'",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn the_first_that_neither_errs_nor_is_null_is_taken() {
    for source in [
        "coalesce(request.headers.none, request.headers['x-team'], 'c') == 'a'",
        "coalesce(null, 'b') == 'b' && coalesce('a', null) == 'a' && coalesce(null, null) == null \
         && coalesce('a') == 'a'",
        "coalesce(request.headers.none, null, 'c') == 'c' && coalesce(1 / 0, 2, 3) == 2",
        "default(null, 'b') == 'b' && default({'a': null}.a, 'b') == 'b' && \
         default(request.headers.none, 'b') == 'b'",
        "default([1][3], 2) == 2 && default([], [1]) == [] && default(request.headers, {}).host == \
         request.headers.host",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    assert_eq!(
        value("coalesce(request.headers.none, request.headers['x-team'])"),
        Ok(b"a".to_vec())
    );
    assert!(value("coalesce(request.headers.none, request.headers.neither)").is_err());
}

#[test]
fn maps_are_made_of_keys_and_values() {
    for source in [
        "{'a': 1, 'b': 2}.mapValues(v, v * 10) == {'a': 10, 'b': 20} && {}.mapValues(v, v) == {}",
        "{'a': 1, 'b': 2}.filterKeys(k, k == 'a') == {'a': 1} && {'a': 1, 'b': 2}.removeKeys(k, k \
         == 'a') == {'b': 2}",
        "request.headers.filterKeys(k, k != 'x-bytes').mapValues(v, v + '!')['x-list'] == \
         'one,two!'",
        "request.headers.filterKeys(k, k.startsWith('x-t')) == {'x-team': 'a'}",
        "{'x': {'y': 1}}.mapValues(m, m.mapValues(n, n + 1)) == {'x': {'y': 2}}",
        "{'x': {'y': 1}}.filterKeys(k, {'x': 1}.filterKeys(k, k == 'x').size() == 1 && k == \
         'x').size() == 1",
        "{'a': 1}.transformMap(k, v, v + size(k)) == {'a': 2} && {'a': 1, 'b': 2}.transformMap(k, \
         v, v > 1, k) == {'b': 'b'}",
        "['a', 'b'].transformMap(i, v, v + string(i)) == {0: 'a0', 1: 'b1'}",
        "['a', 'b'].transformList(i, v, string(i) + v) == ['0a', '1b'] && [1, 2].transformList(i, \
         v, v > 1, i) == [1]",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'} && ['x'].transformMapEntry(i, v, \
         v == 'y', {v: i}) == {}",
        "['a', 'b'].all(i, v, i < 2 && v != 'c') && ['a', 'b'].exists(i, v, i == 1 && v == 'b')",
        "['a', 'b'].existsOne(i, v, i == 0) && ['a', 'a'].exists_one(i, v, v == 'a') == false",
        "request.headers.exists(name, value, name == 'x-team' && value == 'a')",
        "[[1], [2, 3]].exists(i, inner, inner.exists(j, v, i == 1 && j == 1 && v == 3))",
        "[[1]].all(v, inner, inner.all(w, v, v == 1)) && {'v': 1}.all(k, v, [2].all(v, v == 2) && \
         v == 1)",
        "[10].all(i, v, [1].all(j, w, v == 10 && w == 1)) && [1].transformList(i, v, 'a'.with(v, \
         v)) == ['a']",
        "[1, 2].transformList(i, v, v.with(w, w + i)) == [1, 3] && [3].transformList(i, v, \
         [v].map(v, v + 1)) == [[4]]",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    // A value that is no text is an error where it is looked at, and nowhere else.
    assert!(rule("request.headers.all(k, v, v != '')").is_err());
    assert_eq!(rule("request.headers.exists(k, v, k == 'x-team' && v == 'a')"), Ok(true));
    assert!(
        rule("{'a': 1, 'b': 1}.transformMapEntry(k, v, {v: k}).size() == 1").is_err(),
        "a key given twice"
    );
}

#[test]
fn what_macros_make_has_its_type() {
    for (source, message) in [
        (
            "[1, 2].map(x, x + 1) == ['a']",
            "`==` compares list(int) with list(string), which are never equal",
        ),
        ("['a'].filter(x, x == 1) == []", "`==` compares string with int, which are never equal"),
        (
            "'a' in [1, 2].map(x, x + 1)",
            "`in` looks for string in a list of int, where it never is",
        ),
        (
            "{'a': 1}.mapValues(v, string(v)).a == 1",
            "`==` compares string with int, which are never equal",
        ),
        (
            "request.headers.filterKeys(k, k == 1) == {}",
            "`==` compares string with int, which are never equal",
        ),
        (
            "request.headers.filterKeys(k, 'a') == {}",
            "line 1, column 31: a macro's condition gives a bool, this gives string",
        ),
        (
            "['a'].all(v, v)",
            "line 1, column 14: a macro's condition gives a bool, this gives string",
        ),
        ("['a'].all(i, v, v == i)", "`==` compares string with int, which are never equal"),
        ("request.path.with(p, p == 1)", "`==` compares string with int, which are never equal"),
        ("request.path.mapValues(v, v) == {}", "string has no elements: expected a list or a map"),
        (
            "['a'].transformMapEntry(i, v, v) == {}",
            "`transformMapEntry` expects a map of each entry, as `{key: value}`, not string",
        ),
        (
            "[1].with(x, x.with(y, y == 'a'))",
            "`==` compares list(int) with string, which are never equal",
        ),
        ("{}.filterKeys(k, k.nope()) == {}", "unknown function `nope`"),
        (
            "[1].transformList(x, x) == []",
            "unknown function `transformList`: it is a macro, called with other arguments",
        ),
    ] {
        let found = refused(source, Expected::Rule);
        assert!(found.contains(message), "{source}: {found}");
    }
    for source in [
        "null == null",
        "request.path != null",
        "request.headers != null",
        "source.identity != null",
        "[1] != null",
    ] {
        assert!(rule(source).is_ok(), "{source}");
    }
}

#[test]
fn bounded_functions_do_what_the_extension_does() {
    for source in [
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && \
         'a,b'.split(',', -1) == ['a', 'b']",
        "'a,b'.split(',', 0) == [] && 'a,b'.split(',', 1) == ['a,b'] && ''.split(',') == [''] && \
         ''.split('') == []",
        "'h\u{e9}y'.split('') == ['h', '\u{e9}', 'y'] && 'abc'.split('', 2) == ['a', 'bc'] && \
         ',a,'.split(',') == ['', 'a', '']",
        "'banana'.replace('an', 'o') == 'booa' && 'banana'.replace('a', 'o', 2) == 'bonona' && \
         'a'.replace('a', 'b', 0) == 'a'",
        "'ab'.replace('', '-') == '-a-b-' && 'ab'.replace('a', '', -1) == 'b'",
        "['a', 'b'].join() == 'ab' && ['a', 'b'].join(', ') == 'a, b' && [].join(',') == '' && \
         ['', 'b'].join('-') == '-b'",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    // As large as the caller likes: refused as an error, before it is made.
    let path = "/a".repeat(40_000);
    let scene = Scene { lines: vec![(b":path", path.as_bytes())], ..Scene::default() };
    for (source, fits) in [
        ("request.path.replace('a', request.path) == ''", false),
        ("request.path.replace('/', '//') == ''", false),
        ("request.path.replace('a', request.path, 0).size() == 80000", false),
        ("request.path.split('/').size() == 1", false),
        ("request.path.split('').all(c, true)", false),
        ("[request.path, 'a'].join() == ''", false),
        ("request.path.split('/', 64).size() == 64", true),
        ("request.path.replace('/a', '').size() == 0", false),
    ] {
        let compiled =
            Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule).unwrap();
        let found = scene.view(Phase::Request, |view| compiled.matches(view, &Allowance::whole()));
        assert_eq!(found.is_ok(), fits, "{source}");
    }
}

#[test]
fn inner_loops_do_not_take_the_names_of_outer_ones() {
    for source in [
        "{'a': 1}.exists(k, v, ['z'].exists(k, v == 1))",
        "{'a': '1', 'b': '2'}.exists(k, v, ['a'].exists(k, v == '2'))",
        "{'a': {'x': 1}}.mapValues(v, v.mapValues(w, v.x + w)) == {'a': {'x': 2}}",
        "{'a': 1}.all(k, v, cel.bind(k, 'z', v == 1 && k == 'z'))",
        "{'a': 1}.all(k, v, k == 'a' && ['q'].all(i, w, w == 'q' && i == 0 && k == 'a' && v == 1))",
        "['p', 'q'].exists(i, v, i == 1 && v == 'q') && ['p'].transformList(i, v, {v: i}) == \
         [{'p': 0}]",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

#[test]
fn what_is_bound_and_copied_again_and_again_is_bounded() {
    let mut source = "size(g)".to_owned();
    for (name, of) in [("g", "f"), ("f", "e"), ("e", "d"), ("d", "c"), ("c", "b"), ("b", "a")] {
        source = format!("cel.bind({name}, [{}], {source})", [of; 20].join(","));
    }
    let bound = format!("cel.bind(a, [{}], {source}) == 1", ["1"; 20].join(","));
    let quoted = format!("{}request.path{} == ''", "strings.quote(".repeat(30), ")".repeat(30));
    for source in [bound, quoted] {
        assert_eq!(rule(&source), Err(eval::EXCEEDED.to_owned()), "{source}");
    }
    assert_eq!(
        rule("cel.bind(p, request.path, p + p).size() == 16 && strings.quote('a') == '\"a\"'"),
        Ok(true)
    );
}

#[test]
fn errors_and_logic_are_those_of_cel() {
    let missing = r#"request.headers["none"] == "x""#;
    for (source, expected) in [
        (format!("{missing} || true"), Some(true)),
        (format!("true || {missing}"), Some(true)),
        (format!("{missing} && false"), Some(false)),
        (format!("false && {missing}"), Some(false)),
        (format!("{missing} || false"), None),
        (format!("{missing} && true"), None),
        (format!("!({missing})"), None),
        (format!("{missing} ? true : false"), None),
        (format!("default({missing}, true)"), Some(true)),
        ("1 / 0 == 1".to_owned(), None),
        (r#"request.headers["x-bytes"] == "x""#.to_owned(), None),
        (r#"dyn("true")"#.to_owned(), None),
        ("dyn(1)".to_owned(), None),
        (r#"has(request.headers.none.x)"#.to_owned(), Some(false)),
    ] {
        // The last one is a static mistake: a header is string, which has no fields.
        if source.contains("none.x") {
            assert!(refused(&source, Expected::Rule).contains("has no field `x`"), "{source}");
            continue;
        }
        assert_eq!(rule(&source).ok(), expected, "{source}");
    }
}

#[test]
fn errors_do_not_repeat_what_the_request_says() {
    for source in [
        r#"int(request.headers["x-list"]) == 1"#,
        r#"request.headers["x-team"].substring(9) == "a""#,
        r#"request.headers[request.headers["x-list"]] == "a""#,
        r#"request.headers[request.headers["x-list"].replace("one,two", "x-byt" + "es")] == "a""#,
    ] {
        let error = rule(source).unwrap_err();
        assert!(
            !error.contains("one,two") && !error.contains("\"a\"") && !error.contains("x-bytes"),
            "{source}: {error}"
        );
    }
    assert_eq!(
        rule(r#"request.headers["none"] == "a""#),
        Err("no such key: none".to_owned()),
        "what the policy says may be repeated"
    );
}

#[test]
fn a_header_value_is_text_or_bytes() {
    assert_eq!(
        value(r#"source.identity.namespace + "/" + source.identity.serviceAccount"#),
        Ok(b"team-a/reader".to_vec())
    );
    assert_eq!(value("b'\\xff'"), Ok(vec![0xff]));
    assert_eq!(value("string(source.port)"), Ok(b"41000".to_vec()));
    assert_eq!(value(r#"request.headers["x-team"]"#), Ok(b"a".to_vec()));
    assert!(value("dyn(1)").is_err());
}

#[test]
fn an_optional_header_that_cannot_be_read_is_not_none() {
    for source in [
        "request.headers[?'x-bytes'].orValue('') == ''",
        "!request.headers[?'x-bytes'].hasValue()",
        "request.with(r, r.headers[?'x-bytes'].orValue('') == '')",
        "[request].exists(r, r.headers[?'x-bytes'].orValue('') == '')",
    ] {
        assert!(rule(source).is_err(), "{source}: {:?}", rule(source));
    }
    assert_eq!(rule("request.with(r, r.headers[?'none'].orValue('') == '')"), Ok(true));
}

#[test]
fn what_an_expression_reads_is_known() {
    let uses = |source: &str| {
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
            .unwrap()
            .uses()
            .clone()
    };
    assert_eq!(
        uses(r#"request.headers["X-A"] == "a" && request.headers.b == "c""#).request_headers,
        HeadersRead::Names(vec!["x-a".into(), "b".into()])
    );
    assert_eq!(
        uses(r#""a" in request.headers && has(request.headers.b)"#).request_headers,
        HeadersRead::Names(Vec::new())
    );
    assert_eq!(uses(r#"request.headers[request.method] == "a""#).request_headers, HeadersRead::All);
    assert_eq!(
        uses(r#"request.headers.exists(n, n == "a") && request.headers.size() > 1"#)
            .request_headers,
        HeadersRead::Names(Vec::new())
    );
    for source in [
        r#"request.headers.exists(n, v, v == "a")"#,
        r#"request.headers.filterKeys(n, true).exists(n, v, v == "a")"#,
        r#"request.headers.removeKeys(n, false)["a"] == "b""#,
        r#"request.headers.mapValues(v, v + "!").size() == 1"#,
        r#"request.headers.transformMap(n, v, v).size() == 1"#,
        r#"request.headers.transformList(n, v, v).size() == 1"#,
        r#"[request.headers].exists(h, h["a"] == "b")"#,
        r#"request.headers.merge({"a": "b"}).a == "b""#,
        r#"request.headers.map(n, request.headers[n]).size() == 1"#,
        r#"request.headers.redacted().map(n, request.headers.redacted()[n]).size() == 1"#,
    ] {
        assert_eq!(uses(source).request_headers, HeadersRead::All, "{source}");
    }
    assert_eq!(
        uses(r#"request.headers.exists(n, request.headers[n] == "a")"#).request_headers,
        HeadersRead::All
    );
    for source in [
        r#"dyn(request).headers["a"] == "a""#,
        r#"[source, request].exists(r, r.headers["a"] == "a")"#,
        r#"optional.of(request).value().headers["a"] == "a""#,
        r#"(request.path == "/" ? dyn(request) : dyn({}))["headers"].a == "a""#,
        r#"request.?headers["a"].orValue("") == "a""#,
    ] {
        assert_eq!(uses(source).request_headers, HeadersRead::All, "{source}");
    }
    let read = |source: &str| {
        let read = uses(source).attributes.iter();
        read.map(|id| TABLE.attribute(id).unwrap().name).collect::<Vec<_>>().join(" ")
    };
    for (source, names) in [
        (
            "dyn(source).port == 1",
            "source.identity source.identity.trustDomain source.identity.namespace \
             source.identity.serviceAccount source.spiffeId source.address source.port",
        ),
        ("request.version == '' && source.port == 1", "source.port request.version"),
        (
            "destination.port == 1 || destination.hostname == ''",
            "destination.hostname destination.port",
        ),
        ("source.identity.namespace == 'a'", "source.identity source.identity.namespace"),
    ] {
        assert_eq!(read(source), names, "{source}");
    }
}
