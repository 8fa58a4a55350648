//! `sha256.encode`, `sha1.encode` and `md5.encode`: digests as lower-case hex.
//!
//! SHA-1 and MD5 are for what was agreed with others, a cache key or a signature's old form; neither resists a collision.

use cel::common::types::{BYTES_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Evaluated, bytes, global, string};

pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    for taken in [|| STRING_TYPE, || BYTES_TYPE] {
        global(env, "sha256.encode", vec![taken()], |arguments| digest::<Sha256>("sha256.encode", &arguments))?;
        global(env, "sha1.encode", vec![taken()], |arguments| digest::<Sha1>("sha1.encode", &arguments))?;
        global(env, "md5.encode", vec![taken()], |arguments| digest::<Md5>("md5.encode", &arguments))?;
    }
    Ok(())
}

fn digest<'b, 'v, D: Digest>(function: &str, arguments: &[CowVal<'_, '_>]) -> Evaluated<'b, 'v> {
    Ok(string(hex(&D::digest(bytes(function, arguments, 0)?))))
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
