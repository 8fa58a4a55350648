//! The sort against the standard library's.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::by;

/// Sorts pairs by their first part, here and by the standard library.
fn assert_sorted(mut items: Vec<(u8, usize)>) {
    let mut expected = items.clone();
    expected.sort_by_key(|(key, _)| *key);
    let given = items.clone();
    by(&mut items, |(a, _), (b, _)| a.cmp(b));
    assert_eq!(items, expected, "{given:?}");
}

fn numbered(keys: impl IntoIterator<Item = u8>) -> Vec<(u8, usize)> {
    keys.into_iter().zip(0..).collect()
}

#[test]
fn every_short_list_is_sorted_as_the_standard_library_sorts_it() {
    for length in 0..=6_u32 {
        for number in 0..4_u32.pow(length) {
            let keys = (0..length).map(|place| (number >> (2 * place) & 3) as u8);
            assert_sorted(numbered(keys));
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn long_lists_are_sorted_as_the_standard_library_sorts_them(
            many in vec(any::<u8>(), 0..300),
            alike in vec(0..4_u8, 0..60),
        ) {
            assert_sorted(numbered(many));
            assert_sorted(numbered(alike));
        }
    }
}
