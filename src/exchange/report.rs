//! What is to be counted and logged about an exchange.

use super::record;
use crate::config::AuditLog;
use crate::counters::{Count, Counter};
use crate::decision::{Decision, Reply, count_errors};
use crate::policy::Engine;
use crate::request::Facts;
use crate::request::headers::Headers;

/// What is to be counted and logged, once the step that came with it has been carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was decided about the request; none where the report is about what came after.
    pub decision: Option<Decision>,
    /// Expressions for the response that failed: the index of their policy, and the message.
    pub errors: Vec<(usize, String)>,
    /// What failed, where the stream is reset although its request went on.
    pub cut_off: Option<&'static str>,
    /// The line for the audit log, if this is logged.
    pub audit: Option<String>,
    /// What the proxy's access log is to know, if it is to know anything.
    pub access_log: Option<AccessLog>,
}

/// What the proxy's access log is to know of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// The caller's SPIFFE ID.
    pub caller: Option<String>,
    /// The verdict: `allow` or `deny`.
    pub decision: &'static str,
    /// The name of the policy that decided.
    pub policy: Option<String>,
}

impl Report {
    fn empty() -> Report {
        Report { decision: None, errors: Vec::new(), cut_off: None, audit: None, access_log: None }
    }

    /// The report of a decision; `status` is what the caller gets of the filter.
    pub(super) fn of_decision(
        engine: &Engine,
        facts: &Facts<'_>,
        host: Option<&str>,
        decision: Decision,
        status: Option<u16>,
    ) -> Report {
        let is_notable = !decision.allows() || !decision.shadow.is_empty();
        let is_logged = match engine.audit {
            AuditLog::All => true,
            AuditLog::Denied => is_notable,
            AuditLog::None => false,
        };
        let audit = is_logged.then(|| record::line(engine, facts, host, &decision, status));
        let access_log = engine.access_log.then(|| AccessLog {
            caller: engine.caller(facts).spiffe_id().map(str::to_owned),
            decision: decision.verdict(),
            policy: decision.policy.and_then(|index| engine.policy_name(index)).map(str::to_owned),
        });
        Report { decision: Some(decision), audit, access_log, ..Report::empty() }
    }

    pub(super) fn of_cut_off(
        engine: &Engine,
        facts: &Facts<'_>,
        detail: &'static str,
        errors: Vec<(usize, String)>,
    ) -> Report {
        let decision = Decision::internal_error(detail);
        // It has no status, as the caller gets none of the filter's.
        let audit = (engine.audit != AuditLog::None)
            .then(|| record::line(engine, facts, None, &decision, None));
        Report { errors, cut_off: Some(detail), audit, ..Report::empty() }
    }

    pub(super) fn of_response(errors: Vec<(usize, String)>) -> Option<Report> {
        (!errors.is_empty()).then(|| Report { errors, ..Report::empty() })
    }

    /// Calls `step` for each counter that is to go up.
    pub fn count(&self, mut step: impl FnMut(Count)) {
        if let Some(decision) = &self.decision {
            decision.count(&mut step);
        }
        count_errors(&self.errors, &mut step);
        // The request itself was counted when it went on.
        if self.cut_off.is_some() {
            step(Count { policy: None, counter: Counter::InternalErrors });
        }
    }
}

/// Refuses a request because there is no configuration, and so no engine: who calls is not known,
/// and the record is written whatever a configuration would say of it.
#[must_use]
pub fn refuse_unconfigured(headers: &Headers<'_>) -> (Report, Reply) {
    let decision = Decision::internal_error("no configuration is loaded");
    let reply = Reply::refusing(decision.reason);
    let audit = Some(record::unconfigured(headers, &decision, reply.status));
    (Report { decision: Some(decision), audit, ..Report::empty() }, reply)
}
