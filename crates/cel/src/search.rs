//! A substring search that charges for its actual work. The standard library's search may read each
//! byte of a hostile text dozens of times.

use super::meter::{self, Allowance};
use egress_reading::hash;

/// How many positions are examined for one step.
const POSITIONS_A_STEP: usize = 32;
/// How many bytes are compared at a promising position for the cost of one position.
const COMPARED_A_PLACE: usize = 8;

/// Whether the text contains the part; nothing if the steps do not suffice to find out.
pub(super) fn contains(text: &str, part: &str, allowance: &Allowance) -> Option<bool> {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let (Some(first), Some(last)) = (part.first(), part.last()) else { return Some(true) };
    let comparing = part.len().div_ceil(COMPARED_A_PLACE);
    let mut positions = 0_usize;
    for window in text.windows(part.len()) {
        positions = positions.wrapping_add(1);
        if window.first() == Some(first) && window.last() == Some(last) {
            positions = positions.saturating_add(comparing);
            if hash::same(window, part) {
                return allowance.spend_on(positions, POSITIONS_A_STEP).then_some(true);
            }
        }
        if positions >= POSITIONS_A_STEP {
            if !allowance.spend(meter::units(positions, POSITIONS_A_STEP)) {
                return None;
            }
            positions = 0;
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn it_finds_what_the_librarys_search_finds() {
        let texts =
            ["", "a", "aab", "aaaaab", "abcabcabd", "h\u{e9}llo", "\u{e9}\u{e9}a", "ababababc"];
        for text in texts {
            for part in texts.into_iter().chain(["b", "ab", "bc", "\u{e9}", "abd", "ba", "c"]) {
                let found = contains(text, part, &Allowance::whole());
                assert_eq!(found, Some(text.contains(part)), "{text:?} {part:?}");
            }
        }
    }

    #[test]
    fn what_an_adversary_sends_is_paid_for() {
        let allowance = Allowance::whole();
        let (text, part) =
            ("a".repeat(58_000), format!("{}b{}", "a".repeat(1_000), "a".repeat(1_000)));
        assert_eq!(contains(&text, &part, &allowance), None);
        assert!(allowance.breached().is_some());
        assert_eq!(contains(&text, "b", &Allowance::whole()), Some(false));
    }
}
