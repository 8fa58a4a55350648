//! Which of a rule's guards it is found by.

use super::{Entry, key, kind_and_bytes};
use crate::cel::attributes::Id;
use crate::cel::guard::{Guard, Wanted};
use crate::hash::Map;

/// How many policies each value would find. Of a rule's guards, the one that finds the fewest other
/// policies is used.
pub(super) struct Popularity(Map<u64, u32>);

impl Popularity {
    pub(super) fn new(entries: &[Entry<'_>]) -> Self {
        let mut counts: Map<u64, u32> = Map::default();
        for guard in entries.iter().flat_map(Entry::guards) {
            for wanted in &guard.values {
                let count = counts.entry(Self::key(guard.attribute, wanted)).or_default();
                *count = count.saturating_add(1);
            }
        }
        Popularity(counts)
    }

    fn key(attribute: Id, wanted: &Wanted) -> u64 {
        let (kind, value) = kind_and_bytes(wanted);
        key(0, attribute, kind, value)
    }

    /// The guard of these that finds the fewest.
    pub(super) fn best<'g>(&self, guards: &'g [Guard]) -> Option<&'g Guard> {
        let found = |guard: &Guard| {
            let counts = guard
                .values
                .iter()
                .filter_map(|wanted| self.0.get(&Self::key(guard.attribute, wanted)));
            counts.fold(0_u32, |sum, count| sum.saturating_add(*count))
        };
        guards.iter().min_by_key(|guard| found(guard))
    }
}
