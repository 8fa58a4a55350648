//! Comparing bytes with a constant: eight at a time, since wasm's own `memcmp` goes one by one.

pub(crate) fn same<const N: usize>(bytes: &[u8], constant: &[u8; N]) -> bool {
    let Ok(bytes) = <&[u8; N]>::try_from(bytes) else { return false };
    let (words, rest) = bytes.as_chunks::<8>();
    let (other_words, other_rest) = constant.as_chunks::<8>();
    let words = words
        .iter()
        .zip(other_words)
        .all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other));
    words && rest.iter().zip(other_rest).all(|(one, other)| one == other)
}
