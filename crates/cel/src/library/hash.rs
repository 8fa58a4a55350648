//! `sha256.encode`, `sha1.encode` and `md5.encode`: digests as lower-case hex.
//!
//! SHA-1 and MD5 are for existing protocols, such as a cache key or an old form of signature.
//! Neither resists collisions.

use cel::common::value::CowVal;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Parameter::{Bytes, Text};
use super::Style::Global;
use super::{Evaluated, Overload, bytes, run, string};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("sha256.encode", Global, &[Text], |arguments| run(arguments, sha256)),
    Overload("sha256.encode", Global, &[Bytes], |arguments| run(arguments, sha256)),
    Overload("sha1.encode", Global, &[Text], |arguments| run(arguments, sha1)),
    Overload("sha1.encode", Global, &[Bytes], |arguments| run(arguments, sha1)),
    Overload("md5.encode", Global, &[Text], |arguments| run(arguments, md5)),
    Overload("md5.encode", Global, &[Bytes], |arguments| run(arguments, md5)),
];

fn sha256<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(string(sha256_hex(bytes("sha256.encode", arguments, 0)?)))
}

fn sha1<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(string(sha1_hex(bytes("sha1.encode", arguments, 0)?)))
}

fn md5<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(string(md5_hex(bytes("md5.encode", arguments, 0)?)))
}

/// The SHA-256 digest of some bytes.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Their SHA-1 digest.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes))
}

/// Their MD5 digest.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// Bytes as lower-case hex.
#[inline(never)]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
