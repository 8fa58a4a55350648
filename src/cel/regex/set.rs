//! Sets of characters.

use super::fold;

/// A set of characters, as ranges in order that do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Set {
    ranges: Vec<(u32, u32)>,
    /// The ASCII characters among them, a bit for each.
    ascii: u128,
}

/// The ASCII characters of a range, a bit for each.
fn bits((first, last): (u32, u32)) -> u128 {
    let up_to = |last: u32| u128::MAX.checked_shr(127_u32.saturating_sub(last)).unwrap_or(0);
    if first > 127 {
        return 0;
    }
    up_to(last.min(127)) & !first.checked_sub(1).map_or(0, up_to)
}

impl Set {
    /// The characters of all these ranges, each from its first to its last.
    pub(super) fn of(mut ranges: Vec<(u32, u32)>) -> Set {
        ranges.sort_unstable();
        let mut tidy: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match tidy.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => tidy.push((first, last)),
            }
        }
        tidy.shrink_to_fit();
        let ascii = tidy.iter().fold(0, |ascii, range| ascii | bits(*range));
        Set { ranges: tidy, ascii }
    }

    /// All characters that are not in it.
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

    /// With the other cases of its letters.
    pub(super) fn with_other_cases(&self) -> Set {
        Set::of(fold::with_other_cases(&self.ranges))
    }

    /// Its one character, if it has one.
    pub(super) fn only(&self) -> Option<char> {
        match self.ranges.as_slice() {
            [(first, last)] if first == last => char::from_u32(*first),
            _ => None,
        }
    }

    /// The ASCII characters in it, a bit for each.
    pub(super) fn ascii(&self) -> u128 {
        self.ascii
    }

    /// Whether there are others in it.
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
            return is_in(self.ascii, code);
        }
        let at = self.ranges.partition_point(|(_, last)| *last < code);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= code)
    }
}

/// Whether an ASCII character is in a set of bits.
#[inline]
pub(super) fn is_in(ascii: u128, code: u32) -> bool {
    ascii.checked_shr(code).unwrap_or(0) & 1 == 1
}
