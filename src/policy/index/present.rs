//! Tells quickly of most keys that nothing is found by them.

/// Which keys may be there, told by a bit each: most keys that are looked up are not.
#[derive(Debug, Default)]
pub(super) struct Present {
    words: Vec<u64>,
    /// By how many bits a key is shifted to the position of its bit.
    shift: u32,
}

impl Present {
    /// There are eight to sixteen bits for each key.
    pub(super) fn of(keys: impl ExactSizeIterator<Item = u64>) -> Present {
        let bits = keys.len().saturating_mul(8).max(64).next_power_of_two();
        let shift = u64::BITS.saturating_sub(bits.trailing_zeros());
        let mut present = Present { words: vec![0; bits >> 6], shift };
        for key in keys {
            let (word, bit) = present.place(key);
            if let Some(word) = present.words.get_mut(word) {
                *word |= bit;
            }
        }
        present
    }

    /// The word that has a key's bit, and the bit.
    #[inline]
    fn place(&self, key: u64) -> (usize, u64) {
        let position = key.wrapping_shr(self.shift);
        let word = usize::try_from(position >> 6).unwrap_or(usize::MAX);
        (word, 1_u64.wrapping_shl(u32::try_from(position & 63).unwrap_or(0)))
    }

    /// Whether a key may be among them.
    #[inline]
    pub(super) fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::hash;

    #[test]
    fn what_is_there_is_found_and_most_of_the_rest_is_not() {
        let key = |number: u64| hash::mix(hash::bytes(format!("/org-{number}/").as_bytes()), 0x81);
        for count in [0, 1, 7, 64, 1_000, 10_000] {
            let keys: Vec<u64> = (0..count).map(key).collect();
            let present = Present::of(keys.iter().copied());
            assert!(keys.iter().all(|key| present.may_have(*key)), "{count}");
            let taken = (10_000..20_000).filter(|other| present.may_have(key(*other))).count();
            assert!(taken < 2_500, "{taken} of 10000 beside {count}");
        }
        assert!(!Present::default().may_have(0) && !Present::default().may_have(u64::MAX));
    }
}
