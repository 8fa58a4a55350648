#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod errors;

use crate::meter::Allowance;
use crate::tests::message::{Scene, TABLE};
use crate::tests::{refused, rule, value};
use crate::{Expected, Expression, HeadersRead, Phase, Scope};

/// Evaluates a rule on a request with these headers.
fn on(lines: &[(&str, &[u8])], source: &str) -> Result<bool, String> {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    let scene = Scene { lines, ..Scene::default() };
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    scene.view(Phase::Request, |view| compiled.matches(view, &Allowance::whole()))
}

fn all_true(sources: &[&str]) {
    for source in sources {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
}

fn all_err(sources: &[&str]) {
    for source in sources {
        assert!(rule(source).is_err(), "{source}: {:?}", rule(source));
    }
}

#[test]
fn json_is_read_and_written() {
    all_true(&[
        concat!(
            r#"json('{"a": [1, -2, 2.5, true, null, "\\u00e9"]}').a == [1, -2, 2.5, true, null, "#,
            r#""\u00e9"]"#,
        ),
        "type(json('1')) == int && type(json('18446744073709551615')) == uint && type(json('1.0')) \
         == double && type(json('1e2')) == double",
        "json(b'[]') == [] && json(' {} ') == {} && json('\"a\"') == 'a' && json('null') == null",
        concat!(
            r#"json('{"a": {"b": 1}}').a.b + 1 == 2 && has(json('{"a": 1}').a) && "#,
            r#"!has(json('{"a": 1}').b)"#,
        ),
        "toJson([1, 2u, 2.5, -1, 'a\"\\n', b'hi', true, null, {}]) == \
         '[1,2,2.5,-1,\"a\\\\\"\\\\n\",\"aGk=\",true,null,{}]'",
        "toJson({'b': 1, 'a': {1: 2, true: 3}}) == '{\"a\":{\"1\":2,\"true\":3},\"b\":1}'",
        "toJson([ip('::1'), cidr('10.0.0.0/8')]) == '[\"::1\",\"10.0.0.0/8\"]'",
        "json(toJson({'a': [1, 'x']})) == {'a': [1, 'x']}",
        "toJson(request.headers.filter(n, n == 'x-team')) == '[\"x-team\"]'",
    ]);
    all_err(&[
        "json('') == 1",
        "json('{') == 1",
        "json('[1] 2') == 1",
        "json('[1,]') == 1",
        r#"json('{"a": 1, "a": 2}').a == 2"#,
        r#"json('{"a": 1}').b == 1"#,
        "json('1e999') == 1.0",
        r"json(b'\xff') == ''",
        "toJson(1.0 / 0.0) == ''",
        "toJson(type(1)) == ''",
        "toJson(optional.none()) == ''",
        // A header that is not UTF-8.
        "toJson(request.headers) == ''",
    ]);
}

#[test]
fn json_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let many = |values: usize| format!("[{}]", vec!["0"; values].join(","));
    for (text, fits) in [
        (nested(32), true),
        (nested(33), false),
        (nested(30_000), false),
        (many(4095), true),
        (many(4096), false),
        (format!("\"{}\"", "a".repeat(64 * 1024 - 2)), true),
        (format!("\"{}\"", "a".repeat(64 * 1024 - 1)), false),
    ] {
        let read =
            on(&[("x-json", text.as_bytes())], "type(json(request.headers['x-json'])) != int");
        assert_eq!(read.is_ok(), fits, "{} bytes: {read:?}", text.len());
    }
    let deep = nested(32);
    let at_the_limit = [("x-json", deep.as_bytes())];
    assert_eq!(
        on(&at_the_limit, "toJson(json(request.headers['x-json'])) == request.headers['x-json']"),
        Ok(true)
    );
    assert!(
        on(&at_the_limit, "toJson([[json(request.headers['x-json'])]]) != ''").is_err(),
        "nested deeper than may be written"
    );
    let long = "\n".repeat(40_000);
    assert!(
        on(&[("x-a", long.as_bytes())], "toJson(request.headers['x-a']) != ''").is_err(),
        "twice as long once escaped"
    );
}

