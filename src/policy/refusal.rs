//! Refusals by the filter itself: a call to the host failed, or what it gave cannot be read.

use super::Engine;
use crate::audit::{self, Record};
use crate::config::AuditLog;
use crate::outcome::{Denial, Outcome};
use crate::path;
use crate::request::Facts;
use crate::request::headers::Headers;

impl Engine {
    /// Refuses a request because something failed that must not; whatever is known of it is in the
    /// facts.
    #[must_use]
    pub fn refuse(&self, detail: &'static str, facts: &Facts<'_>) -> Outcome<'static> {
        let mut outcome = Outcome::internal_error(detail);
        outcome.audit = self.records_denials().then(|| {
            let status = outcome.denial.map(|denial| denial.status);
            self.record(facts, None, &outcome, status)
        });
        outcome
    }

    /// The record of a stream that is reset after its request was let through, if such are logged.
    /// It has no status, as the caller gets none of the filter's.
    #[must_use]
    pub fn cut_off_record(&self, detail: &'static str, facts: &Facts<'_>) -> Option<String> {
        self.records_denials()
            .then(|| self.record(facts, None, &Outcome::internal_error(detail), None))
    }

    fn records_denials(&self) -> bool {
        self.audit != AuditLog::None
    }
}

/// Refuses a request because there is no configuration, and so no engine: who calls is not known,
/// and the record is written whatever a configuration would say of it.
#[must_use]
pub fn refuse_unconfigured(headers: &Headers<'_>) -> Outcome<'static> {
    let mut outcome = Outcome::internal_error("no configuration is loaded");
    let denial: Option<Denial> = outcome.denial;
    let record = Record {
        event: "egress",
        verdict: "deny",
        policy: None,
        reason: outcome.reason.as_str(),
        detail: denial.and_then(|denial| denial.detail),
        shadow: Vec::new(),
        errors: Vec::new(),
        caller: None,
        rejected_caller: None,
        method: audit::text(headers.first(b":method")),
        host: audit::text(headers.first(b":authority")),
        path: audit::text(headers.first(b":path").map(path::without_query)),
        destination: None,
        status: denial.map(|denial| denial.status),
        request_id: audit::text(headers.first(b"x-request-id")),
    };
    outcome.audit = Some(record.to_line());
    outcome
}
