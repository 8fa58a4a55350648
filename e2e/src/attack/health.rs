//! How Envoy fares in a run: its memory, and the filter's VM.

use std::io;

use crate::envoy::EnvoyProcess;

/// By how much Envoy's resident memory may grow between the first tenth of a run and its end: what
/// connections and statistics come to meanwhile, which do not depend on how many requests there
/// were.
pub(super) const GROWTH: u64 = 32 << 20;

/// What was seen of Envoy.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Envoy's resident memory after a tenth of the run, and at its end, in bytes.
    pub memory: (u64, u64),
    /// What Envoy counts of failures of the filter's VM, where that is more than none.
    pub failures: Vec<String>,
}

impl Health {
    /// Notes the memory, of which the first counts when a tenth of the run is done.
    ///
    /// # Errors
    /// When Envoy's memory cannot be read.
    pub(super) fn look(&mut self, percent: u64, envoy: &EnvoyProcess) -> io::Result<()> {
        self.memory.1 = envoy.resident_bytes()?;
        if self.memory.0 == 0 && percent >= 10 {
            self.memory.0 = self.memory.1;
        }
        Ok(())
    }

    /// Notes what is so at the end.
    ///
    /// # Errors
    /// When Envoy's memory or its statistics cannot be read.
    pub(super) fn finish(&mut self, envoy: &EnvoyProcess) -> io::Result<()> {
        self.look(100, envoy)?;
        let failed = |(name, count): &(String, u64)| name.contains("vm_reload") && *count > 0;
        let failures = envoy.stats("")?.into_iter().filter(failed);
        self.failures = failures.map(|(name, count)| format!("{name}: {count}")).collect();
        Ok(())
    }

    /// What is wrong, each in a line.
    pub(super) fn faults(&self) -> impl Iterator<Item = String> {
        let grown = self.memory.1.saturating_sub(self.memory.0);
        let grown = (grown > GROWTH).then(|| {
            let (grown, most) = (grown >> 20, GROWTH >> 20);
            format!("Envoy's memory has grown by {grown} MB, more than {most}")
        });
        let failed = (!self.failures.is_empty())
            .then(|| format!("the filter's VM has failed: {}", self.failures.join(", ")));
        grown.into_iter().chain(failed)
    }
}
