//! Header names that an origin may take for one another.

use crate::hash;
use crate::mends::{self, Mend};

/// A byte of a name as the most generous origin reads it.
///
/// CGI (RFC 3875 section 4.1.18) and its heirs make a variable of each name: `X-Role` becomes
/// `HTTP_X_ROLE`, and so does `X_Role`. PHP takes `.` for `_` too, and servers such as lighttpd
/// every character that is no letter or digit. The colon of pseudo-headers is no part of a name.
#[inline(always)]
pub fn fold(byte: u8) -> u8 {
    if !mends::is_on(Mend::Separators) && !matches!(byte, b'-' | b'_') {
        return byte.to_ascii_lowercase();
    }
    // The table has an entry for every byte.
    TABLE.get(usize::from(byte)).copied().unwrap_or(byte)
}

/// It is a look-up because it runs for every header.
static TABLE: [u8; 256] = FOLDED;
const FOLDED: [u8; 256] = {
    let mut table = [b'-'; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u8;
    while let Some((slot, after)) = rest.split_first_mut() {
        if byte.is_ascii_alphanumeric() || byte == b':' {
            *slot = byte.to_ascii_lowercase();
        }
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// A name's kind, one of 64: names that an origin may take for one another have the same kind, and
/// few others do. It comes from a name's length, its first byte and the one in its middle.
#[inline(always)]
#[allow(clippy::indexing_slicing, reason = "the tables have an entry for every byte")]
pub const fn kind(name: &[u8]) -> u8 {
    let bytes = match name {
        [] => 0,
        [first, ..] => {
            let middle = name[name.len() >> 1];
            OF_FIRST[*first as usize] ^ OF_MIDDLE[middle as usize]
        }
    };
    // Of a sum, only the lowest six bits count.
    (bytes as usize).wrapping_add(name.len()).to_le_bytes()[0] & 63
}

/// What a first byte, and one in the middle, have to do with a name's kind. The factors are such
/// that the names which are looked for in every request share their kinds with none that are often
/// there.
static OF_FIRST: [u8; 256] = mixed(55);
static OF_MIDDLE: [u8; 256] = mixed(22);

const fn mixed(factor: u8) -> [u8; 256] {
    let mut mixed = FOLDED;
    let mut rest: &mut [u8] = &mut mixed;
    while let Some((slot, after)) = rest.split_first_mut() {
        *slot = slot.wrapping_mul(factor) & 63;
        rest = after;
    }
    mixed
}

/// Whether an origin may take one name for the other.
#[inline]
pub fn same_to_some_origin(a: &[u8], b: &[u8]) -> bool {
    // Most names of one length differ in their last letter already.
    a.len() == b.len()
        && a.last().copied().map(fold) == b.last().copied().map(fold)
        && (hash::same(a, b) || a.iter().zip(b).all(|(a, b)| fold(*a) == fold(*b)))
}

/// The spelling of a name that policies use, where the name is spelled otherwise: `x_role` and
/// `x.role` are `x-role` too.
pub fn usual_spelling(name: &str) -> Option<String> {
    let is_usual = |byte: u8| fold(byte) == byte;
    (!name.bytes().all(is_usual)).then(|| name.bytes().map(|byte| char::from(fold(byte))).collect())
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_no_letter_or_digit_is_a_hyphen_to_some() {
        for other in
            ["X_Caller-Identity", "x.caller.identity", "x!caller~identity", "x+caller_Identity"]
        {
            assert!(same_to_some_origin(other.as_bytes(), b"x-caller-identity"), "{other}");
            assert_eq!(usual_spelling(other).as_deref(), Some("x-caller-identity"));
        }
        for other in
            ["x-callers-identity", "x-caller-identitys", "xcaller-identity", ":x-caller-identity"]
        {
            assert!(!same_to_some_origin(other.as_bytes(), b"x-caller-identity"), "{other}");
        }
        assert!(!same_to_some_origin(b"-path", b":path"), "no header is a pseudo-header");
        assert_eq!(usual_spelling("x-caller-identity"), None);
    }
}
