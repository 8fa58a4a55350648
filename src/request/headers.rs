//! Headers as bytes, in the order they came.

use std::borrow::Cow;

use egress_reading::{name, value};

/// One header line: its name and its value.
pub type Line<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A request's or response's headers, pseudo-headers among them, in order.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    lines: Vec<Line<'a>>,
    /// The kinds of names that are, or were, among the lines. Most look-ups are for names that are
    /// not there, and end here.
    kinds: Kinds,
    /// Whether a value has, or had, blanks around it.
    blank_ends: bool,
}

/// Kinds of names, as bits.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    seen: u64,
    /// The kinds that were seen more than once.
    repeated: u64,
}

impl Kinds {
    #[inline(always)]
    fn add(&mut self, name: &[u8]) {
        let kind = kind(name);
        self.repeated |= self.seen & kind;
        self.seen |= kind;
    }
}

/// A name's kind, as a bit. Names that an origin may take for one another have the same kind.
#[inline(always)]
pub(crate) fn kind(name: &[u8]) -> u64 {
    let fold = |byte: &u8| name::fold(*byte);
    let ends =
        name.first().map_or(0, fold).wrapping_mul(7) ^ name.last().map_or(0, fold).wrapping_mul(3);
    let length = u8::try_from(name.len() & 0xff).unwrap_or(0);
    1_u64.wrapping_shl(u32::from(ends.wrapping_add(length.wrapping_mul(11))))
}

/// Whether two names are equal apart from letter case. Most names of one length differ in their
/// last letter already.
fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.last().map(u8::to_ascii_lowercase) == b.last().map(u8::to_ascii_lowercase)
        && a.eq_ignore_ascii_case(b)
}

impl Clone for Headers<'_> {
    fn clone(&self) -> Self {
        // A copy is made in order to add lines.
        let mut lines = Vec::with_capacity(self.lines.len().saturating_add(8));
        lines.extend(self.lines.iter().cloned());
        Headers { lines, kinds: self.kinds, blank_ends: self.blank_ends }
    }
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Eq for Headers<'_> {}

impl<'a> Headers<'a> {
    /// Reads the serialized form in which hosts pass headers (proxy-wasm ABI 0.2.1,
    /// `proxy_get_header_map_pairs`): a little-endian `u32` count, as many pairs of `u32` lengths,
    /// then each name and value with a NUL behind it.
    ///
    /// Returns `None` if the bytes do not have that form.
    #[must_use]
    pub fn from_pairs(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Headers::default());
        }
        let (count, rest) = take_u32(bytes)?;
        // Each pair has eight bytes of lengths. A count that does not fit in the bytes is false,
        // and reserves no memory.
        let sizes_len = count.checked_mul(8)?;
        let (sizes, mut data) = rest.split_at_checked(sizes_len)?;
        let (mut lines, mut kinds, mut blank_ends) =
            (Vec::with_capacity(count), Kinds::default(), false);
        for pair in sizes.chunks_exact(8) {
            let (name_len, after) = take_u32(pair)?;
            let (value_len, _) = take_u32(after)?;
            let (name, after) = take_text(data, name_len)?;
            let (value, after) = take_text(after, value_len)?;
            data = after;
            kinds.add(name);
            blank_ends |= value::has_blank_ends(value);
            lines.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        Some(Headers { lines, kinds, blank_ends })
    }

    /// The form that [`from_pairs`](Self::from_pairs) reads.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut pairs = u32::try_from(self.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for (name, value) in self.lines() {
            pairs.extend(length(name));
            pairs.extend(length(value));
        }
        for part in self.lines().flat_map(|(name, value)| [name, value]) {
            pairs.extend(part);
            pairs.push(0);
        }
        pairs
    }

    /// The same headers, in memory of their own.
    pub(crate) fn owned(&self) -> Headers<'static> {
        let own =
            |(name, value): (&[u8], &[u8])| (Cow::Owned(name.to_vec()), Cow::Owned(value.to_vec()));
        let lines = self.lines().map(own).collect();
        Headers { lines, kinds: self.kinds, blank_ends: self.blank_ends }
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// All lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The values of a header in order, whatever the letter case of its name.
    pub fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        let lines = if self.may_have(name) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |(line, _)| same_name(line, name)).map(|(_, value)| value.as_ref())
    }

    /// The first value of a header.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.lines().find(|(line, _)| same_name(line, name)).map(|(_, value)| value)
    }

    /// Whether there may be several lines that some origin takes for this header.
    pub(crate) fn may_repeat(&self, name: &[u8]) -> bool {
        self.kinds.repeated & kind(name) != 0
    }

    /// Whether there may be a line that some origin takes for this header.
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        self.kinds.seen & kind(name) != 0
    }

    /// Whether a value has, or had, blanks around it.
    pub(crate) fn has_blank_ends(&self) -> bool {
        self.blank_ends
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.kinds.add(name);
        self.blank_ends |= value::has_blank_ends(value);
        self.lines.push((Cow::Owned(name.to_ascii_lowercase()), Cow::Owned(value.to_vec())));
    }

    /// Appends a line, borrowed if possible.
    pub(crate) fn push(&mut self, name: &'a [u8], value: Cow<'a, [u8]>) {
        self.kinds.add(name);
        self.lines.push((Cow::Borrowed(name), value));
    }

    /// Removes the lines whose name fits, and returns how many there were.
    pub fn remove(&mut self, mut fits: impl FnMut(&[u8]) -> bool) -> usize {
        let (mut from, mut removed) = (0, 0_usize);
        // Most often there is one such line, or none: then the others are moved at once.
        while let Some(rest) = self.lines.get(from..)
            && let Some(position) = rest.iter().position(|(name, _)| fits(name))
        {
            from = position.saturating_add(from);
            self.lines.remove(from);
            removed = removed.saturating_add(1);
        }
        removed
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(lines: I) -> Self {
        let lines: Vec<Line<'a>> = lines
            .into_iter()
            .map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value)))
            .collect();
        let mut kinds = Kinds::default();
        lines.iter().for_each(|(name, _)| kinds.add(name));
        let blank_ends = lines.iter().any(|(_, value)| value::has_blank_ends(value));
        Headers { lines, kinds, blank_ends }
    }
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

