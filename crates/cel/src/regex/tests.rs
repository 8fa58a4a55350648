#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::meter::Allowance;

#[cfg(not(target_arch = "wasm32"))]
mod against_the_regex_crate;
#[cfg(not(target_arch = "wasm32"))]
mod translated;

/// What RE2 (the library, 2025-11) finds in these texts, where the `regex` crate by itself would
/// find something else, or take or refuse another pattern.
#[test]
fn patterns_mean_what_they_mean_in_re2() {
    for (pattern, text, expected) in [
        (r"\d", "\u{663}", None),
        (r"\D", "\u{663}", Some("\u{663}")),
        (r"\w", "\u{e9}", None),
        (r"\W", "\u{e9}", Some("\u{e9}")),
        (r"\s", "\u{b}", None),
        (r"\S", "\u{a0}", Some("\u{a0}")),
        (r"[[:space:]]", "\u{b}", Some("\u{b}")),
        (r"\bb", "\u{e9}b", Some("b")),
        (r"a\B", "a\u{e9}", None),
        (r"[\d\w]", "\u{663}\u{e9}", None),
        (r"[^\D]", "\u{663}4", Some("4")),
        (r"[a&&b]", "&", Some("&")),
        (r"[a~~b]", "~", Some("~")),
        (r"[a[b]", "[", Some("[")),
        (r"[+--]", ",", Some(",")),
        (r"[]a]", "]", Some("]")),
        (r"[a-]", "-", Some("-")),
        (r"[a-c-e]", "d-", Some("-")),
        (r"\<a\>", "<a>", Some("<a>")),
        (r"\<a\>", "a", None),
        (r"\b{start}a", "a", None),
        (r"a{,2}", "aa", None),
        (r"a{,2}", "a{,2}", Some("a{,2}")),
        (r"{", "{", Some("{")),
        (r"a{02}", "aa", None),
        (r"a{2}", "aaa", Some("aa")),
        (r"\Qa.b\E+", "a.bb", Some("a.bb")),
        (r"\Q[", "[", Some("[")),
        (r"\101\x41\x{41}", "AAA", Some("AAA")),
        (r"\0", "\0", Some("\0")),
        (r"\a\f\n\r\t\v\07", "\x07\x0c\n\r\t\x0b\x07", Some("\x07\x0c\n\r\t\x0b\x07")),
        (r"(?i)k", "\u{212a}", Some("\u{212a}")),
        (r"(?P<n>a)(?<m>b)", "ab", Some("ab")),
        (r"^a$", "a\n", None),
        (r"(?m)^a$", "b\na\n", Some("a")),
        (r"a.b", "a\nb", None),
        (r"(?s)a.b", "a\nb", Some("a\nb")),
        (r"a\z", "a", Some("a")),
        (r"(?U)a+", "aa", Some("a")),
        ("a#b c", "a#b c", Some("a#b c")),
        (r"a|ab", "ab", Some("a")),
    ] {
        let compiled = Compiled::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let groups = compiled.captures(text, &Allowance::whole()).unwrap();
        assert_eq!(groups.and_then(|groups| groups.get(0)), expected, "{pattern} in {text:?}");
        assert_eq!(
            compiled.is_match(text, &Allowance::whole()),
            Ok(expected.is_some()),
            "{pattern} in {text:?}"
        );
    }
}

#[test]
fn what_re2_refuses_is_refused() {
    for pattern in [
        r"\Z",
        r"\h",
        r"\u0041",
        r"\e",
        r"\cA",
        r"\1",
        r"\8",
        r"\E",
        r"a**",
        "a++",
        "a{2}{3}",
        "(?x)a",
        "(?u)a",
        "(?R)a",
        "(?P=n)",
        "(?=a)",
        "(?<!a)",
        "(?>a)",
        "(?#a)",
        "*",
        "a{1001}",
        "(",
        ")",
        "[",
        "[]",
        "[z-a]",
        r"[\b]",
        r"[a-\d]",
        "[[:foo:]]",
        r"\x{110000}",
        r"\x4",
        r"\",
        "(?<>a)",
        "(?P<a b>c)",
    ] {
        assert!(Compiled::new(pattern).is_err(), "{pattern}");
    }
}

