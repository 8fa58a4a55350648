//! The audit record of a decision.

use std::borrow::Cow;

use crate::audit::{self, CallRecord, EvaluationError, Record};
use crate::decision::{Decision, WHOLE};
use crate::path;
use crate::policy::{Engine, FieldValue};
use crate::request::Facts;
use crate::request::headers::Headers;

/// The record as a line of JSON. `host` is the request's host, if it is known; `status` is that of
/// the filter's own answer, if it answers; `fields` are those that the configuration adds.
pub(super) fn line(
    engine: &Engine,
    facts: &Facts<'_>,
    host: Option<&str>,
    decision: &Decision,
    status: Option<u16>,
    fields: &[FieldValue],
) -> String {
    let caller = engine.caller(facts);
    let shadow = decision.shadow.iter().filter_map(|index| engine.policy_name(*index));
    let errors = decision.errors.iter().filter_map(|(index, message)| {
        let policy = engine.policy_name(*index);
        (policy.is_some() || *index == WHOLE).then_some(EvaluationError { policy, message })
    });
    let credentials = decision.credentials.iter().filter_map(|index| engine.policy_name(*index));
    let calls = decision.calls.iter().filter_map(|asked| {
        Some(CallRecord {
            policy: engine.policy_name(asked.policy)?,
            service: asked.service.field(),
            outcome: asked.outcome.as_str(),
            cached: asked.is_cached,
            failed_open: asked.fails_open,
            milliseconds: asked.milliseconds,
        })
    });
    let host = match host {
        Some(host) => Some(Cow::Borrowed(host)),
        None => authority(&facts.headers),
    };
    Record {
        policy: decision.policy.and_then(|index| engine.policy_name(index)),
        shadow: shadow.take(audit::MAX_LIST).collect(),
        errors: errors.take(audit::MAX_LIST).collect(),
        credentials: credentials.take(audit::MAX_LIST).collect(),
        calls: calls.take(audit::MAX_LIST).collect(),
        caller: caller.spiffe_id(),
        rejected_caller: caller.rejected(),
        destination: facts.destination(),
        fields,
        ..of_request(&facts.headers, host, decision, status)
    }
    .to_line()
}

/// The record of a request that is refused because there is no configuration.
pub(super) fn unconfigured(headers: &Headers<'_>, decision: &Decision, status: u16) -> String {
    of_request(headers, authority(headers), decision, Some(status)).to_line()
}

/// The authority as it came.
fn authority<'a>(headers: &'a Headers<'_>) -> Option<Cow<'a, str>> {
    audit::text(headers.first(b":authority"))
}

fn of_request<'a>(
    headers: &'a Headers<'_>,
    host: Option<Cow<'a, str>>,
    decision: &Decision,
    status: Option<u16>,
) -> Record<'a> {
    Record {
        event: "egress",
        verdict: decision.verdict().as_str(),
        policy: None,
        reason: decision.reason.as_str(),
        detail: decision.detail,
        shadow: Vec::new(),
        errors: Vec::new(),
        credentials: Vec::new(),
        calls: Vec::new(),
        caller: None,
        rejected_caller: None,
        method: audit::text(headers.first(b":method")),
        host,
        path: audit::text(headers.first(b":path").map(path::without_query)),
        destination: None,
        status,
        request_id: audit::text(headers.first(b"x-request-id")),
        fields: &[],
    }
}
