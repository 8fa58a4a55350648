//! Numbers that are found by hashes: a table that is made once and then only read.

/// Numbers in buckets, by the first bits of their hashes. A bucket has half a number, so that of
/// most hashes which are not there, the two words show it that say where a bucket begins and ends.
///
/// The hashes are of what the configuration has. A caller chooses what is looked up, but not what
/// is there: it can meet a bucket that is long, and make none longer.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By how many bits a hash is shifted to the number of its bucket.
    shift: u32,
    /// Where each bucket begins, and where the last one ends.
    buckets: Vec<u32>,
    hashes: Vec<u64>,
    numbers: Vec<u32>,
}

impl Table {
    /// The table of these hashes and their numbers.
    pub(super) fn of(pairs: &[(u64, u32)]) -> Table {
        let count = pairs.len().saturating_mul(2).max(2).next_power_of_two();
        let shift = u64::BITS.saturating_sub(count.trailing_zeros());
        let place = |hash: u64| usize::try_from(hash.wrapping_shr(shift)).unwrap_or(usize::MAX);
        let mut buckets = vec![0_u32; count.saturating_add(1)];
        // How many there are in each; then where each ends; then, as they are filled from behind,
        // where it begins.
        for (hash, _) in pairs {
            if let Some(bucket) = buckets.get_mut(place(*hash)) {
                *bucket = bucket.saturating_add(1);
            }
        }
        let mut end = 0_u32;
        for bucket in &mut buckets {
            end = end.saturating_add(*bucket);
            *bucket = end;
        }
        let (mut hashes, mut numbers) = (vec![0; pairs.len()], vec![0; pairs.len()]);
        for (hash, number) in pairs.iter().rev() {
            let Some(bucket) = buckets.get_mut(place(*hash)) else { continue };
            *bucket = bucket.saturating_sub(1);
            let position = usize::try_from(*bucket).unwrap_or(usize::MAX);
            if let (Some(own), Some(of)) = (hashes.get_mut(position), numbers.get_mut(position)) {
                (*own, *of) = (*hash, *number);
            }
        }
        Table { shift, buckets, hashes, numbers }
    }

    /// Runs a function on each number of a hash, in the order of the pairs.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut run: impl FnMut(u32)) {
        let bucket = usize::try_from(hash.wrapping_shr(self.shift)).unwrap_or(usize::MAX);
        let ends = self.buckets.get(bucket..).and_then(<[u32]>::first_chunk);
        let Some([begin, end]) = ends.filter(|[begin, end]| begin != end) else { return };
        let (Ok(begin), Ok(end)) = (usize::try_from(*begin), usize::try_from(*end)) else { return };
        if let (Some(hashes), Some(numbers)) =
            (self.hashes.get(begin..end), self.numbers.get(begin..end))
        {
            let found = hashes.iter().zip(numbers).filter(|(other, _)| **other == hash);
            found.for_each(|(_, number)| run(*number));
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::collections::BTreeMap;

    use super::*;
    use crate::hash;

    fn found(table: &Table, hash: u64) -> Vec<u32> {
        let mut all = Vec::new();
        table.find(hash, |number| all.push(number));
        all
    }

    #[test]
    fn every_number_is_found_by_its_hash_alone_and_in_order() {
        let spread = |number: u32| hash::mix(hash::bytes(&number.to_le_bytes()), 0x81);
        // Hashes that differ everywhere, only in their last bits, and not at all.
        for hash_of in [spread, |number| u64::from(number % 7), |_| u64::MAX] {
            for count in [0, 1, 7, 64, 1_000] {
                let pairs: Vec<(u64, u32)> =
                    (0..count).map(|number| (hash_of(number), number)).collect();
                let table = Table::of(&pairs);
                let mut plainly: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
                for (hash, number) in pairs {
                    plainly.entry(hash).or_default().push(number);
                }
                for other in (0..2_000).map(hash_of).chain([0, 1, u64::MAX]) {
                    let expected = plainly.get(&other).cloned().unwrap_or_default();
                    assert_eq!(found(&table, other), expected, "{other:#x} among {count}");
                }
            }
        }
        assert!(found(&Table::default(), 0).is_empty());
    }
}
