use super::*;

fn one(text: &str) -> Node {
    let mut documents = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

#[test]
fn scalars_without_quotes_are_what_kubectl_makes_of_them() {
    for (text, expected) in [
        ("Off", "false"),
        ("on", "true"),
        ("y", "true"),
        ("No", "false"),
        ("'Off'", r#""Off""#),
        ("!!str Off", r#""Off""#),
        ("All", r#""All""#),
        ("~", "null"),
        ("0x1F", "31"),
        ("010", "8"),
        ("1_000", "1000"),
        ("-3", "-3"),
        ("1.50", "1.5"),
        ("1e3", "1000.0"),
        ("1.2.3", r#""1.2.3""#),
        ("2001-01-01", r#""2001-01-01""#),
        ("--", r#""--""#),
        ("+-1", r#""+-1""#),
        (".", r#"".""#),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(
            one(&format!("a: {text}")).to_json(),
            format!(r#"{{"a":{expected}}}"#),
            "{text}"
        );
    }
}

#[test]
fn every_field_is_kept_as_often_as_it_is_given() {
    assert_eq!(one("{a: 1, a: 2, on: 3}").to_json(), r#"{"a":1,"a":2,"true":3}"#);
}

#[test]
fn aliases_and_merges_are_resolved() {
    let node = one("base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\nlist: [*base]\n");
    assert_eq!(
        node.to_json(),
        r#"{"base":{"a":1,"b":2},"more":{"b":3,"a":1},"list":[{"a":1,"b":2}]}"#
    );
}

/// go-yaml 2 sets fields in the order they are written, those of `<<` in its place.
#[test]
fn what_is_merged_in_its_place_wins_over_nothing_that_is_written() {
    let base = "base: &base {a: 1, b: 2}\nother: &other {b: 4, c: 5}\n";
    for (more, expected) in [
        ("{<<: *base, b: 3}", r#"{"b":3,"a":1}"#),
        ("{c: 3, <<: *base}", r#"{"c":3,"a":1,"b":2}"#),
        ("{<<: [*base, *other]}", r#"{"a":1,"b":2,"c":5}"#),
        ("{<<: *base, <<: *other}", r#"{"a":1,"b":4,"c":5}"#),
    ] {
        let node = one(&format!("{base}more: {more}\n"));
        assert_eq!(node.at("more").unwrap().to_json(), expected, "{more}");
    }
    let text = format!("{base}more:\n  b: 3\n  <<: *base\n");
    let error = parse(&text).unwrap_err();
    assert_eq!(
        error.message,
        "`<<` stands behind `b` and wins over it in kubectl: put `<<` first, or leave one out"
    );
    assert!(text.get(error.at..).unwrap().starts_with("<<"), "{error:?}");
}

/// The tag and the anchor before a value are not part of it.
#[test]
fn a_value_begins_behind_its_tag_and_anchor() {
    for (text, expected) in [
        ("a: !!str x", "x"),
        ("a: &e \"x\"", "\"x\""),
        ("a: &e !!str 'x' # why", "'x'"),
        ("a: !!str &e x y", "x y"),
        ("a: !<tag:yaml.org,2002:str> Off", "Off"),
        ("a: &e\n  x", "x"),
        ("a: &e {b: c}", "{b: c}"),
        ("a: !!str  \"&x !y\"", "\"&x !y\""),
    ] {
        let node = one(text);
        assert_eq!(text.get(node.at("a").unwrap().span.clone()), Some(expected), "{text}");
    }
    for text in
        ["a: !!str |\n  !x one\n  two\n", "a: &e >-\n  &x one\n  two\n", "a: &e \"one x\"\n"]
    {
        let node = one(text);
        let node = node.at("a").unwrap();
        let value = node.as_str().unwrap();
        for (index, character) in
            value.chars().enumerate().filter(|(_, character)| character.is_alphanumeric())
        {
            assert!(
                text.get(node.byte_of(text, index)..).unwrap().starts_with(character),
                "{text}: {index}"
            );
        }
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, at) in [
        ("a: [1", 5),
        ("a: b: c", 4),
        ("a: *x", 3),
        ("a: .inf", 3),
        ("a: !x 1", 3),
        ("a:\n\t- b", 3),
    ] {
        match parse(text) {
            Err(error) => assert!(error.at.abs_diff(at) <= 2, "{text}: {error:?}"),
            Ok(documents) => panic!("{text}: {documents:?}"),
        }
    }
}

#[test]
fn nesting_and_aliases_are_bounded() {
    assert!(parse(&"[".repeat(10_000)).is_err());
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
    }
    assert_eq!(parse(&bomb).map(|_| ()).unwrap_err().message, "aliases make too much of this file");
}

#[test]
fn a_path_leads_to_its_value() {
    let text = "a:\n- b: {c: d}\n";
    let node = one(text);
    let found = node.at("a[0].b.c").unwrap();
    assert_eq!((found.as_str(), text.get(found.span.clone())), (Some("d"), Some("d")));
    assert!(node.at("a[1]").is_none() && node.at("a.b").is_none() && node.at("").is_some());
}

/// Each character of a text is found where it is written, however it is written.
#[test]
fn characters_of_a_text_are_found_in_the_source() {
    for text in [
        "a: one two\n",
        "a: 'it''s x'\n",
        "a: \"q \\\"u\\\" \\u0041 x\"\n",
        "a: |\n  one &&\n    two\n  x\n",
        "a: |-\n    one\n    ü x",
        "a: >\n  one\n  two\n  x\n",
        "a: >-  # why\n  one x\n",
        "- a:\n    one\n    two x\n",
        "- \"one\n   two x\"\n",
        "a: |\n\n\n  one x\n",
        "- |2\n    one x\n",
        "a: \"one \\\n  two x\"\n",
        "a: \"one\\\n  \\  two x\"\n",
        "a: \"one\n\n  two x\"\n",
        "a: 'one\n\n  two x'\n",
        "a: >\n  one\n\n  two x\n",
        "a: >\n  one\n\n\n  two x\n",
        "a: >\n  one\n    two\n  three x\n",
        "a: >\n\n  one\n   two\n\n  three x\n",
        "a: |\n  one\n\n\n  x\n",
        "a: |+\n    one\n      two\n\n    x\n\n",
        "a: one\n\n  two x\n",
    ] {
        let root = one(text);
        let node = [root.at("a"), root.at("[0].a"), root.at("[0]")]
            .into_iter()
            .flatten()
            .find(|node| node.as_str().is_some())
            .unwrap();
        let value = node.as_str().unwrap();
        for (index, character) in
            value.chars().enumerate().filter(|(_, character)| character.is_alphanumeric())
        {
            let at = node.byte_of(text, index);
            let written = text.get(at..).unwrap().chars().next().unwrap();
            assert!(
                written == character || written == '\\',
                "{text:?}: character {index} `{character}` of {value:?}: got `{written}` at {at}"
            );
        }
    }
}

#[test]
fn a_quoted_text_ends_with_its_quote() {
    for (text, expected) in
        [("a: 'it''s' # why", "'it''s'"), (r#"a: "b\"c"   # why"#, r#""b\"c""#), ("a: 'b'", "'b'")]
    {
        let node = one(text);
        assert_eq!(text.get(node.at("a").unwrap().span.clone()), Some(expected));
    }
}

#[test]
fn a_list_or_object_ends_with_its_bracket_or_its_last_entry() {
    for (text, expected) in [
        ("a: {b: [c]} # why", "{b: [c]}"),
        ("a: [b, {c: d} ]\n# why", "[b, {c: d} ]"),
        ("a:\n  b: c # why\nd: e", "b: c"),
        ("a:\n  - b: c\n  - d\n\n# why\nd: e", "- b: c\n  - d"),
        ("a:\n- {b: c}\n- d\n\n# why\nd: e", "{b: c}\n- d"),
        ("a: {} # }", "{}"),
        ("a: [b, # ]\n  \"]\" # ]\n  ] # ]", "[b, # ]\n  \"]\" # ]\n  ]"),
    ] {
        let node = one(text);
        assert_eq!(text.get(node.at("a").unwrap().span.clone()), Some(expected), "{text}");
    }
}

#[test]
fn documents_that_are_empty_are_left_out() {
    assert_eq!(parse("---\n# nothing\n---\na: 1\n---\n").unwrap().len(), 1);
}
