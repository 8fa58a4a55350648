//! Waiting for what a running waypoint tells: the filter's audit records and its counters.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Waypoint;

/// How long anything may take on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A little more than the period in which the filter tells its counters.
const TOLD: Duration = Duration::from_millis(350);
/// How long nobody looks.
const PAUSE: Duration = Duration::from_millis(5);

impl Waypoint {
    /// Waits until a condition holds.
    ///
    /// # Panics
    /// When it does not hold within [`PATIENCE`]; Envoy's log is told then.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            let log = self.process().log_tail();
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}\n{log}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The one audit record of the request with this `x-request-id`, once it is written.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`], or there are several.
    pub async fn record(&self, id: &str) -> Value {
        let find = || {
            let records = self.audit_records().into_iter();
            records.filter(|record| record["requestId"] == id).collect::<Vec<_>>()
        };
        self.until(&format!("the record of {id}"), || !find().is_empty()).await;
        let [record] = &find()[..] else { panic!("several records of {id}") };
        record.clone()
    }

    /// A counter of the filter's, as it stands in Envoy; 0 where it was never told.
    ///
    /// # Panics
    /// When Envoy does not tell its statistics.
    pub fn counter(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.{name}");
        self.stats(&name).expect("statistics").get(&name).copied().unwrap_or(0)
    }

    /// How many HBONE connections each worker has accepted so far.
    ///
    /// # Panics
    /// When Envoy does not tell its statistics.
    pub fn connections(&self, workers: usize) -> Vec<u64> {
        let stats = self.stats("listener.").expect("statistics");
        let address = self.hbone_address().to_string().replace(':', "_");
        let of = |worker| {
            let name = format!("listener.{address}.worker_{worker}.downstream_cx_total");
            stats.get(&name).copied().unwrap_or_default()
        };
        (0..workers).map(of).collect()
    }

    /// Counters of the filter's, once it has told what it counted.
    pub async fn settled(&self, names: &[&str]) -> Vec<u64> {
        let read = || names.iter().map(|name| self.counter(name)).collect::<Vec<u64>>();
        let mut last = read();
        loop {
            tokio::time::sleep(TOLD).await;
            let now = read();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Waits until counters have these values, and checks that they keep them.
    ///
    /// # Panics
    /// When they do not.
    pub async fn until_settled(&self, names: &[&str], wanted: &[u64]) {
        let read = || names.iter().map(|name| self.counter(name)).collect::<Vec<u64>>();
        self.until(&format!("{names:?} are {wanted:?}"), || read() == wanted).await;
        assert_eq!(self.settled(names).await, wanted, "{names:?}");
    }
}
