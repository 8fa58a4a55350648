//! What is to be counted and logged about an exchange.

use super::record::{self, RequestLine};
use crate::attributes::view::View;
use crate::config::AuditLog;
use crate::counters::{Count, Counter};
use crate::decision::{Decision, Reply, Verdict, count_errors};
use crate::policy::{Engine, FieldValue, Recording};
use crate::request::Facts;
use crate::request::headers::Headers;

/// What is to be counted and logged, once the step that belongs to it has been carried out.
#[derive(Debug, Clone, Copy)]
pub struct Report<'x> {
    /// What was decided about the request; none if the report is about something later.
    pub decision: Option<&'x Decision>,
    /// Expressions for the response that failed: the index of their policy, and the message.
    pub errors: &'x [(usize, String)],
    /// What failed, if the stream is reset after its request went on.
    /// Beside it, the cause, where the proxy's status does not tell it.
    pub cut_off: Option<(&'static str, Option<&'static str>)>,
    /// The line for the audit log, if this is logged: JSON in printable ASCII.
    pub audit: Option<&'x [u8]>,
    /// What goes into the proxy's access log, if the configuration asks for that.
    pub access_log: Option<&'x AccessLog>,
    /// How many expressions failed of those that are only for records.
    pub field_errors: u32,
}

/// What goes into the proxy's access log about a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// The caller's SPIFFE ID.
    pub caller: Option<String>,
    /// The verdict: `allow`, `answer` or `deny`.
    pub decision: &'static str,
    /// The name of the policy that decided.
    pub policy: Option<String>,
    /// The fields that the configuration adds.
    pub fields: Vec<FieldValue>,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Decision,
    Response,
    CutOff { detail: &'static str, cause: Option<&'static str> },
}

/// The next report, which the exchange keeps until it is taken.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) subject: Option<Subject>,
    errors: Vec<(usize, String)>,
    audit: Option<Vec<u8>>,
    access_log: Option<Box<AccessLog>>,
    /// How many expressions failed of those that are only for records.
    field_errors: u32,
}

impl Notes {
    /// Notes a decision. `status` is that of the filter's own answer, if it answers.
    #[inline]
    pub(super) fn decided(
        &mut self,
        engine: &Engine,
        facts: &Facts<'_>,
        line: RequestLine<'_>,
        decision: &Decision,
        status: Option<u16>,
    ) {
        let is_logged = match engine.audit {
            AuditLog::All => true,
            AuditLog::Denied => decision.verdict() == Verdict::Deny || !decision.shadow.is_empty(),
            AuditLog::None => false,
        };
        self.subject = Some(Subject::Decision);
        if !is_logged && !engine.access_log {
            (self.audit, self.field_errors) = (None, 0);
            return;
        }
        self.write_down(engine, facts, line, decision, status, is_logged);
    }

    /// Writes the record, and what goes into the access log.
    #[inline(never)]
    fn write_down(
        &mut self,
        engine: &Engine,
        facts: &Facts<'_>,
        line: RequestLine<'_>,
        decision: &Decision,
        status: Option<u16>,
        is_logged: bool,
    ) {
        let (is_logged, fields) = match &engine.recording {
            None => (is_logged, Vec::new()),
            Some(recording) => self.record(recording, engine, facts, is_logged),
        };
        self.audit =
            is_logged.then(|| record::line(engine, facts, line, decision, status, &fields));
        if engine.access_log {
            let policy = decision.policy.and_then(|index| engine.policy_name(index));
            self.access_log = Some(Box::new(AccessLog {
                caller: engine.caller(facts).spiffe_id().map(str::to_owned),
                decision: decision.verdict().as_str(),
                policy: policy.map(str::to_owned),
                fields,
            }));
        }
    }

