//! Tokens that a worker has taken from a bucket and not yet spent, so that it need not go to shared
//! data for each request.
//!
//! A worker takes more than one token only for a key whose tokens it has just used up, twice as
//! many each time, and only while plenty remain. So a small limit, and one that is seldom used, is
//! counted exactly.

use super::tag::Bits;

/// The most tokens that are taken at a time.
pub(super) const MOST: u64 = 32;
/// The part of the remaining tokens that may be taken at a time: one in so many.
pub(super) const PART: u64 = 16;
/// How long tokens are kept, in nanoseconds. Those that are left go back with the next visit.
pub(super) const LIFETIME: u64 = 1_000_000_000;
/// How many keys a worker keeps something for.
const ROOM: u64 = 256;

/// What a worker knows of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) tag: Bits,
    /// How many tokens are left to spend.
    pub(super) tokens: u64,
    /// How many may be taken at the next visit, if these are used up in time.
    pub(super) next: u64,
    /// When the bucket will be full, as it was last seen.
    pub(super) full_at: u64,
    /// When this is no longer to be relied on.
    pub(super) until: u64,
}

/// A worker's leases: each key has one place, which it may find taken.
#[derive(Debug, Default)]
pub(super) struct Leases {
    places: Vec<Option<Lease>>,
}

impl Leases {
    fn place(&mut self, tag: Bits) -> Option<&mut Option<Lease>> {
        if self.places.is_empty() {
            self.places.resize(usize::try_from(ROOM).ok()?, None);
        }
        let place = usize::try_from(tag[1] % ROOM).ok()?;
        self.places.get_mut(place)
    }

    /// The lease of this key, however old it is.
    pub(super) fn of(&mut self, tag: Bits) -> Option<&mut Lease> {
        self.place(tag)?.as_mut().filter(|lease| lease.tag == tag)
    }

    /// Whether there is a place for a lease of this key.
    pub(super) fn has_room(&mut self, tag: Bits, now: u64) -> bool {
        let free = |lease: &Lease| lease.tag == tag || lease.until <= now;
        self.place(tag).is_some_and(|place| place.as_ref().is_none_or(free))
    }

    /// Puts a lease into the place of its key.
    pub(super) fn put(&mut self, lease: Lease) {
        if let Some(place) = self.place(lease.tag) {
            *place = Some(lease);
        }
    }
}
