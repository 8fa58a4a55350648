//! A fast hash for keys that come from the configuration, or that only choose a slot. A collision
//! costs time and has no other effect.

use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys come from the configuration.
pub type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Fast>>;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes a word into a hash.
pub fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(MULTIPLIER);
    product ^ (product >> 29)
}

/// The hash of some bytes, eight at a time.
pub fn bytes(bytes: &[u8]) -> u64 {
    let mut hash = u64::try_from(bytes.len()).unwrap_or(0);
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        hash = mix(hash, u64::from_le_bytes(*word));
        rest = after;
    }
    let tail = rest.iter().fold(0_u64, |tail, byte| (tail << 8) | u64::from(*byte));
    mix(hash, tail)
}

/// Whether two texts are the same, eight bytes at a time: a wasm libc compares byte by byte.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (mut a, mut b) = (a, b);
    while let (Some((word_a, rest_a)), Some((word_b, rest_b))) =
        (a.split_first_chunk::<8>(), b.split_first_chunk::<8>())
    {
        if u64::from_le_bytes(*word_a) != u64::from_le_bytes(*word_b) {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// The hasher of [`Map`].
#[derive(Debug, Default)]
pub struct Fast(u64);

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, part: &[u8]) {
        self.0 = mix(self.0, bytes(part));
    }

    fn write_u8(&mut self, word: u8) {
        self.0 = mix(self.0, u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.0 = mix(self.0, u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn texts_that_differ_anywhere_are_not_the_same() {
        let text = b"spiffe://cluster.local/ns/team-a/sa/team-a";
        assert!(same(text, text) && same(b"", b""));
        for position in 0..text.len() {
            let mut other = text.to_vec();
            other[position] ^= 1;
            assert!(!same(text, &other), "{position}");
            assert_ne!(bytes(text), bytes(&other), "{position}");
            assert!(!same(text, &text[..position]), "{position}");
            assert_ne!(bytes(text), bytes(&text[..position]), "{position}");
        }
    }
}
