//! Data that all workers share, in the memory of a tool or a test.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Shared data, with Envoy's rules for its versions.
#[derive(Debug, Default)]
pub struct SharedData(Mutex<Values>);

#[derive(Debug, Default)]
struct Values {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    versions: u32,
}

impl SharedData {
    /// A value, and its version.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values.get(key).cloned()
    }

    /// Sets a value if it still has this version, or is not there yet. Returns whether it was set.
    pub fn set(&self, key: &[u8], value: &[u8], version: u32) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values.len()
    }
}
