#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::*;

/// Both as a sorted list of ranges.
fn folded(ranges: &[(u32, u32)]) -> (ClassUnicode, ClassUnicode) {
    let class = |ranges: &[(u32, u32)]| {
        let char_of = |code: u32| char::from_u32(code).unwrap();
        ClassUnicode::new(
            ranges.iter().map(|(a, b)| ClassUnicodeRange::new(char_of(*a), char_of(*b))),
        )
    };
    let mut theirs = class(ranges);
    theirs.try_case_fold_simple().unwrap();
    (class(&with_other_cases(ranges)), theirs)
}

#[test]
fn every_character_has_the_cases_that_the_regex_crate_gives_it() {
    for code in (0..=0x10_ffff).filter(|code| char::from_u32(*code).is_some()) {
        let ours = with_other_cases(&[(code, code)]);
        // The crate takes its time where a character has no other case, which most have not.
        let plain = ours.len() == 1 && !(0x41..0x1_f000).contains(&code);
        if !plain {
            let (ours, theirs) = folded(&[(code, code)]);
            assert_eq!(ours, theirs, "{code:x}");
        }
    }
    let (ours, theirs) = folded(&[(0x1_f000, 0x10_ffff)]);
    assert_eq!(ours, theirs);
}

#[test]
fn ranges_have_the_cases_of_all_their_characters() {
    let points = [
        0x40, 0x41, 0x4b, 0x5a, 0x6b, 0xb5, 0x101, 0x12f, 0x17f, 0x1c5, 0x345, 0x3b8, 0x2126,
        0x212a, 0xd7ff,
    ];
    for first in points {
        for last in points.into_iter().filter(|last| *last >= first) {
            let (ours, theirs) = folded(&[(first, last)]);
            assert_eq!(ours, theirs, "{first:x} to {last:x}");
        }
    }
}
