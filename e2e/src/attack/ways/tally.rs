//! What came of all requests of a way, and what is told of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::attack::health::Health;
use crate::attack::record::Finding;

/// Counts, and what was found.
#[derive(Debug)]
pub(super) struct Tally {
    way: &'static str,
    sent: AtomicU64,
    arrived: [AtomicU64; 2],
    cut_off: AtomicU64,
    hung: AtomicU64,
    statuses: Mutex<BTreeMap<u16, u64>>,
    findings: Mutex<BTreeMap<(&'static str, &'static str), Finding>>,
}

impl Tally {
    pub(super) fn new(way: &'static str) -> Self {
        Self {
            way,
            sent: AtomicU64::default(),
            arrived: Default::default(),
            cut_off: AtomicU64::default(),
            hung: AtomicU64::default(),
            statuses: Mutex::default(),
            findings: Mutex::default(),
        }
    }

    pub(super) fn sends(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(super) fn arrives(&self, is_whole: bool) {
        self.arrived[usize::from(!is_whole)].fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, status: Option<u16>, hung: bool) {
        let Some(status) = status else {
            if hung { &self.hung } else { &self.cut_off }.fetch_add(1, Relaxed);
            return;
        };
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        *statuses.entry(status).or_default() += 1;
    }

    /// Notes a finding, or that it has been made again.
    pub(super) fn finds(&self, finding: Finding) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings
            .entry((finding.rule, finding.reader))
            .and_modify(|known| known.again += 1)
            .or_insert(Finding { after: self.sent(), ..finding });
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn report(&self, health: Health, elapsed: Duration) -> WayReport {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<Finding> = findings.values().cloned().collect();
        findings.sort_by_key(|finding| finding.after);
        WayReport {
            way: self.way,
            sent: self.sent(),
            arrived: self.arrived[0].load(Relaxed),
            in_part: self.arrived[1].load(Relaxed),
            statuses: self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            cut_off: self.cut_off.load(Relaxed),
            hung: self.hung.load(Relaxed),
            findings,
            health,
            elapsed,
        }
    }
}

/// A run of one way.
#[derive(Debug, Clone, Default)]
pub struct WayReport {
    /// The way's name.
    pub way: &'static str,
    /// How many requests were sent.
    pub sent: u64,
    /// How many came to the origin as a whole.
    pub arrived: u64,
    /// Of how many the head came to the origin, and not all of the body.
    pub in_part: u64,
    /// How many requests were answered with each status, as far as pods could read it.
    pub statuses: BTreeMap<u16, u64>,
    /// How many got no answer because their tunnel or stream was closed.
    pub cut_off: u64,
    /// How many got no answer in time.
    pub hung: u64,
    /// What was found, the first of each kind.
    pub findings: Vec<Finding>,
    /// How Envoy has fared.
    pub health: Health,
    /// How long it took.
    pub elapsed: Duration,
}

impl WayReport {
    /// What is wrong, each in a line or more; nothing where the filter has held.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        faults.extend(self.health.faults());
        // If nothing arrived, nothing could be found; a request without an answer is a fault too.
        if self.arrived * 20 < self.sent {
            faults.push("hardly a request has come to an origin".to_owned());
        }
        if self.hung > 0 {
            faults.push(format!("{} requests had no answer", self.hung));
        }
        faults
    }
}

impl std::fmt::Display for WayReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, sent) = (self.elapsed.as_secs_f64(), self.sent);
        writeln!(
            f,
            "{}: {sent} requests in {seconds:.1} s; {} came to an origin, {} in part",
            self.way, self.arrived, self.in_part
        )?;
        let statuses = self.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        let statuses: Vec<String> = statuses.collect();
        writeln!(
            f,
            "answers: {}; cut off: {}, hung: {}; memory {} to {} MB",
            statuses.join(", "),
            self.cut_off,
            self.hung,
            self.health.memory.0 >> 20,
            self.health.memory.1 >> 20
        )?;
        match &self.faults()[..] {
            [] => write!(f, "every law of {} has held", self.way),
            faults => write!(f, "{}", faults.join("\n")),
        }
    }
}
