//! Takes tokens from the buckets of local limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bucket::Bucket;
use super::leases::{LIFETIME, Lease, Leases, MOST, PART};
use super::quota::Quota;
use super::slots::{self, Set};
use super::tag::{self, Bits};
use crate::request::{Property, Source, Unavailable};

/// The key of the secret that the tags are made with. All workers have the same.
const SALT: &[u8] = b"egress_filter.limits.salt";
/// The version under which a value is created. No value has it at the time, so that a worker that
/// is later than another does not replace what the other has made.
const NEW: u32 = u32::MAX;
/// How often a worker tries to change a bucket that other workers change meanwhile. Each time it
/// fails, another has succeeded.
const ATTEMPTS: usize = 16;

/// The number of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitId(Bits);

impl LimitId {
    /// The number of the limit that is made of these parts, in whatever configuration.
    pub(crate) fn of(parts: &[&[u8]]) -> LimitId {
        let append = |id: Bits, part: &&[u8]| tag::hash(id, &[], part);
        LimitId(parts.iter().fold([0, 0], append))
    }
}

/// Whose bucket it is, of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner<'a> {
    /// That of all callers without an identity.
    Nobody,
    /// That of the caller with this SPIFFE ID.
    Caller(&'a str),
    /// That of this value of the limit's key: its type, and its bytes.
    Value(u8, &'a [u8]),
}

impl Owner<'_> {
    /// How many bytes tell it apart.
    pub(crate) fn size(&self) -> usize {
        match self {
            Owner::Nobody => 0,
            Owner::Caller(id) => id.len(),
            Owner::Value(_, value) => value.len(),
        }
    }
}

/// What came of taking a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether there was one.
    pub(crate) is_admitted: bool,
    /// What the caller is told.
    pub(crate) quota: Quota,
    /// Whether the bucket is the one that all keys share for which there is no room.
    pub(crate) is_shared: bool,
}

/// What a worker keeps of all local limits of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    state: Mutex<State>,
    is_crowded: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the shared data that the rest is about.
    of: u64,
    /// The secret of this plugin, once it is known.
    secret: Option<Bits>,
    leases: Leases,
}

/// What came of a visit to shared data.
enum Visit {
    /// So many tokens were taken.
    Taken { tokens: u64, full_at: u64, now: u64 },
    /// There is none.
    Empty { full_at: u64, now: u64 },
    /// There is no room for the bucket.
    NoRoom,
    /// Others were always faster.
    Undecided,
}

impl Limiter {
    /// Takes a token from a bucket of a limit.
    ///
    /// # Errors
    /// Shared data cannot be read or written, so that nothing is known.
    pub(crate) fn take(
        &self,
        LimitId(limit): LimitId,
        bucket: &Bucket,
        owner: Owner<'_>,
        source: &dyn Source,
    ) -> Result<Outcome, Unavailable> {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let of = source.shared_number();
        if state.of != of {
            *state = State { of, ..State::default() };
        }
        let secret = match state.secret {
            Some(secret) => secret,
            None => *state.secret.insert(read_secret(source)?),
        };
        let (kind, value) = match owner {
            Owner::Nobody => (0, &[][..]),
            Owner::Caller(id) => (1, id.as_bytes()),
            Owner::Value(kind, value) => (u64::from(kind).saturating_add(2), value),
        };
        let tag = tag::hash(secret, &[limit[0], limit[1], kind], value);
        let now = nanoseconds(source);
        let (mut wanted, mut unspent) = (1, 0);
        if let Some(lease) = state.leases.of(tag) {
            if now < lease.until {
                let is_admitted = lease.tokens > 0;
                if is_admitted || bucket.level(lease.full_at, now) == 0 {
                    lease.tokens = lease.tokens.saturating_sub(1);
                    let quota = bucket.quota(lease.full_at, now, lease.tokens);
                    return Ok(Outcome { is_admitted, quota, is_shared: false });
                }
                wanted = lease.next;
            }
            unspent = std::mem::take(&mut lease.tokens);
        }
        if !state.leases.has_room(tag, now) {
            wanted = 1;
        }
        let set = slots::key(limit, tag);
        match visit(&set, tag, bucket, wanted, unspent, source)? {
            Visit::NoRoom => {
                let common = tag::hash(secret, &[limit[0], limit[1], u64::MAX], &[]);
                let visited = visit(&slots::common_key(limit), common, bucket, 1, 0, source)?;
                Ok(Outcome { is_shared: true, ..visited.outcome(bucket) })
            }
            visited => {
                state.keep(tag, wanted, &visited);
                Ok(visited.outcome(bucket))
            }
        }
    }
}

