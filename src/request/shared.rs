//! Data that all workers share, in the memory of a tool or a test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared data, with Envoy's rules for its versions.
#[derive(Debug)]
pub struct SharedData {
    number: u64,
    values: Mutex<Values>,
}

#[derive(Debug, Default, Clone)]
struct Values {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    versions: u32,
}

impl Default for SharedData {
    fn default() -> Self {
        SharedData::of(Values::default())
    }
}

impl Clone for SharedData {
    /// Other data, with the same values.
    fn clone(&self) -> Self {
        SharedData::of(self.lock().clone())
    }
}

impl SharedData {
    fn of(values: Values) -> SharedData {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        SharedData { number, values: Mutex::new(values) }
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other shared data has.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A value, and its version.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.lock().values.get(key).cloned()
    }

    /// Sets a value if it still has this version, or is not there yet. Returns whether it was set.
    pub fn set(&self, key: &[u8], value: &[u8], version: u32) -> bool {
        let mut all = self.lock();
        if all.values.get(key).is_some_and(|(_, current)| *current != version) {
            return false;
        }
        all.versions = all.versions.saturating_add(1);
        let value = (value.to_vec(), all.versions);
        all.values.insert(key.to_vec(), value);
        true
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().values.len()
    }
}
