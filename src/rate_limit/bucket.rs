//! A token bucket that fills smoothly, by the generic cell rate algorithm (GCRA, ITU-T I.371).
//!
//! All that is to be remembered of a bucket is when it will be full again. One that is full needs
//! no memory at all, so its place can be given to another without loss.

use std::time::Duration;

use super::quota::Quota;

/// The parameters of a bucket. Times are in nanoseconds, on a clock that only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// How many tokens a full bucket has.
    capacity: u64,
    /// How long it takes until there is one more token.
    interval: u64,
    /// How long it takes until an empty bucket is full.
    span: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Bucket {
    /// A bucket of `requests` and `burst` tokens, of which `requests` come back in each `unit`. The
    /// time between two is rounded up, so there are never more.
    pub(crate) fn new(requests: u32, burst: u32, unit: Duration) -> Bucket {
        let unit = u64::try_from(unit.as_nanos()).unwrap_or(u64::MAX);
        let interval = unit.div_ceil(u64::from(requests.max(1))).max(1);
        let capacity = u64::from(requests).saturating_add(u64::from(burst)).max(1);
        Bucket { capacity, interval, span: interval.saturating_mul(capacity) }
    }

    /// How many tokens there are in a bucket that will be full at this time.
    pub(crate) fn level(&self, full_at: u64, now: u64) -> u64 {
        let missing = full_at.saturating_sub(now);
        self.span.saturating_sub(missing).checked_div(self.interval).unwrap_or_default()
    }

    /// When the bucket will be full after this many tokens were taken. There must be so many.
    pub(crate) fn take(&self, full_at: u64, now: u64, tokens: u64) -> u64 {
        full_at.max(now).saturating_add(self.interval.saturating_mul(tokens))
    }

    /// When it will be full after this many tokens were given back.
    pub(crate) fn give_back(&self, full_at: u64, tokens: u64) -> u64 {
        full_at.saturating_sub(self.interval.saturating_mul(tokens))
    }

    /// What a caller is told. `held` tokens were taken already, and are there beside the others.
    pub(crate) fn quota(&self, full_at: u64, now: u64, held: u64) -> Quota {
        let level = self.level(full_at, now);
        let next = self.interval.saturating_mul(level.saturating_add(1));
        let missing = full_at.saturating_sub(now);
        let wait = missing.saturating_add(next).saturating_sub(self.span);
        Quota {
            limit: self.capacity,
            remaining: level.saturating_add(held).min(self.capacity),
            reset: if missing == 0 { 0 } else { wait.div_ceil(SECOND) },
        }
    }

    /// The parameters as bytes, which tell buckets of other parameters apart.
    pub(crate) fn parameters(&self) -> [u8; 16] {
        let both = u128::from(self.capacity) << 64 | u128::from(self.interval);
        both.to_le_bytes()
    }
}
