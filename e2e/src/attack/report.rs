//! The report of a run.

use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::health::{GROWTH, Health};
use super::record::{Finding, Record};
use super::rules::RULES;
use crate::envoy::EnvoyProcess;

/// Requests of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRule {
    /// The policy.
    pub name: &'static str,
    /// How many requests were sent to its host.
    pub sent: u64,
    /// How many of them its origin has seen.
    pub arrived: u64,
}

/// A run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The seed of all requests.
    pub seed: u64,
    /// How many requests were sent in HTTP/1.1, in HTTP/2 by hand, and in HTTP/2 by a library.
    pub sent: [u64; 3],
    /// How many came to an origin in HTTP/1.1, and in HTTP/2.
    pub arrived: [u64; 2],
    /// How many requests were answered with each status, as far as pods could read it.
    pub statuses: BTreeMap<u16, u64>,
    /// How many got no answer because their tunnel was closed.
    pub cut_off: u64,
    /// How many got no answer in time.
    pub hung: u64,
    /// The same for each policy.
    pub of_rules: Vec<OfRule>,
    /// What was found, the first of each kind.
    pub findings: Vec<Finding>,
    /// How Envoy has fared.
    pub health: Health,
    /// The processor time that Envoy has used, including its start.
    pub processor: Duration,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub(super) fn progress(&self, record: &Record, elapsed: Duration) -> String {
        let arrived: u64 = record.arrived.iter().map(|count| count.load(Relaxed)).sum();
        let sent = record.sent();
        let rate = sent as f64 / elapsed.as_secs_f64().max(0.001);
        let memory = self.health.memory.1 >> 20;
        format!("{sent} sent, {arrived} at origins, {rate:.0} a second, Envoy has {memory} MB")
    }

    pub(super) fn finish(
        &mut self,
        record: &Record,
        elapsed: Duration,
        envoy: &EnvoyProcess,
    ) -> io::Result<()> {
        self.elapsed = elapsed;
        self.sent = record.sent.each_ref().map(|count| count.load(Relaxed));
        self.arrived = record.arrived.each_ref().map(|count| count.load(Relaxed));
        self.cut_off = record.cut_off.load(Relaxed);
        self.hung = record.hung.load(Relaxed);
        self.statuses = record.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.findings = record.findings();
        let of_rules = RULES.iter().zip(&record.of_rules);
        self.of_rules = of_rules
            .map(|(rule, [sent, arrived])| OfRule {
                name: rule.name,
                sent: sent.load(Relaxed),
                arrived: arrived.load(Relaxed),
            })
            .collect();
        self.processor = envoy.cpu_time()?;
        self.health.finish(envoy)
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// What is wrong, each in a line or more; nothing where the filter has held.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        faults.extend(self.health.faults());
        // If nothing arrived, nothing could be found.
        if self.arrived.iter().sum::<u64>() * 10 < self.requests() {
            faults.push("hardly a request has come to an origin".to_owned());
        }
        faults
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [http1, http2, library] = self.sent;
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.requests() as f64 / seconds.max(0.001);
        let processor = self.processor.as_secs_f64();
        writeln!(
            f,
            "seed {}: {} requests in {seconds:.1} s, {rate:.0} a second",
            self.seed,
            self.requests()
        )?;
        writeln!(f, "Envoy has used {processor:.1} s of processor time")?;
        writeln!(
            f,
            "sent: {http1} in HTTP/1.1, {http2} in HTTP/2 by hand, {library} in HTTP/2 by a library"
        )?;
        writeln!(
            f,
            "came to an origin: {} in HTTP/1.1, {} in HTTP/2",
            self.arrived[0], self.arrived[1]
        )?;
        let statuses = self
            .statuses
            .iter()
            .map(|(status, count)| format!("{status}: {count}"))
            .collect::<Vec<_>>();
        writeln!(
            f,
            "answers: {}; cut off: {}, hung: {}",
            statuses.join(", "),
            self.cut_off,
            self.hung
        )?;
        let rules = self
            .of_rules
            .iter()
            .map(|rule| format!("{} {}/{}", rule.name, rule.arrived, rule.sent))
            .collect::<Vec<_>>();
        writeln!(f, "came through, of each policy: {}", rules.join(", "))?;
        let (early, late) = (self.health.memory.0 >> 20, self.health.memory.1 >> 20);
        writeln!(
            f,
            "Envoy's memory: {early} MB after a tenth, {late} MB at the end (it may grow by {} MB)",
            GROWTH >> 20
        )?;
        match &self.faults()[..] {
            [] => write!(f, "no request at the origin that a rule forbids"),
            faults => write!(f, "{}", faults.join("\n")),
        }
    }
}
