//! Looking at eight bytes at once. What a test of words does not pass is to be looked at byte by
//! byte: a test may refuse more than it must, and never less.

/// Whether a test passes for all bytes, eight at a time. Where eight do not come out even, the last
/// word has some bytes for a second time, or is filled up with `a`.
#[inline(always)]
pub fn all(bytes: &[u8], test: impl Fn(u64) -> bool) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        let filled = bytes
            .iter()
            .fold(EACH.wrapping_mul(b'a' as u64), |word, byte| (word << 8) | u64::from(*byte));
        return test(filled);
    };
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().all(|word| test(u64::from_le_bytes(*word))) && test(u64::from_le_bytes(*last))
}

/// A byte of 1 in each place.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGH: u64 = EACH << 7;

/// Whether all bytes of a word are printable ASCII or above ASCII: no control byte, and no DEL.
#[inline(always)]
pub fn has_no_control(word: u64) -> bool {
    let below_blank = word.wrapping_sub(EACH.wrapping_mul(b' ' as u64)) & !word;
    let from_del = word ^ EACH.wrapping_mul(0x7f);
    let is_del = from_del.wrapping_sub(EACH) & !from_del;
    (below_blank | is_del) & HIGH == 0
}

/// How often a byte is among these.
pub fn count(bytes: &[u8], byte: u8) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_words = words.iter().map(|word| {
        let other = u64::from_le_bytes(*word) ^ EACH.wrapping_mul(u64::from(byte));
        // The highest bit of each byte that is not zero. There is no carry out of seven bits.
        let not_zero = ((other & !HIGH).wrapping_add(!HIGH) | other) & HIGH;
        usize::try_from(not_zero.count_zeros()).unwrap_or(0).wrapping_sub(56)
    });
    let of_rest = rest.iter().map(|own| usize::from(*own == byte));
    of_words.chain(of_rest).fold(0, usize::saturating_add)
}

/// Whether all bytes of a word are ASCII.
#[inline(always)]
pub fn is_ascii(word: u64) -> bool {
    word & HIGH == 0
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        let text = b"a text of more than two words";
        for length in 0..text.len() {
            let text = &text[..length];
            assert!(all(text, has_no_control) && all(text, is_ascii), "{length}");
            for position in 0..length {
                for byte in 0..=255 {
                    let mut other = text.to_vec();
                    other[position] = byte;
                    let plain = byte >= b' ' && byte != 0x7f;
                    assert!(plain || !all(&other, has_no_control), "{byte} at {position}");
                    assert_eq!(all(&other, is_ascii), byte.is_ascii(), "{byte} at {position}");
                }
            }
        }
    }

    #[test]
    fn a_byte_is_counted_wherever_it_stands() {
        for length in 0..40 {
            for byte in [0, b'|', 0x7f, 0x80, 0xff] {
                for step in 1..9 {
                    let other = byte ^ 0x01;
                    let at = |index: usize| if index % step == 0 { byte } else { other };
                    let text: Vec<u8> = (0..length).map(at).collect();
                    let there = text.iter().filter(|own| **own == byte).count();
                    assert_eq!(count(&text, byte), there, "{byte} in {text:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_plain_is_refused() {
        for byte in (b' '..0x7f).chain(0x80..=255) {
            assert!(has_no_control(EACH.wrapping_mul(u64::from(byte))), "{byte}");
        }
    }
}