#[test]
fn tokens_are_read_and_not_verified() {
    all_true(&[
        concat!(
            r#"unvalidatedJwtPayload("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjMiLCJhZG1pbiI6dHJ1ZX0.") "#,
            r#"== {"sub": "123", "admin": true}"#,
        ),
        concat!(
            r#"unvalidatedJwtPayload("eyJhbGciOiJub25lIn0.eyJkYXRhIjoifn5-In0.any-signature")"#,
            r#".data == "~~~""#,
        ),
        r#"unvalidatedJwtPayload("a.eyJhIjoxfQ==.c").a == 1"#,
    ]);
    all_err(&[
        r#"unvalidatedJwtPayload("not-a-jwt").sub == """#,
        r#"unvalidatedJwtPayload("a.b.c").sub == """#,
        r#"unvalidatedJwtPayload("a.eyJhIjoxfQ").a == 1"#,
        r#"unvalidatedJwtPayload("a.eyJhIjoxfQ.b.c").a == 1"#,
        r#"unvalidatedJwtPayload("a.WzFd.c") == {}"#,
        concat!(
            r#"unvalidatedJwtPayload("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjMiLCJhZG1pbiI6dHJ1ZX0.")"#,
            r#".nope == 1"#,
        ),
    ]);
}

#[test]
fn encodings_go_both_ways() {
    all_true(&[
        "base64.encode('hello') == 'aGVsbG8=' && base64.encode(b'\\xff') == '/w==' && \
         base64.encode('') == ''",
        "base64.decode('aGVsbG8=') == b'hello' && base64.decode(b'aGVsbG8') == b'hello' && \
         base64.decode('aGVs\\r\\nbG8=') == b'hello'",
        "url.encode('hello world/?x=1&y=2') == 'hello%20world%2F%3Fx%3D1%26y%3D2' && \
         url.encode('abc-._~!') == 'abc-._~%21'",
        "url.encode('\u{e9}') == '%C3%A9' && url.encode(b'\\xff') == '%FF' && url.decode('%C3%A9') \
         == '\u{e9}'",
        "url.decode('a+b%20c%2Bd%') == 'a+b c+d%'",
        "form.decode('a=1&a=2&&b&c=d=e+f%21') == {'a': ['1', '2'], 'b': '', 'c': 'd=e f!'} && \
         form.decode('') == {}",
        "form.encode({'b': 'x y', 'a': [1, true, 'z']}) == 'a=1&a=true&a=z&b=x+y' && \
         form.encode({}) == '' && form.encode({'a': []}) == ''",
        "form.decode(form.encode({'a/b': '&=+% ', 'c': '\u{e9}'})) == {'a/b': '&=+% ', 'c': \
         '\u{e9}'}",
        "form.decode(b'a=1').merge({'b': '2'}) == {'a': '1', 'b': '2'}",
        "sha1.encode('') == 'da39a3ee5e6b4b0d3255bfef95601890afd80709' && md5.encode(b'hello') == \
         '5d41402abc4b2a76b9719d911017c592'",
        "sha256.encode(b'') == 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    ]);
    all_err(&[
        "base64.decode('aGVsbG8==') == b''",
        "base64.decode('a_b-') == b''",
        "url.decode('%FF') == ''",
        "form.decode('a=%FF') == {}",
        "form.encode({'a': {}}) == ''",
        "form.encode({'a': b'x'}) == ''",
        "form.encode({'a': [[1]]}) == ''",
    ]);
    let long = "\u{e9}".repeat(12_000);
    for source in [
        "url.encode(request.headers.a) != ''",
        "form.encode({'a': request.headers.a}) != ''",
        "request.headers.a.setQuery('q', request.headers.a) != ''",
    ] {
        assert!(on(&[("a", long.as_bytes())], source).is_err(), "{source}");
    }
    let long = "a".repeat(50_000);
    assert!(on(&[("a", long.as_bytes())], "base64.encode(request.headers.a) != ''").is_err());
    let fields = vec!["a"; 65].join("&");
    assert!(on(&[("a", fields.as_bytes())], "form.decode(request.headers.a) != {}").is_err());
}

#[test]
fn queries_are_read_and_changed() {
    all_true(&[
        "'/api/test?foo=bar&foo=baz&zap=zip'.query('foo') == ['bar', 'baz'] && \
         'http://a/b?zap=zip#f?foo=1'.query('zap') == ['zip']",
        "'/a?x'.query('x') == [''] && '/a?b%20c=d+e%26'.query('b c') == ['d e&'] && \
         '/a?b=1?c=2'.query('b') == ['1?c=2']",
        "'/a?b=1'.addQuery('b', '2') == '/a?b=1&b=2' && '/a'.addQuery('b c', '&') == '/a?b+c=%26' \
         && '/a?'.addQuery('b', '') == '/a?b='",
        "'/a?b=1&c=%2f&b=2&%62=3'.setQuery('b', '4') == '/a?c=%2f&b=4' && '/a#f'.setQuery('b', \
         '1') == '/a?b=1#f'",
        "request.pathAndQuery.query('x') == ['1'] && request.pathAndQuery == '/repos/a?x=1'",
    ]);
    all_err(&[
        "'/a?b=1'.query('c') == []",
        "'/a'.query('') == []",
        "'/a#?b=1'.query('b') == []",
        "'/a?b=%FF'.query('b') == []",
    ]);
    let many = format!("/?{}", vec!["a=1"; 65].join("&"));
    assert!(
        on(&[(":path", many.as_bytes())], "request.pathAndQuery.query('a').size() > 0").is_err()
    );
    assert_eq!(
        on(&[(":path", many.as_bytes())], "request.pathAndQuery.setQuery('a', '2') == '/?a=2'"),
        Ok(true)
    );
}

#[test]
fn headers_are_viewed_in_all_their_lines() {
    let lines: &[(&str, &[u8])] = &[
        (":authority", b"api.github.com"),
        (":path", b"/"),
        ("x-multi", b"a, b"),
        ("x_multi", b"c"),
        ("X-MULTI", b"d"),
        ("x-bytes", b"ok"),
        ("x-bytes", b"\xff"),
        ("authorization", b"Bearer token"),
        ("x_api_key", b"key"),
        ("cookie", b"a=1; b = 2 ;c=x=y; nothing"),
        ("cookie", b"d=\"4\"; a=1"),
    ];
    for source in [
        "request.headers.raw()['x-multi'] == ['a, b', 'c', 'd'] && \
         request.headers.raw().authorization == ['Bearer token']",
        "request.headers.join()['x-multi'] == 'a, b,c,d' && request.headers.split()['x-multi'] == \
         ['a', 'b', 'c', 'd']",
        "request.headers.raw().join()['X_Multi'] == 'a, b,c,d' && \
         request.headers.join().split()['x-multi'][1] == 'b'",
        "request.headers.raw().host == ['api.github.com'] && request.headers.join().host == \
         'api.github.com'",
        "!(':path' in request.headers.raw()) && !has(request.headers.raw().none) && 'x-multi' in \
         request.headers.split()",
        "request.headers.redacted().authorization == '<redacted>' && request.headers.authorization \
         == 'Bearer token'",
        "request.headers.redacted().raw()['x-api-key'] == ['<redacted>'] && \
         request.headers.raw().redacted()['x-multi'][0] == 'a, b'",
        "request.headers.redacted()['x-multi'] == 'a, b' && request.headers.redacted().cookie('a') \
         == '<redacted>'",
        "request.headers.cookie('b') == '2' && request.headers.cookie('c') == 'x=y' && \
         request.headers.cookie('d') == '\"4\"' && request.headers.cookie('a') == '1'",
        "request.headers.raw().exists(n, n == 'x-multi') && request.headers.join().size() == \
         request.headers.size()",
        "dyn(request.headers).raw()['x-multi'][2] == 'd' && request.headers.join().filter(n, n == \
         'x-multi') == ['x-multi']",
    ] {
        assert_eq!(on(lines, source), Ok(true), "{source}");
    }
    for source in [
        "request.headers.raw()['x-bytes'].size() > 0",
        "request.headers.join()['x-bytes'] != ''",
        "request.headers.raw()[':path'] == ['/']",
        "request.headers.raw().none == []",
        "request.headers.cookie('nothing') == ''",
        "request.headers.cookie('') == ''",
        "dyn({'a': 1}).raw().size() == 1",
        "dyn({'a': 1}).cookie('a') == ''",
    ] {
        assert!(on(lines, source).is_err(), "{source}");
    }
    let two: &[(&str, &[u8])] = &[("cookie", b"a=1"), ("cookie", b"a=2")];
    assert_eq!(
        on(two, "request.headers.cookie('a') == '1'"),
        Err("error in `cookie`".to_owned()),
        "which one counts is not known"
    );
    let many: Vec<(&str, &[u8])> = vec![("a", b"x"); 65];
    assert!(on(&many, "request.headers.raw().a.size() == 65").is_err());
    assert_eq!(on(&many, "request.headers.join().a.size() == 129"), Ok(true));
    assert!(
        on(&[("a", vec![b','; 64].as_slice())], "request.headers.split().a.size() == 65").is_err()
    );
}

#[test]
fn a_view_of_all_lines_does_not_depend_on_one() {
    let read = |source: &str| {
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
            .unwrap()
            .uses()
            .request_headers
            .clone()
    };
    for source in [
        "request.headers.join()['x-a'] == 'a'",
        "'b' in request.headers.split()['x-a']",
        "request.headers.raw().exists(n, n == 'a')",
        "request.headers.redacted().raw().a.size() == 1 && request.headers.join().redacted().a == \
         ''",
        "request.headers.cookie('a') == 'b' && request.headers.redacted().cookie('a') == 'b'",
    ] {
        assert_eq!(read(source), HeadersRead::Names(Vec::new()), "{source}");
    }
    for source in [
        "request.headers.raw().exists(n, v, v == ['a'])",
        "request.headers.redacted().exists(n, v, v == 'a')",
        "request.headers.merge({}).a == 'b'",
        "toJson(request.headers) == ''",
    ] {
        assert_eq!(read(source), HeadersRead::All, "{source}");
    }
    for source in ["request.headers.redacted().a == 'b'", "request.headers.redacted()['A'] == 'b'"]
    {
        assert_eq!(read(source), HeadersRead::Names(vec!["a".to_owned()]), "{source}");
    }
}

#[test]
fn maps_are_merged_within_a_bound() {
    all_true(&[
        "{'a': 2}.merge({'b': 3}) == {'a': 2, 'b': 3} && {'a': 2}.merge({'a': 3}) == {'a': 3} && \
         {}.merge({}) == {}",
        "{1: 'a'}.merge({'b': [1]}).merge({true: null}).size() == 3",
    ]);
    assert_eq!(
        on(
            &[("a", b"1"), ("b", b"2")],
            "request.headers.merge({'b': '3'}) == {'a': '1', 'b': '3'}"
        ),
        Ok(true)
    );
    let fields: Vec<String> = (0..1000).map(|n| format!("\"{n}\":0")).collect();
    let text = format!("{{{}}}", fields.join(","));
    let other = text.replace(":0", "x\":0").replace("\"x", "x");
    let lines: &[(&str, &[u8])] = &[("a", text.as_bytes()), ("b", other.as_bytes())];
    assert_eq!(
        on(lines, "json(request.headers.a).merge(json(request.headers.a)).size() == 1000"),
        Ok(true)
    );
    assert!(
        on(lines, "json(request.headers.a).merge(json(request.headers.b)).size() == 2000").is_err()
    );
}

#[test]
fn addresses_compare_and_print() {
    all_true(&[
        "ip('::ffff:10.0.0.1') == ip('10.0.0.1') && ip('::1') != ip('::2') && \
         string(ip('2001:DB8::0:1')) == '2001:db8::1'",
        "cidr('10.0.0.1/8') != cidr('10.0.0.0/8') && cidr('10.0.0.1/8').masked() == \
         cidr('10.0.0.0/8')",
        "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1') && \
         !ip.isCanonical('::ffff:10.0.0.1')",
        "cidr('10.0.0.0/8').containsIP(source.address) && \
         !cidr('192.168.0.0/16').containsIP(ip(source.address))",
        "[cidr('10.0.0.0/8'), cidr('fd00::/8')].exists(range, range.containsIP(source.address))",
        "!isIP('') && isIP('10.0.0.1') && isCIDR('::/0') && !isCIDR('::')",
    ]);
    all_err(&[
        "ip(request.path).family() == 4",
        "cidr(request.path).prefixLength() == 4",
        "ip.isCanonical(request.path)",
        "cidr('10.0.0.0/8').containsIP(request.path)",
        "cidr('10.0.0.0/8').containsCIDR(request.path)",
    ]);
}

#[test]
fn the_first_match_is_replaced() {
    all_true(&[
        concat!(
            r#""/path/1/id/499c81c2/bar".regexReplace("/path/([0-9]+?)/id/([0-9a-z]{8})/bar", "#,
            r#""/path/{n}/id/{id}/bar") == "/path/{n}/id/{id}/bar""#,
        ),
        r#""blah id=1234 bar".regexReplace("id=(.+?) ", "[$1] ") == "blah [1234] bar""#,
        concat!(
            r#""ab".regexReplace("a" + "b", "12") == "12" && "aaa".regexReplace("a", "b") == "#,
            r#""baa" && "x".regexReplace("a", "$0") == "x""#,
        ),
        concat!(
            r#""ab".regexReplace("(?P<x>a)(b)", "${x}$$$2$3-$x_") == "a$b-" && "#,
            r#""".regexReplace("^", "a") == "a""#,
        ),
        r#""h\u00e9y".regexReplace(".y", "$0!") == "h\u00e9y!""#,
    ]);
    all_err(&[r#""a".regexReplace("(" + "", "b") == "a""#, r#""a".matches("a{300}{300}" + "")"#]);
    let long = "a".repeat(40_000);
    assert!(
        on(&[("a", long.as_bytes())], "request.headers.a.regexReplace('.*', '$0$0') != ''")
            .is_err()
    );
    let pattern = "a".repeat(257);
    assert!(on(&[("a", pattern.as_bytes())], "'a'.matches(request.headers.a)").is_err());
    assert_eq!(on(&[("a", b"^[a-z]+$")], "'abc'.matches(request.headers.a)"), Ok(true));
    // What is charged is what a pattern does, whether or not it is made at a request.
    for (pattern, fits) in [("^a", true), ("[ab]{0,200}b", false)] {
        let text = "a".repeat(60_000);
        let lines: &[(&str, &[u8])] = &[("a", text.as_bytes()), ("b", pattern.as_bytes())];
        assert_eq!(
            on(lines, "request.headers.a.matches(request.headers.b)").is_ok(),
            fits,
            "{pattern}"
        );
        assert_eq!(
            on(lines, "request.headers.a.regexReplace(request.headers.b, '').contains('b')")
                .is_ok(),
            fits,
            "{pattern}"
        );
        assert_eq!(
            on(lines, &format!("request.headers.a.matches('{pattern}')")).is_ok(),
            fits,
            "{pattern}"
        );
    }
}

#[test]
fn values_of_headers_are_made_by_functions_too() {
    assert_eq!(
        value("'t-' + sha256.encode(source.spiffeId).substring(0, 4)"),
        Ok(b"t-".iter().copied().chain(*b"5328").collect())
    );
    assert_eq!(
        value("toJson({'caller': source.identity.namespace})"),
        Ok(br#"{"caller":"team-a"}"#.to_vec())
    );
    assert_eq!(value("base64.decode('aGk=')"), Ok(b"hi".to_vec()));
    assert!(
        refused("json('1').merge({})", Expected::Header)
            .contains("a header's value is a string or bytes, this gives map")
    );
}
