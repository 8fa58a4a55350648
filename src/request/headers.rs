//! Headers as bytes, in the order they came.

use std::borrow::Cow;

use egress_reading::name::{kind, same_to_some_origin};
use egress_reading::{hash, value};

/// A line as the proxy gave it.
#[derive(Debug, Clone, Copy)]
struct Came<'a> {
    name: &'a [u8],
    value: &'a [u8],
    kind: u8,
}

/// A line that was put in since.
#[derive(Debug, Clone)]
struct Added<'a> {
    name: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
    kind: u8,
}

/// A request's or response's headers, pseudo-headers among them, in order.
///
/// A copy, which is made of every request that is changed, takes over the lines that came at once:
/// they own nothing.
#[derive(Debug, Default)]
pub struct Headers<'a> {
    came: Vec<Came<'a>>,
    /// The lines behind these.
    added: Vec<Added<'a>>,
    /// The kinds of names that are, or were, among the lines. Most look-ups are for names that are
    /// not there, and end here.
    kinds: Kinds,
    /// Whether a value has, or had, blanks around it.
    blank_ends: bool,
    /// How many of the lines that came were removed. They stay where they are, and are of no name's
    /// kind.
    gone: usize,
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
    fn add(&mut self, kind: u8) {
        let bit = bit(kind);
        self.repeated |= self.seen & bit;
        self.seen |= bit;
    }
}

/// The kind of a line that was removed, which no name has.
const GONE: u8 = 64;

#[inline(always)]
fn bit(kind: u8) -> u64 {
    1_u64.wrapping_shl(u32::from(kind))
}

/// A name that is looked for in many requests, with its kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static [u8],
    kind: u8,
}

impl Known {
    /// `:authority`
    pub(crate) const AUTHORITY: Known = Known::new(b":authority");
    /// `authorization`
    pub(crate) const AUTHORIZATION: Known = Known::new(value::CREDENTIALS);
    /// `connection`
    pub(crate) const CONNECTION: Known = Known::new(b"connection");
    /// `host`
    pub(crate) const HOST: Known = Known::new(b"host");
    /// `:method`
    pub(crate) const METHOD: Known = Known::new(b":method");
    /// `:path`
    pub(crate) const PATH: Known = Known::new(b":path");
    /// `x-request-id`
    pub(crate) const REQUEST_ID: Known = Known::new(b"x-request-id");

    const fn new(name: &'static [u8]) -> Known {
        Known { name, kind: kind(name) }
    }
}

/// Whether two names are equal apart from letter case.
#[inline]
fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (hash::same(a, b) || same_in_lower_case(a, b))
}

