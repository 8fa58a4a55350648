//! Where buckets lie in shared data.
//!
//! Shared data has no way to delete a key, and lives as long as the process. So there is a fixed
//! number of keys, for all limits of all configurations together. The value of each is a set of up
//! to [`WAYS`] buckets, with the tags of their owners. A bucket whose time has come is full, which
//! is the same as no bucket: its place in the set is free.

use super::tag::Bits;

/// How many buckets a set has room for.
pub(super) const WAYS: usize = 8;
/// How many sets there are for the buckets of keys.
const SETS: u64 = 8_192;
/// A limit uses one of so many parts of these, so that somebody who makes up keys for one limit
/// does not take the room of all.
const REGIONS: u64 = 8;
/// How many sets there are, behind those, for the buckets that the keys without room share.
const COMMON_SETS: u64 = 512;

/// How many buckets there is room for, and how many of one limit.
#[cfg(test)]
pub(super) const ROOM_OF_ONE: usize = (SETS / REGIONS) as usize * WAYS;

/// The bytes of one bucket in a set: the tag of its owner, and when it will be full.
const ENTRY: usize = 24;

/// The key of the set for the bucket with this tag, of a limit with this number.
pub(super) fn key(limit: Bits, tag: Bits) -> Vec<u8> {
    let size = SETS / REGIONS;
    named((limit[0] % REGIONS).wrapping_mul(size).wrapping_add(tag[0] % size))
}

/// The key of the set for the bucket that those keys of a limit share for which there is no room.
pub(super) fn common_key(limit: Bits) -> Vec<u8> {
    named(SETS.wrapping_add(limit[0] % COMMON_SETS))
}

/// The number in the name is that of this layout of the values.
fn named(set: u64) -> Vec<u8> {
    ["egress_filter.limits.1.", &set.to_string()].concat().into_bytes()
}

/// The buckets of one set that are not full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// The owners' tags, and when each bucket will be full.
    entries: Vec<(Bits, u64)>,
}

impl Set {
    /// Reads the value of a set. None if it is none.
    pub(super) fn read(value: &[u8], now: u64) -> Option<Set> {
        let (chunks, rest) = value.as_chunks::<ENTRY>();
        if !rest.is_empty() || chunks.len() > WAYS {
            return None;
        }
        let mut entries = Vec::with_capacity(WAYS);
        for chunk in chunks {
            let (words, _) = chunk.as_chunks::<8>();
            let [first, second, full_at] = *words else { return None };
            let full_at = u64::from_le_bytes(full_at);
            if full_at > now {
                let tag = [u64::from_le_bytes(first), u64::from_le_bytes(second)];
                entries.push((tag, full_at));
            }
        }
        Some(Set { entries })
    }

    /// The value of the set.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(self.entries.len().saturating_mul(ENTRY));
        for ([first, second], full_at) in &self.entries {
            for word in [first, second, full_at] {
                value.extend_from_slice(&word.to_le_bytes());
            }
        }
        value
    }

    /// When the bucket with this tag will be full: at 0 if it is. None if it has no place here and
    /// there is no room for it.
    pub(super) fn full_at(&self, tag: Bits) -> Option<u64> {
        let own = self.entries.iter().find(|(owner, _)| *owner == tag);
        match own {
            Some((_, full_at)) => Some(*full_at),
            None => (self.entries.len() < WAYS).then_some(0),
        }
    }

    /// Notes when the bucket with this tag will be full.
    pub(super) fn put(&mut self, tag: Bits, full_at: u64) {
        match self.entries.iter_mut().find(|(owner, _)| *owner == tag) {
            Some(own) => own.1 = full_at,
            None => self.entries.push((tag, full_at)),
        }
    }
}
