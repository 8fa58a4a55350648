#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::bounded::MAX_TEXT;
use crate::eval::EXCEEDED;
use crate::meter::Allowance;
use crate::tests::message::{Scene, TABLE, View};
use crate::{Expected, Expression, Phase, Scope};

/// A request with this many headers, and a path of this many bytes.
fn with_request<T>(headers: usize, path: usize, run: impl FnOnce(&View<'_>) -> T) -> T {
    let path = format!("/{}", "a".repeat(path.saturating_sub(1)));
    let names: Vec<String> = (0..headers).map(|index| format!("x-{index}")).collect();
    let lines = std::iter::once((&b":path"[..], path.as_bytes()))
        .chain(names.iter().map(|name| (name.as_bytes(), &b"v"[..])))
        .collect();
    Scene { lines, ..Scene::default() }.view(Phase::Request, run)
}

fn rule(source: &str, view: &View<'_>) -> Result<bool, String> {
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    compiled.matches(view, &Allowance::whole())
}

#[test]
fn a_large_request_buys_neither_memory_nor_time() {
    for source in [
        r#"request.headers.map(a, request.headers.map(b, request.path + "x")).size() == 100"#,
        concat!(
            r#"request.headers.map(a, request.headers.map(b, request.path.lowerAscii())).size() "#,
            r#"== 100"#,
        ),
        concat!(
            r#"request.headers.map(a, request.headers.map(b, {"k": request.path.replace("b", "#,
            r#""c")})).size() == 100"#,
        ),
        r#"[request.path + "x"].map(p, request.headers.map(a, [p, p, p])).size() == 1"#,
        r#"[[request.path + "x"]].map(p, request.headers.map(a, [p[0], p[0]])).size() == 1"#,
        concat!(
            r#"[request.path + "x", request.path + "y"].map(p, request.headers.map(a, true ? p : "#,
            r#""")).size() == 1"#,
        ),
        r#"request.headers.map(a, [request.path + "x"]).map(p, p + p + p).size() == 100"#,
        r#"request.headers.map(a, request.headers.map(b, a + b + request.path)).size() == 100"#,
        r#"request.headers.all(a, request.headers.all(b, request.path.matches("aab") || true))"#,
        r#"request.headers.all(a, !request.headers.exists(b, request.path.contains("no")))"#,
        concat!(
            r#"request.headers.filter(a, request.headers.exists_one(b, request.path.upperAscii() "#,
            r#"== b)).size() == 1"#,
        ),
        concat!(
            r#"request.headers.map(a, request.headers.map(b, "#,
            r#"string(bytes(request.path)))).size() == 100"#,
        ),
    ] {
        #[cfg(not(target_arch = "wasm32"))]
        let start = std::time::Instant::now();
        assert_eq!(
            with_request(100, 60_000, |view| rule(source, view)),
            Err(EXCEEDED.to_owned()),
            "{source}"
        );
        #[cfg(not(target_arch = "wasm32"))]
        assert!(start.elapsed().as_secs() < 10, "{source}: {:?}", start.elapsed());
    }
}

#[test]
fn what_is_caught_does_not_hide_that_the_budget_is_spent() {
    let spent =
        r#"request.headers.map(a, request.headers.map(b, request.path + "x")).size() == 100"#;
    with_request(100, 60_000, |view| {
        for source in [format!("dyn(({spent}) || true)"), format!("default(dyn({spent}), true)")] {
            assert_eq!(rule(&source, view), Err(EXCEEDED.to_owned()), "{source}");
        }
    });
}

#[test]
fn ordinary_loops_are_within_the_budget() {
    with_request(40, 100, |view| {
        for source in [
            concat!(
                r#"request.headers.all(a, request.headers.exists(b, a == b && request.headers[b] "#,
                r#"== "v"))"#,
            ),
            r#"request.headers.map(a, request.headers.map(b, a + b)).size() == 40"#,
            concat!(
                r#"request.path.split("").all(c, request.headers.exists(h, h.startsWith("x-") && "#,
                r#"h.lowerAscii() == h) && c != "")"#,
            ),
            r#"request.headers.filter(a, request.headers.exists_one(b, a == b)).size() == 40"#,
        ] {
            // The path has more characters than `split` makes parts.
            let source = source.replace(r#"split("")"#, r#"split("", 40)"#);
            assert_eq!(rule(&source, view), Ok(true), "{source}");
        }
    });
    with_request(100, 60_000, |view| {
        for source in [
            r#"request.headers.all(h, h.startsWith("x-"))"#,
            r#"request.headers.map(h, request.headers[h] + "!").size() == 100"#,
            r#"request.path.substring(50000).replace("a", "").size() == 0"#,
        ] {
            assert_eq!(rule(source, view), Ok(true), "{source}");
        }
    });
}

#[test]
fn a_sum_of_texts_is_bounded_the_same_however_it_is_evaluated() {
    for (path, fits) in [(MAX_TEXT - 1, true), (MAX_TEXT, false)] {
        with_request(0, path, |view| {
            for source in [
                // Lowered; and left to the interpreter.
                r#"request.path + "x" != """#,
                r#""" + (request.path + "x") != """#,
                r#"(request.path + "x").size() > 0"#,
                r#"dyn(request.path) + dyn("x") != """#,
                r#"bytes(request.path) + b"x" != b"""#,
            ] {
                assert_eq!(rule(source, view).is_ok(), fits, "{source} with a path of {path}");
            }
        });
    }
}

#[test]
fn a_sum_is_what_cel_says() {
    for source in [
        "1 + 2 == 3",
        "1u + 2u == 3u",
        "1.5 + 2.0 == 3.5",
        "[1] + [2] == [1, 2]",
        "b'a' + b'b' == b'ab'",
        "[1, 2].map(x, x + 1) == [2, 3]",
        "[1, 2].map(x, [x] + [x]) == [[1, 1], [2, 2]]",
        "[1, 2, 3].filter(x, x + 1 > 2).map(x, string(x) + '!') == ['2!', '3!']",
        "[1, 2].exists_one(x, x + 1 == 2)",
        "[1].map(x, [2].map(y, x + y)) == [[3]]",
        "[1].map(x, {'k': x, 'l': [x]}) == [{'k': 1, 'l': [1]}]",
    ] {
        assert_eq!(with_request(0, 1, |view| rule(source, view)), Ok(true), "{source}");
    }
    for source in [
        "9223372036854775807 + 1 == 0",
        "dyn(1) + dyn('a') == dyn(1)",
        "dyn(true) + dyn(true) == dyn(1)",
        "dyn('a') + dyn(1) == dyn(1)",
    ] {
        assert!(with_request(0, 1, |view| rule(source, view)).is_err(), "{source}");
    }
}

#[test]
fn names_of_fields_in_other_alphabets_are_paid_for_by_the_byte() {
    // Of U+0390, three letters are made, each of which has other forms.
    for (letter, least) in [("a", 16_000), ("\u{390}", 73_000), ("\u{4e00}", 73_000)] {
        let document = format!("{{\"{}\": 1}}", letter.repeat(57_000 / letter.len()));
        let scene = Scene { lines: vec![(b"x", document.as_bytes())], ..Scene::default() };
        let source = "json(request.headers['x']).size() == 1";
        let rule = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule);
        let (rule, allowance) = (rule.expect(source), Allowance::whole());
        let found = scene.view(Phase::Request, |view| rule.matches(view, &allowance));
        assert_eq!((found, allowance.breached()), (Ok(true), None), "{letter}");
        let spent = allowance.spent();
        assert!((least..least + 1_000).contains(&spent), "{letter}: {spent}");
    }
}

#[test]
fn fields_in_thousands_are_paid_for_as_they_are_sorted() {
    for (count, least) in [(64, 100), (4_000, 62_000)] {
        let fields: Vec<String> = (0..count).map(|field| format!("\"k{field:04}\":1")).collect();
        let document = format!("{{{}}}", fields.join(","));
        let scene = Scene { lines: vec![(b"x", document.as_bytes())], ..Scene::default() };
        let source = format!("json(request.headers['x']).size() == {count}");
        let rule = Expression::compile(Scope::of(&TABLE), &source, Phase::Request, Expected::Rule);
        let (rule, allowance) = (rule.expect(&source), Allowance::whole());
        let found = scene.view(Phase::Request, |view| rule.matches(view, &allowance));
        assert_eq!((found, allowance.breached()), (Ok(true), None), "{count}");
        let spent = allowance.spent();
        assert!((least..least + 2_000).contains(&spent), "{count}: {spent}");
    }
}