/// The page on functions states these.
#[test]
fn some_that_re2_takes_are_refused() {
    for pattern in
        [r"\pN", r"\p{Greek}", r"\PL", r"\C", r"[\pL]", "a(?i)+", r"(?P<n>a)|(?P<n>b)", r"\x{D800}"]
    {
        assert!(Compiled::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn sizes_are_bounded_and_smaller_for_what_a_request_makes() {
    assert!(Compiled::new(&"a".repeat(2048)).is_ok());
    assert!(Compiled::new(&"a".repeat(2049)).unwrap_err().contains("the limit is 2048"));
    assert!(Compiled::new("((a{1000}){1000}){1000}").unwrap_err().contains("once compiled"));
    for pattern in
        ["^/repos/[a-z]+(/[0-9]{1,9})?$", "(?i)bearer [-._~+/a-z0-9]+=*", &"a".repeat(256)]
    {
        assert!(Compiled::at_a_request(pattern, &Allowance::whole()).is_ok(), "{pattern}");
    }
    for pattern in [&"a".repeat(257), "(a{100}){100}", ".{1000}b{1000}"] {
        assert!(Compiled::at_a_request(pattern, &Allowance::whole()).is_err(), "{pattern}");
    }
}

/// How many steps this spends.
fn steps(allowance: &Allowance, run: impl FnOnce(&Allowance)) -> u64 {
    let before = allowance.spent();
    run(allowance);
    allowance.spent().saturating_sub(before)
}

#[test]
fn a_match_spends_what_it_does_and_ends_when_that_is_too_much() {
    for pattern in [
        "a{1,1000}b",
        "[a-z]{0,1000}[a-z]{0,1000}0",
        "gh[pousr]_[A-Za-z0-9_]{36,255}[^A-Za-z0-9_]",
        "(a*)*b",
        "(x?){500}y",
        "(?:(a)|(b)|(c)|.){0,100}!",
    ] {
        let compiled = Compiled::new(pattern).unwrap();
        let mut last = 0;
        for length in [100, 1_000, 10_000, 90_000] {
            let text = "ghp_aaaa".repeat(length / 8);
            let mut ended = false;
            let allowance = Allowance::whole();
            let spent = steps(&allowance, |allowance| {
                ended = compiled.is_match(&text, allowance).is_err();
            });
            assert_eq!(
                spent,
                steps(&Allowance::whole(), |allowance| _ = compiled.is_match(&text, allowance)),
                "{pattern}: another time, another sum"
            );
            assert!(spent >= last, "{pattern}: {length} bytes take {spent}, fewer took {last}");
            // What is visited at one place in the text may be spent above the limit.
            assert!(spent < crate::limits::MAX_STEPS + 12_000, "{pattern}: {spent}");
            assert_eq!(ended, spent + 2 >= crate::limits::MAX_STEPS, "{pattern}");
            assert_eq!(allowance.breached().is_some(), ended, "{pattern}");
            last = spent;
        }
    }
}

#[test]
fn ordinary_patterns_spend_little() {
    for (pattern, text, most) in [
        ("^/repos/[a-z]+(/[0-9]{1,9})?$", "/repos/organisation/12345".to_owned(), 40),
        ("admin", "/".repeat(60_000), 4_000),
        ("^admin", "/".repeat(60_000), 2),
        ("^[a-z/]*$", "/".repeat(60_000), 80_000),
    ] {
        let compiled = Compiled::new(pattern).unwrap();
        let spent = steps(&Allowance::whole(), |allowance| _ = compiled.is_match(&text, allowance));
        assert!(spent <= most, "{pattern}: {spent}");
    }
}

#[test]
fn a_pattern_made_at_a_request_spends_what_it_compiles_to() {
    let of = |pattern: &str| {
        steps(&Allowance::whole(), |allowance| drop(Compiled::at_a_request(pattern, allowance)))
    };
    assert!(of("abc") < 10);
    assert!(of("(?:a{36}){36}") > of("a{36}") + 100);
}

#[test]
fn ignoring_the_case_of_many_characters_is_bounded() {
    let wide = format!("(?i){}", r"[\D]".repeat(400));
    assert!(Compiled::new(&wide).unwrap_err().contains("case of too many characters"));
    assert!(Compiled::at_a_request(r"(?i)[\D][\D]", &Allowance::whole()).is_err());
    assert!(Compiled::at_a_request(r"(?i)[\D]\W[^a-z]", &Allowance::whole()).is_ok());
    assert!(Compiled::new(&format!("(?i){}", "ab[c-z]".repeat(250))).is_ok());
}

/// None of these may take time or memory that its size does not show.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn what_compiles_to_nothing_is_not_repeated() {
    for pattern in
        ["(?:(?:(?:(?:){1000}){1000}){1000}){1000}", "(?:(?:a{0}){1000}){1000}", "(?:){1000}*"]
    {
        let begun = std::time::Instant::now();
        let _ = Compiled::new(pattern);
        assert!(begun.elapsed().as_secs() < 1, "{pattern}");
    }
}
