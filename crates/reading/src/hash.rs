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
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    // What is left is read with bytes before it, as the last word is read at once.
    let tail = match (bytes.last_chunk::<8>(), rest) {
        (_, []) => return hash,
        (Some(last), _) => u64::from_le_bytes(*last),
        (None, _) => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | (u64::from(u32::from_le_bytes(*last)) << 32)
            }
            _ => rest.iter().fold(0_u64, |tail, byte| (tail << 8) | u64::from(*byte)),
        },
    };
    mix(hash, tail)
}

/// Whether two texts are the same, eight bytes at a time: a wasm libc compares byte by byte. The
/// ends are compared first, where names and paths differ most often, and may overlap with what is
/// before them.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some((_, last_a)), Some((_, last_b)), Some(first_a), Some(first_b)) = (
        a.split_last_chunk::<8>(),
        b.split_last_chunk::<8>(),
        a.first_chunk::<8>(),
        b.first_chunk::<8>(),
    ) {
        return u64::from_le_bytes(*last_a) == u64::from_le_bytes(*last_b)
            && u64::from_le_bytes(*first_a) == u64::from_le_bytes(*first_b)
            && (a.len() <= 16 || same_words(a.as_chunks::<8>().0, b.as_chunks::<8>().0));
    }
    if let (Some((_, last_a)), Some((_, last_b))) =
        (a.split_last_chunk::<4>(), b.split_last_chunk::<4>())
    {
        return last_a == last_b && a.first_chunk::<4>() == b.first_chunk::<4>();
    }
    match (a, b) {
        ([], []) => true,
        ([a], [b]) => a == b,
        ([a, c, .., e], [b, d, .., f]) => a == b && c == d && e == f,
        ([a, c], [b, d]) => a == b && c == d,
        _ => false,
    }
}

fn same_words(a: &[[u8; 8]], b: &[[u8; 8]]) -> bool {
    a.iter().zip(b).all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
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
        // Of every length, at every place.
        for length in 0..text.len() {
            let whole = &text[..length];
            let copy = whole.to_vec();
            assert!(same(whole, &copy), "{length}");
            assert_eq!(bytes(whole), bytes(&copy), "{length}");
            for position in 0..length {
                let mut other = whole.to_vec();
                other[position] ^= 0x20;
                assert!(!same(whole, &other), "{length} {position}");
                assert_ne!(bytes(whole), bytes(&other), "{length} {position}");
            }
        }
    }
}
