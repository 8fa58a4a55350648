//! What a callback or a stream costs, in numbers that are the same on every machine.

use std::collections::BTreeMap;

/// What a callback, a stream or a VM's whole life cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often each host function was called.
    pub calls: BTreeMap<String, u64>,
    /// Bytes that the host wrote into the guest's memory.
    pub bytes_to_guest: u64,
    /// Bytes that the host read from the guest's memory.
    pub bytes_from_guest: u64,
    /// How often the host re-entered the guest to have memory allocated.
    pub allocations: u64,
    /// Wasm fuel used: about one per executed instruction.
    pub fuel: u64,
    /// Size of the linear memory at the end, in bytes; it never shrinks.
    pub memory: u64,
}

impl Usage {
    /// How many host calls there were in all.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// How often the host function `name` was called.
    #[must_use]
    pub fn calls_of(&self, name: &str) -> u64 {
        self.calls.get(name).copied().unwrap_or(0)
    }

    /// What was used since `before`, an earlier state of the same counters.
    #[must_use]
    pub fn since(&self, before: &Usage) -> Usage {
        let calls = self
            .calls
            .iter()
            .map(|(name, count)| (name.clone(), count - before.calls_of(name)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Usage {
            calls,
            bytes_to_guest: self.bytes_to_guest - before.bytes_to_guest,
            bytes_from_guest: self.bytes_from_guest - before.bytes_from_guest,
            allocations: self.allocations - before.allocations,
            fuel: self.fuel - before.fuel,
            memory: self.memory,
        }
    }

    /// Adds what another callback used.
    pub fn add(&mut self, other: &Usage) {
        for (name, count) in &other.calls {
            *self.calls.entry(name.clone()).or_default() += count;
        }
        self.bytes_to_guest += other.bytes_to_guest;
        self.bytes_from_guest += other.bytes_from_guest;
        self.allocations += other.allocations;
        self.fuel += other.fuel;
        self.memory = self.memory.max(other.memory);
    }
}
