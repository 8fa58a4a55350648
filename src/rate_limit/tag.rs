//! SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", and its
//! reference implementation): a hash under a secret key. Callers write what is hashed, and without
//! the key nobody can make two texts with the same hash, or many that share a slot.

/// A key, or a hash, of 128 bits.
pub(super) type Bits = [u64; 2];

#[derive(Debug, Clone, Copy)]
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }

    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.round();
        self.v0 ^= word;
    }

    fn finish(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

/// Hashes some words (as their little-endian bytes) and the bytes behind them.
pub(super) fn hash([k0, k1]: Bits, words: &[u64], bytes: &[u8]) -> Bits {
    let mut state = State {
        v0: k0 ^ 0x736f_6d65_7073_6575,
        v1: k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        v2: k0 ^ 0x6c79_6765_6e65_7261,
        v3: k1 ^ 0x7465_6462_7974_6573,
    };
    for word in words {
        state.absorb(*word);
    }
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        state.absorb(u64::from_le_bytes(*chunk));
    }
    let length = words.len().wrapping_mul(8).wrapping_add(bytes.len()) as u64;
    let last = rest.iter().rev().fold(0_u64, |last, byte| last << 8 | u64::from(*byte));
    state.absorb(length << 56 | last);
    state.v2 ^= 0xee;
    let first = state.finish();
    state.v1 ^= 0xdd;
    [first, state.finish()]
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const KEY: Bits = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

    fn hex([first, second]: Bits) -> String {
        format!("{:016x}{:016x}", first.swap_bytes(), second.swap_bytes())
    }

    /// `vectors_sip128` of the reference implementation: the bytes 0, 1, 2, ... under the key of
    /// the same bytes.
    #[test]
    fn hashes_are_those_of_the_reference_implementation() {
        for (length, expected) in [
            (0, "a3817f04ba25a8e66df67214c7550293"),
            (1, "da87c1d86b99af44347659119b22fc45"),
            (2, "8177228da4a45dc7fca38bdef60affe4"),
        ] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(hex(hash(KEY, &[], &bytes)), expected, "{length}");
        }
    }

    #[test]
    fn words_are_hashed_as_their_bytes() {
        let bytes: Vec<u8> = (0..200).collect();
        for length in 16..200 {
            let (words, rest) = (&bytes[..16], &bytes[16..length]);
            let words: Vec<u64> =
                words.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
            assert_eq!(hash(KEY, &words, rest), hash(KEY, &[], &bytes[..length]), "{length}");
        }
    }

    #[test]
    fn a_hash_depends_on_the_key_and_on_every_byte() {
        let text = b"spiffe://cluster.local/ns/team-a/sa/team-a";
        let own = hash(KEY, &[], text);
        assert_ne!(own, hash([KEY[0], KEY[1] ^ 1], &[], text));
        for at in 0..text.len() {
            let mut other = text.to_vec();
            other[at] ^= 1;
            assert_ne!(own, hash(KEY, &[], &other), "{at}");
        }
        assert_ne!(own, hash(KEY, &[], &[&text[..], b"\0"].concat()));
    }
}