/// It is apart, because the proxy writes names in lower case.
#[inline(never)]
fn same_in_lower_case(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

impl Clone for Headers<'_> {
    fn clone(&self) -> Self {
        // A copy is made in order to add lines.
        let mut added = Vec::with_capacity(self.added.len().saturating_add(8));
        added.extend(self.added.iter().cloned());
        Headers {
            came: self.came.clone(),
            added,
            kinds: self.kinds,
            blank_ends: self.blank_ends,
            gone: self.gone,
        }
    }
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.lines().eq(other.lines())
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
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        // Each pair has eight bytes of lengths. A count that does not fit in the bytes is false,
        // and reserves no memory.
        let (sizes, mut data) = rest.split_at_checked(count.checked_mul(8)?)?;
        let (pairs, _) = sizes.as_chunks::<8>();
        let (mut kinds, mut blank_ends, mut broken) = (Kinds::default(), false, false);
        // How many lines there will be is known, so that none needs to ask whether there is room.
        let lines = pairs.iter().map(|pair| {
            let lengths = u64::from_le_bytes(*pair);
            let Some((name, value, after)) = take_line(data, lengths) else {
                (broken, data) = (true, &[]);
                return Came { name: &[], value: &[], kind: GONE };
            };
            let kind = kind(name);
            data = after;
            kinds.add(kind);
            if value::has_blank_ends(value) {
                blank_ends = true;
            }
            Came { name, value, kind }
        });
        let came = lines.collect();
        (!broken).then_some(Headers { came, kinds, blank_ends, ..Headers::default() })
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
        let own = |(name, value): (&[u8], &[u8])| Added {
            name: Cow::Owned(name.to_vec()),
            value: Cow::Owned(value.to_vec()),
            kind: kind(name),
        };
        let added = self.lines().map(own).collect();
        let (kinds, blank_ends) = (self.kinds, self.blank_ends);
        Headers { added, kinds, blank_ends, ..Headers::default() }
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.came.len().saturating_add(self.added.len()).saturating_sub(self.gone)
    }

    /// All lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let came = self.came.iter().filter(|line| line.kind != GONE);
        let added = self.added.iter().filter(|line| line.kind != GONE);
        let came = came.map(|line| (line.name, line.value));
        came.chain(added.map(|line| (&*line.name, &*line.value)))
    }

    /// The lines of one kind, in order.
    #[inline]
    fn of_kind(&self, kind: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
        let there = self.kinds.seen & bit(kind) != 0;
        let (came, added) = if there { (&*self.came, &*self.added) } else { (&[][..], &[][..]) };
        let came = came.iter().filter(move |line| line.kind == kind);
        let added = added.iter().filter(move |line| line.kind == kind);
        let came = came.map(|line| (line.name, line.value));
        came.chain(added.map(|line| (&*line.name, &*line.value)))
    }

    /// The values of a header in order, whatever the letter case of its name.
    pub fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        let lines = self.of_kind(kind(name));
        lines.filter(move |(line, _)| same_name(line, name)).map(|(_, value)| value)
    }

    /// The values of all lines that some origin takes for this header.
    pub(crate) fn alike<'s, 'n>(
        &'s self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'s [u8]> + use<'s, 'n, 'a> {
        let lines = self.of_kind(kind(name));
        lines.filter(move |(line, _)| same_to_some_origin(line, name)).map(|(_, value)| value)
    }

    /// The first value of a header.
    #[must_use]
    #[inline(always)]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.first_of(kind(name), name)
    }

    #[inline(never)]
    fn first_of(&self, kind: u8, name: &[u8]) -> Option<&[u8]> {
        if self.kinds.seen & bit(kind) == 0 {
            return None;
        }
        let found = self.came.iter().find(|line| line.kind == kind && same_name(line.name, name));
        if let Some(line) = found {
            return Some(line.value);
        }
        let found = self.added.iter().find(|line| line.kind == kind && same_name(&line.name, name));
        found.map(|line| &*line.value)
    }

    /// The first value of a header that is often looked for.
    pub(crate) fn known(&self, known: Known) -> Option<&[u8]> {
        self.first_of(known.kind, known.name)
    }

    /// Whether such a header may be there.
    pub(crate) fn may_have_known(&self, known: Known) -> bool {
        self.kinds.seen & bit(known.kind) != 0
    }

    /// Whether there may be several lines of such a header.
    pub(crate) fn may_repeat_known(&self, known: Known) -> bool {
        self.kinds.repeated & bit(known.kind) != 0
    }

    /// Whether there may be several lines that some origin takes for this header.
    #[inline(always)]
    pub(crate) fn may_repeat(&self, name: &[u8]) -> bool {
        self.kinds.repeated & bit(kind(name)) != 0
    }

    /// Whether there may be a line that some origin takes for this header.
    #[inline(always)]
    pub(crate) fn may_have(&self, name: &[u8]) -> bool {
        self.kinds.seen & bit(kind(name)) != 0
    }

    /// Whether a value has, or had, blanks around it.
    pub(crate) fn has_blank_ends(&self) -> bool {
        self.blank_ends
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.blank_ends |= value::has_blank_ends(value);
        self.put(Cow::Owned(name.to_ascii_lowercase()), Cow::Owned(value.to_vec()));
    }

    /// Appends a line, borrowed if possible.
    #[inline]
    pub(crate) fn push(&mut self, name: &'a [u8], value: Cow<'a, [u8]>) {
        self.put(Cow::Borrowed(name), value);
    }

    #[inline]
    fn put(&mut self, name: Cow<'a, [u8]>, value: Cow<'a, [u8]>) {
        let kind = kind(&name);
        self.kinds.add(kind);
        self.added.push(Added { name, value, kind });
    }

    /// Removes those of the lines which some origin may take for a header whose name fits, and
    /// returns how many there were.
    #[inline(always)]
    pub fn remove(&mut self, like: &[u8], mut fits: impl FnMut(&[u8]) -> bool) -> usize {
        let kind = kind(like);
        if self.kinds.seen & bit(kind) == 0 {
            return 0;
        }
        // Most often there is one line of the kind.
        let is_once = self.kinds.repeated & bit(kind) == 0;
        let mut removed = 0_usize;
        // What a policy removes is seldom among the first.
        for line in self.came.iter_mut().rev() {
            if line.kind == kind && fits(line.name) {
                (line.kind, removed) = (GONE, removed.saturating_add(1));
                if is_once {
                    break;
                }
            }
        }
        self.gone = self.gone.saturating_add(removed);
        if !is_once || removed == 0 {
            let came = removed;
            for line in &mut self.added {
                if line.kind == kind && fits(&line.name) {
                    (line.kind, removed) = (GONE, removed.saturating_add(1));
                }
            }
            if removed > came {
                self.drop_added();
            }
        }
        removed
    }

    /// Drops the lines that were put in and removed again. If they stayed, each policy that sets a
    /// header which others set would leave one more for all that follow to look at.
    #[cold]
    #[inline(never)]
    fn drop_added(&mut self) {
        self.added.retain(|line| line.kind != GONE);
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(lines: I) -> Self {
        let lines = lines.into_iter();
        let came: Vec<Came<'a>> =
            lines.map(|(name, value)| Came { name, value, kind: kind(name) }).collect();
        let mut kinds = Kinds::default();
        came.iter().for_each(|line| kinds.add(line.kind));
        let blank_ends = came.iter().any(|line| value::has_blank_ends(line.value));
        Headers { came, kinds, blank_ends, ..Headers::default() }
    }
}

