//! Sets of characters.

use super::fold;
use crate::sort;

/// A set of characters, as ranges in order that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Set {
    ranges: Vec<(u32, u32)>,
    ascii: Ascii,
}

/// Some of the ASCII characters, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ascii([u32; 4]);

impl Ascii {
    /// Whether this character is one of them; false for a character that is not ASCII.
    #[inline]
    pub(super) fn contains(self, code: u32) -> bool {
        let word = usize::try_from(code >> 5).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word.wrapping_shr(code) & 1 == 1)
    }

    /// The union with another set.
    pub(super) fn or(self, other: Ascii) -> Ascii {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Ascii([a | e, b | f, c | g, d | h])
    }

    fn add(&mut self, (first, last): (u32, u32)) {
        for code in first..=last.min(127) {
            let word = usize::try_from(code >> 5).ok().and_then(|word| self.0.get_mut(word));
            if let Some(word) = word {
                *word |= 1_u32.wrapping_shl(code);
            }
        }
    }
}

impl Set {
    /// The characters of all these ranges, each from its first to its last.
    pub(super) fn of(mut ranges: Vec<(u32, u32)>) -> Set {
        sort::by(&mut ranges, |a, b| a.cmp(b));
        let mut tidy: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match tidy.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => tidy.push((first, last)),
            }
        }
        tidy.shrink_to_fit();
        let mut ascii = Ascii::default();
        tidy.iter().for_each(|range| ascii.add(*range));
        Set { ranges: tidy, ascii }
    }

    /// The complement.
    pub(super) fn negated(&self) -> Set {
        let mut ranges = Vec::with_capacity(self.ranges.len().saturating_add(1));
        let mut next = 0;
        for (first, last) in &self.ranges {
            if let Some(before) = first.checked_sub(1).filter(|before| *before >= next) {
                ranges.push((next, before));
            }
            next = last.saturating_add(1);
        }
        let end = u32::from(char::MAX);
        if next <= end {
            ranges.push((next, end));
        }
        Set::of(ranges)
    }

    /// The set with the other cases of its letters, and how many bytes of work that took.
    pub(super) fn with_other_cases(&self) -> (Set, usize) {
        let ranges = fold::with_other_cases(&self.ranges);
        let bytes = size_of_val(ranges.as_slice());
        (Set::of(ranges), bytes)
    }

    /// Its one character, if it has one.
    pub(super) fn only(&self) -> Option<char> {
        match self.ranges.as_slice() {
            [(first, last)] if first == last => char::from_u32(*first),
            _ => None,
        }
    }

    /// The ASCII characters in it.
    pub(super) fn ascii(&self) -> Ascii {
        self.ascii
    }

    /// Whether it has characters that are not ASCII.
    pub(super) fn is_beyond_ascii(&self) -> bool {
        self.ranges.last().is_some_and(|(_, last)| *last > 127)
    }

    /// Its ranges.
    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    #[inline]
    pub(super) fn contains(&self, character: char) -> bool {
        let code = u32::from(character);
        if code < 128 {
            return self.ascii.contains(code);
        }
        let at = self.ranges.partition_point(|(_, last)| *last < code);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= code)
    }
}
