//! The expected outcome of a request, as data.

use std::collections::BTreeMap;

use egress_filter::decision::Reason;
pub use egress_filter::decision::Verdict;
use serde_json::{Map, Value};

/// The expected outcome of a request. What is left out is not compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// What becomes of the request.
    pub verdict: Option<Verdict>,
    /// The deciding policy; inside, `None` for no policy.
    pub policy: Option<Option<String>>,
    /// Why, as in the audit record.
    pub reason: Option<Reason>,
    /// The status that the caller sees is one of these.
    pub status: Option<Vec<u16>>,
    /// The body that the caller sees.
    pub body: Option<String>,
    /// Headers as the origin gets them, `:method`, `:authority` and `:path` among them.
    pub headers: Vec<(String, Values)>,
    /// Headers as the caller gets them.
    pub response_headers: Vec<(String, Values)>,
    /// Exactly these shadow policies would have denied the request.
    pub shadow: Option<Vec<String>>,
    /// Exactly these policies have expressions that fail.
    pub errors: Option<Vec<String>>,
    /// What is written to the audit log.
    pub audit: Option<AuditExpectation>,
    /// By how much the request increments metrics, by the names of
    /// [`short_counter`](super::short_counter).
    pub counters: BTreeMap<String, u64>,
}

/// What is written to the audit log of one request.
#[derive(Debug, Clone, PartialEq)]
pub enum AuditExpectation {
    /// No record.
    Absent,
    /// One record that has at least these fields.
    Record(Map<String, Value>),
}

/// The values of one header, a line each; empty where the header is to be absent.
pub type Values = Vec<String>;

impl Expect {
    /// Whether nothing at all is compared.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Expect::default()
    }

    /// Whether the request is expected to be answered by the filter, or by the proxy, and not by an
    /// origin that answers with this status.
    #[must_use]
    pub fn is_refusal(&self, origin_status: u16) -> bool {
        self.verdict
            .or(self.reason.map(Reason::verdict))
            .is_some_and(|verdict| verdict != Verdict::Allow)
            || self.status.as_ref().is_some_and(|status| !status.contains(&origin_status))
    }
}