/// Takes a text of this length, and the NUL that follows it.
fn take_text(bytes: &[u8], len: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(len)?;
    match rest.split_first() {
        Some((0, rest)) => Some((text, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn pairs(lines: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = u32::try_from(lines.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in lines {
            bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        }
        for (name, value) in lines {
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.extend(*value);
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn the_hosts_form_is_read() {
        let bytes = pairs(&[(":path", b"/zen"), ("x-a", b"\xff\0b"), ("x-a", b"")]);
        let headers = Headers::from_pairs(&bytes).unwrap();
        let lines: Vec<_> = headers.lines().collect();
        assert_eq!(lines, [(&b":path"[..], &b"/zen"[..]), (b"x-a", b"\xff\0b"), (b"x-a", b"")]);
        assert_eq!(headers.first(b"X-A"), Some(&b"\xff\0b"[..]));
        assert_eq!(headers.values(b"x-a").count(), 2);
        assert_eq!(Headers::from_pairs(b""), Some(Headers::default()));
    }

    #[test]
    fn a_broken_form_gives_nothing_wherever_it_is_cut() {
        let bytes = pairs(&[(":path", b"/zen"), ("x-a", b"b")]);
        for end in 1..bytes.len() {
            assert_eq!(Headers::from_pairs(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(Headers::from_pairs(&[0xff; 64]), None);
    }

    #[test]
    fn names_that_an_origin_may_take_for_one_are_of_one_kind() {
        for name in ["x-caller-identity", ":path", "host", "a", "x", "-x-", "accept"] {
            let headers: Headers<'_> = [(name.as_bytes(), &b""[..])].into_iter().collect();
            for spelling in [
                name.to_owned(),
                name.to_uppercase(),
                name.replace('-', "_"),
                name.to_uppercase().replace('-', "_"),
                name.replace('-', "."),
                name.replace('-', "~"),
            ] {
                assert!(headers.may_have(spelling.as_bytes()), "{name} {spelling}");
            }
        }
        assert!(!Headers::default().may_have(b"a"));
    }

    #[test]
    fn lines_are_added_and_removed() {
        let mut headers: Headers<'_> =
            [(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3")].into_iter().collect();
        headers.add(b"B", b"4");
        assert_eq!(headers.remove(|name| name == b"a"), 2);
        assert_eq!(headers.values(b"b").collect::<Vec<_>>(), [b"2", b"4"]);
    }
}
