//! What was sent, what came of it, and what should not have come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::CALLERS;
use super::arrived::{Arrived, escaped};
use super::generate::{Block, Spoken, request};
use super::rules::{RULES, Rule};

/// A request that a rule forbids and an origin has seen, or an answer that a pod should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The policy.
    pub rule: &'static str,
    /// Which kind of origin reads what is forbidden.
    pub reader: &'static str,
    /// What it reads.
    pub reads: String,
    /// The number of the request, where that is known.
    pub number: Option<u64>,
    /// What the pod has sent, escaped.
    pub sent: String,
    /// What has arrived, escaped.
    pub arrived: String,
    /// How many requests had been sent until then.
    pub after: u64,
    /// How many more requests of this policy the same kind of origin misreads.
    pub again: u64,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.number.map_or("unknown".to_owned(), |number| number.to_string());
        writeln!(f, "policy `{}`, reader `{}`: reads {:?}", self.rule, self.reader, self.reads)?;
        writeln!(
            f,
            "  request number {number}, found after {} requests, again {} times",
            self.after, self.again
        )?;
        writeln!(f, "  sent     {}", self.sent)?;
        write!(f, "  arrived  {}", self.arrived.replace('\n', "\n           "))
    }
}

/// Counts of requests, for each of the policies too.
#[derive(Debug)]
pub(super) struct Record {
    seed: u64,
    pub(super) sent: [AtomicU64; 3],
    pub(super) arrived: [AtomicU64; 2],
    pub(super) cut_off: AtomicU64,
    pub(super) hung: AtomicU64,
    pub(super) statuses: Mutex<BTreeMap<u16, u64>>,
    pub(super) of_rules: Vec<[AtomicU64; 2]>,
    findings: Mutex<BTreeMap<(&'static str, &'static str), Finding>>,
}

impl Record {
    pub(super) fn new(seed: u64) -> Self {
        let of_rules = RULES.iter().map(|_| Default::default()).collect();
        Self {
            seed,
            sent: Default::default(),
            arrived: Default::default(),
            cut_off: Default::default(),
            hung: Default::default(),
            statuses: Mutex::default(),
            of_rules,
            findings: Mutex::default(),
        }
    }

    pub(super) fn sends(&self, block: &Block, requests: u64) {
        self.sent[block.spoken as usize].fetch_add(requests, Relaxed);
        self.of_rules[block.rule][0].fetch_add(requests, Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(super) fn answered(&self, status: u16) {
        *self.statuses.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() +=
            1;
    }

    /// Judges a request that has come to an origin.
    pub(super) fn judge(&self, arrived: &Arrived) {
        self.arrived[usize::from(arrived.http2)].fetch_add(1, Relaxed);
        let Some(place) = RULES.iter().position(|rule| arrived.service == rule.host()) else {
            return;
        };
        let rule = &RULES[place];
        self.of_rules[place][1].fetch_add(1, Relaxed);
        let number = arrived.number();
        let caller = number.map(|number| CALLERS[Block::of(self.seed, number).pod]);
        if let Some(reading) = rule.breach(arrived, caller) {
            self.found(rule, reading.reader, reading.text, number, arrived.shown());
        }
    }

    /// Notes a finding, or that it has been made again.
    pub(super) fn found(
        &self,
        rule: &Rule,
        reader: &'static str,
        reads: String,
        number: Option<u64>,
        arrived: String,
    ) {
        let sent = number.map(|number| {
            let (block, request) = (Block::of(self.seed, number), request(self.seed, number));
            match block.spoken {
                Spoken::Http1 => escaped(&request.http1()),
                Spoken::Http2 | Spoken::Library => format!("in HTTP/2 {request}"),
            }
        });
        let after = self.sent();
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Finding {
            rule: rule.name,
            reader,
            reads,
            number,
            sent: sent.unwrap_or_else(|| "unknown".to_owned()),
            arrived,
            after,
            again: 0,
        };
        findings
            .entry((rule.name, reader))
            .and_modify(|known| known.again += 1)
            .or_insert_with(new);
    }

    /// What has been found, in the order in which it was.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<Finding> = findings.values().cloned().collect();
        findings.sort_by_key(|finding| finding.after);
        findings
    }
}
