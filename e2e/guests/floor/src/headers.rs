//! The headers that the policy looks at, found in one pass over the serialised form.

use crate::authority;
use crate::bytes::same;

#[derive(Default)]
pub(crate) struct Seen<'a> {
    pub(crate) path: &'a [u8],
    authority: Option<&'a [u8]>,
    /// More than one `:authority`, or a `host` beside it.
    other_host: Option<&'a [u8]>,
    several_authorities: bool,
    pub(crate) caller_lines: u32,
    pub(crate) debug_lines: u32,
}

impl<'a> Seen<'a> {
    /// Reads a little-endian `u32` count, as many pairs of `u32` lengths, then each name and value
    /// with a NUL behind it.
    pub(crate) fn read(pairs: &'a [u8]) -> Option<Self> {
        let mut seen = Self::default();
        let (count, rest) = pairs.split_first_chunk::<4>()?;
        let (lengths, mut data) =
            rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(8)?)?;
        for pair in lengths.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            let (name, rest) = data.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize)?;
            let (value, rest) =
                rest.get(1..)?.split_at_checked(u32::from_le_bytes([e, f, g, h]) as usize)?;
            data = rest.get(1..)?;
            match name.len() {
                5 if same(name, b":path") => seen.path = value,
                10 if same(name, b":authority") => {
                    seen.several_authorities |= seen.authority.is_some();
                    seen.authority = Some(value);
                }
                4 if same(name, b"host") => seen.other_host = Some(value),
                17 if same(name, b"x-caller-identity") => seen.caller_lines += 1,
                16 if same(name, b"x-internal-debug") => seen.debug_lines += 1,
                _ => {}
            }
        }
        Some(seen)
    }

    /// The one host that the request names.
    pub(crate) fn one_host(&self) -> Option<&'a [u8]> {
        let host = match self.authority? {
            usual if same(usual, crate::HOST) => usual,
            other => authority::host(other)?,
        };
        let same =
            |other| authority::host(other).is_some_and(|other| other.eq_ignore_ascii_case(host));
        (!self.several_authorities && self.other_host.is_none_or(same)).then_some(host)
    }
}