impl Limiter {
    /// Notes that a limit has no room for another bucket; returns whether it is the first time.
    pub(crate) fn is_news_that_crowded(&self) -> bool {
        !self.is_crowded.swap(true, Ordering::Relaxed)
    }
}

impl State {
    /// Keeps what a visit has brought, as far as there is a place for it.
    fn keep(&mut self, tag: Bits, wanted: u64, visited: &Visit) {
        let (tokens, next, full_at, now) = match *visited {
            Visit::Taken { tokens, full_at, now } => {
                (tokens.saturating_sub(1), wanted.saturating_mul(2).min(MOST), full_at, now)
            }
            Visit::Empty { full_at, now } => (0, 1, full_at, now),
            Visit::NoRoom | Visit::Undecided => return,
        };
        if self.leases.has_room(tag, now) {
            let until = now.saturating_add(LIFETIME);
            self.leases.put(Lease { tag, tokens, next, full_at, until });
        }
    }
}

impl Visit {
    fn outcome(&self, bucket: &Bucket) -> Outcome {
        let (is_admitted, quota) = match *self {
            Visit::Taken { tokens, full_at, now } => {
                (true, bucket.quota(full_at, now, tokens.saturating_sub(1)))
            }
            Visit::Empty { full_at, now } => (false, bucket.quota(full_at, now, 0)),
            Visit::NoRoom | Visit::Undecided => {
                (false, Quota { remaining: 0, reset: 1, ..bucket.quota(0, 0, 0) })
            }
        };
        Outcome { is_admitted, quota, is_shared: false }
    }
}

/// Takes tokens from the bucket with this tag in a set: `wanted` where plenty remain, at least one.
/// Those that are left of an earlier visit are given back first.
fn visit(
    set: &[u8],
    tag: Bits,
    bucket: &Bucket,
    wanted: u64,
    unspent: u64,
    source: &dyn Source,
) -> Result<Visit, Unavailable> {
    for _ in 0..ATTEMPTS {
        let stored = source.shared(set)?;
        // The time is read after the set: where another worker has left out a bucket that was full,
        // it was full at this time, too.
        let now = nanoseconds(source);
        let (mut buckets, version) = match &stored {
            None => (Set::default(), NEW),
            Some((value, version)) => (Set::read(value, now).ok_or(Unavailable)?, *version),
        };
        let Some(full_at) = buckets.full_at(tag) else { return Ok(Visit::NoRoom) };
        let full_at = bucket.give_back(full_at, unspent);
        let level = bucket.level(full_at, now);
        if level == 0 {
            return Ok(Visit::Empty { full_at, now });
        }
        let tokens = wanted.min(level / PART).max(1);
        let full_at = bucket.take(full_at, now, tokens);
        buckets.put(tag, full_at);
        if source.set_shared(set, &buckets.to_bytes(), version)? {
            return Ok(Visit::Taken { tokens, full_at, now });
        }
    }
    Ok(Visit::Undecided)
}

fn nanoseconds(source: &dyn Source) -> u64 {
    u64::try_from(source.now().as_nanos()).unwrap_or(u64::MAX)
}

/// The secret of this plugin. It is made of one that all plugins of the process share, which the
/// first worker that needs it makes up.
fn read_secret(source: &dyn Source) -> Result<Bits, Unavailable> {
    for _ in 0..ATTEMPTS {
        if let Some((value, _)) = source.shared(SALT)? {
            let ([first, second], []) = value.as_chunks::<8>() else { return Err(Unavailable) };
            let salt = [u64::from_le_bytes(*first), u64::from_le_bytes(*second)];
            return Ok(tag::hash(salt, &[], source.property(Property::PluginName)));
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Unavailable)?;
        // Whether it was set or another worker was faster: the next round reads what is there.
        source.set_shared(SALT, &salt, NEW)?;
    }
    Err(Unavailable)
}
