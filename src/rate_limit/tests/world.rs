//! Some workers, their clock, and the data that they share. What one worker does can be
//! interrupted by what another does, between its reading and its writing of a value.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::rate_limit::bucket::Bucket;
use crate::rate_limit::leases::MOST;
use crate::rate_limit::limiter::{LimitId, Limiter, Outcome, Owner};
use crate::request::{Property, SharedData, Source, Unavailable};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A worker gets a request of this key.
    Request { worker: usize, key: u8 },
    /// So many nanoseconds pass.
    Pass(u64),
    /// The next write is lost, for no reason.
    Lose,
    /// A worker gets a new VM, which knows nothing.
    Restart { worker: usize },
}

pub(super) const LIMIT: [&[u8]; 1] = [b"limit"];

/// The world.
#[derive(Debug)]
pub(super) struct World {
    pub(super) bucket: Bucket,
    pub(super) shared: SharedData,
    workers: Vec<Mutex<Limiter>>,
    now: AtomicU64,
    /// What happens before the next writes, one event each.
    pub(super) between: Mutex<VecDeque<Event>>,
    losses: AtomicUsize,
    /// How often shared data was read, and written.
    pub(super) reads: AtomicUsize,
    pub(super) writes: AtomicUsize,
    /// When a request of a key was admitted.
    pub(super) admitted: Mutex<BTreeMap<u8, Vec<u64>>>,
    pub(super) is_unavailable: bool,
}

impl World {
    pub(super) fn new(workers: usize, bucket: Bucket) -> World {
        World {
            bucket,
            shared: SharedData::default(),
            workers: (0..workers).map(|_| Mutex::default()).collect(),
            now: AtomicU64::new(0),
            between: Mutex::default(),
            losses: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            admitted: Mutex::default(),
            is_unavailable: false,
        }
    }

    /// The most tokens that the workers can hold together.
    pub(super) fn most_leased(&self) -> u64 {
        self.workers.len() as u64 * MOST
    }

    pub(super) fn time(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(super) fn happen(&self, event: Event) {
        match event {
            Event::Pass(time) => drop(self.now.fetch_add(time, Ordering::SeqCst)),
            Event::Lose => drop(self.losses.fetch_add(1, Ordering::SeqCst)),
            Event::Restart { worker } => {
                if let Ok(mut limiter) = self.workers[worker].try_lock() {
                    *limiter = Limiter::default();
                }
            }
            Event::Request { worker, key } => drop(self.ask(worker, Owner::Value(0, &[key]))),
        }
    }

    /// A request at a worker; none if the worker is busy with another.
    pub(super) fn ask(&self, worker: usize, owner: Owner<'_>) -> Option<Outcome> {
        let limiter = self.workers[worker].try_lock().ok()?;
        let outcome = limiter.take(LimitId::of(&LIMIT), &self.bucket, owner, self).ok()?;
        if let (true, Owner::Value(0, [key])) = (outcome.is_admitted, owner) {
            self.admitted.lock().unwrap().entry(*key).or_default().push(self.time());
        }
        Some(outcome)
    }

    /// What shared data has cost since this was last asked: reads and writes.
    pub(super) fn cost(&self) -> (usize, usize) {
        (self.reads.swap(0, Ordering::SeqCst), self.writes.swap(0, Ordering::SeqCst))
    }
}

impl Source for World {
    fn property(&self, _property: Property) -> &[u8] {
        b"plugin"
    }

    fn failed(&self) -> bool {
        false
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.time())
    }

    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_unavailable { Err(Unavailable) } else { Ok(self.shared.get(key)) }
    }

    fn set_shared(&self, key: &[u8], value: &[u8], version: u32) -> Result<bool, Unavailable> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let event = self.between.lock().unwrap().pop_front();
        if let Some(event) = event {
            self.happen(event);
        }
        let lose = |losses: usize| losses.checked_sub(1);
        if self.losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Ok(false);
        }
        Ok(self.shared.set(key, value, version))
    }
}