    /// Whether a decision is logged, and the fields that its record, or the access log, gets.
    #[inline(never)]
    fn record(
        &mut self,
        recording: &Recording,
        engine: &Engine,
        facts: &Facts<'_>,
        is_selected: bool,
    ) -> (bool, Vec<FieldValue>) {
        let view = View::new(facts, &engine.callers);
        self.field_errors = 0;
        let is_logged = is_selected && recording.selects(&view, &mut self.field_errors);
        let fields = if is_logged || engine.access_log {
            recording.fields(&view, &mut self.field_errors)
        } else {
            Vec::new()
        };
        (is_logged, fields)
    }

    /// Notes that a stream is reset after its request went on. What failed for a response whose
    /// changes could not be written is reported with it.
    pub(super) fn cut_off(
        &mut self,
        engine: &Engine,
        facts: &Facts<'_>,
        (detail, cause): (&'static str, Option<&'static str>),
        errors: Vec<(usize, String)>,
    ) {
        let decision = Decision::internal_error(detail);
        // The record has no status, as the caller gets none of the filter's.
        let is_logged = engine.audit != AuditLog::None;
        self.audit = is_logged
            .then(|| record::line(engine, facts, RequestLine::default(), &decision, None, &[]));
        if self.subject != Some(Subject::Response) {
            self.errors.clear();
        }
        self.errors.extend(errors);
        self.subject = Some(Subject::CutOff { detail, cause });
    }

    /// Notes what failed for a response.
    pub(super) fn response(&mut self, errors: Vec<(usize, String)>) {
        if !errors.is_empty() {
            self.subject = Some(Subject::Response);
            self.errors = errors;
            self.audit = None;
        }
    }

    /// Forgets what has been reported.
    pub(super) fn forget(&mut self) {
        if self.subject.is_none() {
            (self.errors, self.audit, self.access_log) = (Vec::new(), None, None);
        }
    }

    /// Takes the report, if there is one.
    pub(super) fn take<'x>(&'x mut self, decision: &'x Decision) -> Option<Report<'x>> {
        let subject = self.subject.take()?;
        let is_decision = subject == Subject::Decision;
        Some(Report {
            decision: is_decision.then_some(decision),
            errors: &self.errors,
            cut_off: match subject {
                Subject::CutOff { detail, cause } => Some((detail, cause)),
                Subject::Decision | Subject::Response => None,
            },
            audit: self.audit.as_deref(),
            access_log: self.access_log.as_deref().filter(|_| is_decision),
            field_errors: if is_decision { self.field_errors } else { 0 },
        })
    }
}

impl<'x> Report<'x> {
    /// The line for the audit log as text, for tools.
    #[must_use]
    pub fn audit_text(&self) -> Option<&'x str> {
        self.audit.and_then(|line| std::str::from_utf8(line).ok())
    }

    /// Calls `step` for each counter that is to go up.
    pub fn count(&self, mut step: impl FnMut(Count)) {
        if let Some(decision) = self.decision {
            decision.count(&mut step);
        }
        count_errors(self.errors, &mut step);
        for _ in 0..self.field_errors {
            step(Count { policy: None, counter: Counter::EvaluationErrors });
        }
        // The request itself was counted when it went on.
        if self.cut_off.is_some() {
            step(Count { policy: None, counter: Counter::InternalErrors });
        }
    }
}

/// What becomes of a request that arrives while no configuration is loaded, so that there is no
/// engine.
#[derive(Debug)]
pub struct Unconfigured {
    /// The decision, which refuses it.
    pub decision: Decision,
    /// The answer.
    pub reply: Reply,
    /// The line for the audit log. It is always written, because no configuration says otherwise.
    pub audit: Vec<u8>,
}

/// Refuses a request because there is no configuration. Who calls is not known.
#[must_use]
pub fn refuse_unconfigured(headers: &Headers<'_>) -> Unconfigured {
    let decision = Decision::internal_error("no configuration is loaded");
    let reply = Reply::refusing(decision.reason);
    let audit = record::unconfigured(headers, &decision, reply.status);
    Unconfigured { decision, reply, audit }
}
