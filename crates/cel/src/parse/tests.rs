#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[cfg(not(target_arch = "wasm32"))]
mod against_antlr;

fn fault(source: &str) -> String {
    match parse(source) {
        Ok((tree, _)) => panic!("{source:?} is parsed: {tree:?}"),
        Err(fault) => {
            let (line, column) = line_and_column(source, fault.at);
            format!("{line}:{column} {}", fault.message)
        }
    }
}

#[test]
fn messages_name_the_place_and_the_mend() {
    for (source, message) in [
        ("", "1:1 expected an expression, got the end of the expression"),
        ("a ==", "1:5 expected an expression, got the end of the expression"),
        ("(a", "1:3 expected `)`, got the end of the expression"),
        ("f(a b)", "1:5 expected `,` or `)`, got `b`"),
        ("f(a,)", "1:5 expected an expression, got `)`"),
        ("[1 2]", "1:4 expected `,` or `]`, got `2`"),
        ("{1}", "1:3 expected `:`, got `}`"),
        ("{1: 2 3}", "1:7 expected `,` or `}`, got `3`"),
        ("M{1: 2}", "1:3 expected the name of a field, got `1`"),
        ("a b", "1:3 expected an operator or the end, got `b`"),
        ("a and b", "1:3 expected an operator or the end, got `and`: write `&&`"),
        ("a 'b'", "1:3 expected an operator or the end, got a string"),
        ("a)", "1:2 expected an operator or the end, got `)`"),
        ("a.", "1:3 expected a name behind the `.`, got the end of the expression"),
        ("a.true", "1:3 expected a name behind the `.`, got `true`"),
        ("a.1", "1:2 expected an operator or the end, got `.1`"),
        ("a ? b", "1:6 expected `:`, got the end of the expression"),
        (
            "a ? b ? c : d : e",
            "1:7 expected `:`, got `?`: put brackets around a conditional between `?` and `:`",
        ),
        ("a = b", "1:3 `=` means nothing here: write `==` to compare"),
        ("a & b", "1:3 `&` means nothing here: write `&&`"),
        ("a | b", "1:3 `|` means nothing here: write `||`"),
        (
            "a == \u{201c}b\u{201d}",
            "1:6 `\u{201c}` means nothing here: strings are in plain quotes, `\"` or `'`",
        ),
        ("a; b", "1:2 `;` means nothing here"),
        ("\u{0}", "1:1 `\\0` means nothing here"),
        ("'caf\u{e9}' == \u{e9}", "1:11 `\u{e9}` means nothing here"),
        ("a ||\n  b ==\n  )", "3:3 expected an expression, got `)`"),
        ("a == 'b", "1:6 a string is not closed: it ends with the quote it begins with"),
        (
            "a == \"b\nc\"",
            "1:6 a string is not closed on its line: one of several lines is in `\"\"\"`",
        ),
        ("a == '''b", "1:6 a string is not closed: it ends with the quote it begins with"),
        (r"a == '\", "1:7 a string is not closed: it ends with the quote it begins with"),
        (
            r"a == 'b\.c'",
            r#"1:8 a string has an escape that is none: write `\\` for a backslash, or `r"..."`"#,
        ),
        (
            r"'\x+1'",
            r#"1:2 a string has an escape that is none: write `\\` for a backslash, or `r"..."`"#,
        ),
        (r"'\ud800'", "1:2 an escape names no Unicode character"),
        (r"b'\u0041'", r"1:3 bytes have no `\u`: write `\x` and two digits for each byte"),
        (
            "rb'a'",
            "1:1 `rb` stands before a string as if it were its prefix: put a `+` between them, or \
             the quote into a string of the other kind",
        ),
        ("a == 9223372036854775808", "1:6 `9223372036854775808` is too large for an int"),
        ("-9223372036854775809", "1:1 `-9223372036854775809` is too large for an int"),
        ("18446744073709551616u", "1:1 `18446744073709551616u` is too large for a uint"),
        ("1e400", "1:1 `1e400` is too large for a double"),
        ("1 + if", "1:5 `if` is a reserved word of CEL, and no name"),
        ("!-a", "1:3 expected a number behind the `-`, got `a`"),
        ("`a-b` == 1", "1:1 a name in backticks stands behind a `.` only, as in `x.`a-b``"),
        (
            "a.`b",
            "1:3 a name in backticks holds letters, digits, `_`, `.`, `-`, `/` and spaces, and \
             ends with a backtick",
        ),
        ("has(a)", "1:5 `has` expects a field, as in `has(request.headers.host)`"),
        (
            "has(request.headers['x-a'])",
            "1:5 `has` expects a field, as in `has(request.headers.name)`; for this key write \
             `\"x-a\" in request.headers`",
        ),
        ("has(a()['x'])", "1:5 `has` expects a field, as in `has(request.headers.host)`"),
        ("a.all(1, true)", "1:7 `all` expects the name of a variable here"),
        ("a.all(.x, true)", "1:7 `all` expects the name of a variable here"),
        ("a.b.exists(k, k, true)", "1:1 `exists` has two variables, and both are named `k`"),
        ("math.greatest()", "1:1 `math.greatest` expects numbers, and gets no arguments"),
        ("1 + math.least(1, 'a')", "1:19 `math.least` expects numbers, or a list of numbers alone"),
    ] {
        assert_eq!(fault(source), message, "{source}");
    }
}

#[test]
fn nodes_stand_where_their_first_character_does() {
    let source = "f(1) &&\n \u{e9}".replace('\u{e9}', "a.b('\u{e9}') == x[2].y ? -z : {3: !w}");
    let (root, places) = parse(&source).unwrap();
    let mut found = Vec::new();
    let mut todo = vec![&root];
    while let Some(node) = todo.pop() {
        found.push((
            places.of(&source, node.id),
            format!("{:?}", std::mem::discriminant(&node.expr)),
        ));
        todo.extend(limits::children(node));
    }
    let mut at: Vec<(usize, usize)> = found.into_iter().map(|(at, _)| at).collect();
    at.sort_unstable();
    let columns = [2, 2, 2, 6, 14, 14, 14, 16, 23, 24, 28, 29, 32, 33];
    let expected: Vec<(usize, usize)> = [1, 1, 1, 3]
        .into_iter()
        .map(|column| (1, column))
        .chain(columns.map(|column| (2, column)))
        .collect();
    assert_eq!(at, expected);
}

#[test]
fn depth_is_bounded_in_every_direction() {
    let chain =
        |part: &str, join: &str| vec![part; 4096 / (part.len() + join.len()) - 1].join(join);
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(200), close.repeat(200));
    for source in [
        chain("1", "+"),
        chain("1", "<"),
        chain("1", " in "),
        chain("a", "."),
        chain("a", ".?"),
        chain("f()", "."),
        format!("a{}", "[0]".repeat(1000)),
        nested("(", ")"),
        nested("[", "]"),
        nested("f(", ")"),
        nested("{1:", "}"),
        nested("{", ":1}"),
        nested("a[", "]"),
        nested("M{a:", "}"),
        nested("!(", ")"),
        nested("a?b:", ""),
        nested("1+", ""),
        nested("1+(", ")"),
        nested("a.f(", ")"),
        nested("has(", ".a)"),
        format!("({})+{}", vec!["1"; 30].join("+"), vec!["1"; 30].join("+")),
        format!("{}1{}", "[1+".repeat(30), "]".repeat(30)),
    ] {
        let message = fault(&source);
        assert!(
            message.contains("nested too deep, the limit is 48"),
            "{}: {message}",
            source.get(..20).unwrap_or_default()
        );
    }
    assert!(fault(&"1".repeat(4097)).contains("the limit is 4096"));
    for source in [
        vec!["1"; MAX_DEPTH].join("+"),
        format!("{}1{}", "(".repeat(MAX_DEPTH - 1), ")".repeat(MAX_DEPTH - 1)),
        format!("{}1{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1)),
        format!("{}true", "!".repeat(4000)),
        vec!["a"; 1000].join("||"),
        format!("[{}]", vec!["1"; 2000].join(",")),
    ] {
        assert!(parse(&source).is_ok(), "{}", source.get(..20).unwrap_or_default());
    }
}

#[test]
fn comments_and_spaces_are_nothing() {
    let plain = parse("a+b").unwrap().0;
    for source in
        ["a + b", " a\t+\r\nb ", "a // it's \"\n + b", "a+b//", "// x\na+b // y", "a\x0c+b"]
    {
        assert_eq!(format!("{:?}", parse(source).unwrap().0), format!("{plain:?}"), "{source:?}");
    }
}

/// What slices a source, or counts in it, meets every length and every character there is.
#[test]
fn no_cut_or_garbled_source_panics() {
    let source = r#"a.?b[?0].all(x, x in [1.5e3, 0x1Fu, -2]) && has(a.`b c`) ? 'é\u00e9\x41\101'
        : b"\xff" + r'\' + """é😀""" // é
        || {1: M{a: ,}, ?2: [3,]} "#;
    let chars: Vec<char> = source.chars().collect();
    for start in 0..chars.len() {
        for end in start..chars.len() {
            let _ = parse(&chars[start..end].iter().collect::<String>());
        }
        for odd in ['"', '\'', '`', '\\', '\u{e9}', '\u{1f600}', '\u{0}', '.', '-', '0', '('] {
            let mut garbled = chars.clone();
            garbled[start] = odd;
            let _ = parse(&garbled.iter().collect::<String>());
        }
    }
}
