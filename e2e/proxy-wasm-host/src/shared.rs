//! What the workers of one Envoy share: statistics, shared data and queues.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::status::Status;

/// What kind of statistic a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Keeps every value that was recorded.
    Histogram,
}

impl MetricKind {
    /// The kind of that number in the ABI.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram].into_iter().nth(code as usize)
    }
}

/// What the workers of one Envoy share; a clone is another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    values: BTreeMap<(MetricKind, String), u64>,
    recorded: BTreeMap<String, Vec<u64>>,
    data: BTreeMap<(String, Vec<u8>), (Vec<u8>, u32)>,
    cas: u32,
    queues: Vec<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    vm_id: String,
    name: Vec<u8>,
    items: VecDeque<Vec<u8>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked while it held the lock is not this one's concern.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The value of a counter or a gauge; 0 where it was never defined.
    #[must_use]
    pub fn value(&self, kind: MetricKind, name: &str) -> u64 {
        self.lock().values.get(&(kind, name.to_owned())).copied().unwrap_or(0)
    }

    /// Every counter that was defined, by name.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let inner = self.lock();
        let counters = inner.values.iter().filter(|((kind, _), _)| *kind == MetricKind::Counter);
        counters.map(|((_, name), value)| (name.clone(), *value)).collect()
    }

    /// The values that a histogram recorded.
    #[must_use]
    pub fn recorded(&self, name: &str) -> Vec<u64> {
        self.lock().recorded.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn define(&self, kind: MetricKind, name: &str) {
        self.lock().values.entry((kind, name.to_owned())).or_default();
    }

    pub(crate) fn change(&self, kind: MetricKind, name: &str, offset: i64) {
        let mut inner = self.lock();
        let value = inner.values.entry((kind, name.to_owned())).or_default();
        *value = value.wrapping_add_signed(offset);
    }

    pub(crate) fn record(&self, kind: MetricKind, name: &str, number: u64) {
        let mut inner = self.lock();
        match kind {
            MetricKind::Counter => {
                let value = inner.values.entry((kind, name.to_owned())).or_default();
                *value = value.wrapping_add(number);
            }
            MetricKind::Gauge => drop(inner.values.insert((kind, name.to_owned()), number)),
            MetricKind::Histogram => {
                inner.recorded.entry(name.to_owned()).or_default().push(number)
            }
        }
    }

    pub(crate) fn data(&self, vm_id: &str, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        self.lock().data.get(&(vm_id.to_owned(), key.to_vec())).cloned().ok_or(Status::NotFound)
    }

    /// Envoy compares `cas` only where it is not 0 and the key exists already.
    pub(crate) fn set_data(
        &self,
        vm_id: &str,
        key: &[u8],
        value: &[u8],
        cas: u32,
    ) -> Result<(), Status> {
        let mut inner = self.lock();
        let place = (vm_id.to_owned(), key.to_vec());
        if cas != 0 && inner.data.get(&place).is_some_and(|(_, current)| *current != cas) {
            return Err(Status::CasMismatch);
        }
        inner.cas += 1;
        let cas = inner.cas;
        inner.data.insert(place, (value.to_vec(), cas));
        Ok(())
    }

    pub(crate) fn register_queue(&self, vm_id: &str, name: &[u8]) -> u32 {
        if let Ok(token) = self.resolve_queue(vm_id, name) {
            return token;
        }
        let mut inner = self.lock();
        inner.queues.push(Queue {
            vm_id: vm_id.to_owned(),
            name: name.to_vec(),
            items: VecDeque::new(),
        });
        inner.queues.len() as u32
    }

    pub(crate) fn resolve_queue(&self, vm_id: &str, name: &[u8]) -> Result<u32, Status> {
        let inner = self.lock();
        let at = inner.queues.iter().position(|queue| queue.vm_id == vm_id && queue.name == name);
        at.map(|at| at as u32 + 1).ok_or(Status::NotFound)
    }

    pub(crate) fn enqueue(&self, token: u32, item: &[u8]) -> Result<(), Status> {
        let mut inner = self.lock();
        let queue = (token as usize).checked_sub(1).and_then(|at| inner.queues.get_mut(at));
        queue.ok_or(Status::NotFound)?.items.push_back(item.to_vec());
        Ok(())
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut inner = self.lock();
        let queue = (token as usize).checked_sub(1).and_then(|at| inner.queues.get_mut(at));
        queue.ok_or(Status::NotFound)?.items.pop_front().ok_or(Status::Empty)
    }

    /// Whether the queue holds something.
    pub(crate) fn is_waiting(&self, token: u32) -> bool {
        let inner = self.lock();
        let queue = (token as usize).checked_sub(1).and_then(|at| inner.queues.get(at));
        queue.is_some_and(|queue| !queue.items.is_empty())
    }
}