/// Takes a name and a value whose lengths are the halves of a word.
#[inline(always)]
fn take_line(bytes: &[u8], lengths: u64) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, after) = take_text(bytes, lengths & u64::from(u32::MAX))?;
    let (value, after) = take_text(after, lengths >> 32)?;
    Some((name, value, after))
}

/// Takes a text of this length, and the byte that follows it. That is a NUL, which says nothing
/// that the length does not say.
#[inline(always)]
fn take_text(bytes: &[u8], length: u64) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    rest.split_first().map(|(_, rest)| (text, rest))
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
        assert_eq!(headers.remove(b"a", |name| name == b"a"), 2);
        assert_eq!(headers.values(b"b").collect::<Vec<_>>(), [b"2", b"4"]);
    }

    #[test]
    fn a_line_that_is_put_in_the_place_of_another_leaves_nothing_to_look_at() {
        let mut headers: Headers<'_> =
            [(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3")].into_iter().collect();
        // As many policies set the same two headers.
        for _ in 0..100 {
            for name in [b"a", b"c"] {
                headers.remove(name, |line| line == name);
                headers.add(name, b"4");
            }
        }
        assert_eq!((headers.added.len(), headers.gone, headers.len()), (2, 2, 3));
        let lines: Vec<_> = headers.lines().collect();
        assert_eq!(lines, [(&b"b"[..], &b"2"[..]), (b"a", b"4"), (b"c", b"4")]);
    }
}
