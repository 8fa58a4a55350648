//! Generated patterns and texts, in this engine and in the `regex` crate.

use proptest::prelude::*;

use super::super::Compiled;
use super::translated::translate;
use crate::meter::Allowance;

/// The shortest patterns; among them what empty matches, cases and classes go wrong with.
const LEAVES: &[&str] = &[
    "a",
    "b",
    "k",
    "ab",
    "ss",
    "\u{e9}",
    "\u{3bb}",
    "\u{1f600}",
    "1",
    "_",
    "-",
    " ",
    ".",
    "(?s:.)",
    "",
    "()",
    "^",
    "$",
    "(?m:^)",
    "(?m:$)",
    "\\A",
    "\\z",
    "\\b",
    "\\B",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\n",
    "[ab]",
    "[^a]",
    "[^\\x00-\\x{10FFFF}]",
    "[a-k]",
    "[[:alpha:]]",
    "[[:^alpha:]]",
    "[\\d\\-x]",
    "[^\\W]",
    "[\u{e9}-\u{3bb}]",
    "(?i:k)",
    "(?i:s)",
    "(?i:[a-k])",
    "(?i:[^k])",
    "(?i:\\W)",
    "(?i:[\\W\\d])",
    "(?i:[[:lower:]])",
    "(?i:\u{3b8})",
    "(?i)b",
    "(?i-s)a",
    "(?U)",
    "(?m)",
    "\\Qa.b\\E",
    "\\x41",
    "\\.",
];

const REPEATS: &[&str] = &[
    "*", "+", "?", "{0}", "{1}", "{2}", "{3}", "{0,}", "{1,}", "{2,}", "{0,1}", "{0,2}", "{1,3}",
    "{2,3}",
];

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(LEAVES).prop_map(str::to_owned).prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            inner.clone().prop_map(|part| format!("({part})")),
            inner.clone().prop_map(|part| format!("(?U:{part})")),
            inner.clone().prop_map(|part| format!("(?i:{part})")),
            (inner.clone(), prop::sample::select(REPEATS), any::<bool>()).prop_map(
                |(part, repeat, lazy)| {
                    let lazy = if lazy { "?" } else { "" };
                    format!("(?:{part}){repeat}{lazy}")
                }
            ),
            (inner, prop::sample::select(REPEATS))
                .prop_map(|(part, repeat)| format!("({part}){repeat}")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let characters = &[
        'a',
        'a',
        'b',
        'b',
        'A',
        'k',
        'K',
        's',
        'S',
        '1',
        '_',
        '-',
        ' ',
        '.',
        '\n',
        '\u{e9}',
        '\u{3bb}',
        '\u{3b8}',
        '\u{3f4}',
        '\u{212a}',
        '\u{17f}',
        '\u{1f600}',
    ][..];
    prop::collection::vec(prop::sample::select(characters), 0..12).prop_map(String::from_iter)
}

/// What is neither pattern nor not: brackets and operators in any order.
fn scrap() -> impl Strategy<Value = String> {
    let parts = &[
        "a",
        "b",
        "(",
        ")",
        "(?:",
        "(?i",
        "(?P<n>",
        "(?<m>",
        "[",
        "]",
        "[^",
        "-",
        "|",
        "*",
        "+",
        "?",
        "{",
        "}",
        "{2}",
        "{1,2}",
        "{3,2}",
        ",",
        "1",
        "^",
        "$",
        "\\",
        "\\b",
        "\\d",
        "\\Q",
        "\\E",
        "[:alpha:]",
        "[[:word:]]",
        ".",
        "&&",
        "~~",
        "\\x",
        "\\x{",
        "(?",
        "(?U)",
        "(?s-i:",
        "\u{e9}",
        "\\0",
        "\\1",
        "<",
        ">",
    ][..];
    prop::collection::vec(prop::sample::select(parts), 0..9).prop_map(|parts| parts.concat())
}

fn agree(pattern: &str, texts: &[String]) {
    let theirs = translate(pattern).ok().and_then(|translated| regex::Regex::new(&translated).ok());
    let ours = Compiled::new(pattern);
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Some(theirs)) => (ours, theirs),
        (Err(message), None) => {
            return assert!(message.starts_with("the pattern cannot be read"), "{message}");
        }
        (ours, theirs) => panic!("{pattern}: {ours:?} here, {theirs:?} there"),
    };
    for text in texts {
        let allowance = Allowance::whole();
        let groups = ours.captures(text, &allowance).unwrap();
        let expected = theirs.captures(text);
        // Not its `is_match`: that passes over a character behind an empty match within it, so that
        // it finds nothing for `\W|\B` in `a\u{e9}a`.
        assert_eq!(
            ours.is_match(text, &allowance),
            Ok(expected.is_some()),
            "{pattern} in {text:?}"
        );
        assert_eq!(groups.is_some(), expected.is_some(), "{pattern} in {text:?}");
        let (Some(groups), Some(expected)) = (groups, expected) else { continue };
        for number in 0..expected.len() {
            let expected = expected.get(number).map(|group| (group.start(), group.end()));
            assert_eq!(groups.range(number), expected, "{pattern} in {text:?}: group {number}");
        }
    }
}

/// So many cases, or as many as `EGRESS_REGEX_CASES` says.
fn cases(cases: u32) -> ProptestConfig {
    let asked = std::env::var("EGRESS_REGEX_CASES").ok().and_then(|asked| asked.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn matches_and_groups_are_the_regex_crates(
        pattern in pattern(),
        texts in prop::collection::vec(text(), 3),
    ) {
        agree(&pattern, &texts);
    }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn what_is_a_pattern_is_what_the_regex_crate_takes(
        pattern in scrap(),
        texts in prop::collection::vec(text(), 1),
    ) {
        agree(&pattern, &texts);
    }
}
