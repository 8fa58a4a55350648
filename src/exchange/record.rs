//! The audit record of a decision.

use std::borrow::Cow;

use crate::audit::{self, EvaluationError, Record};
use crate::decision::Decision;
use crate::path;
use crate::policy::Engine;
use crate::request::Facts;
use crate::request::headers::Headers;

/// The record as a line of JSON. `host` is the request's host where it is known; `status` what the
/// caller gets of the filter.
pub(super) fn line(
    engine: &Engine,
    facts: &Facts<'_>,
    host: Option<&str>,
    decision: &Decision,
    status: Option<u16>,
) -> String {
    let caller = engine.caller(facts);
    let shadow = decision.shadow.iter().filter_map(|index| engine.policy_name(*index));
    let errors = decision.errors.iter().filter_map(|(index, message)| {
        let policy = engine.policy_name(*index)?;
        Some(EvaluationError { policy, message })
    });
    let request = of_request(&facts.headers, decision, status);
    Record {
        policy: decision.policy.and_then(|index| engine.policy_name(index)),
        shadow: shadow.take(audit::MAX_LIST).collect(),
        errors: errors.take(audit::MAX_LIST).collect(),
        caller: caller.spiffe_id(),
        rejected_caller: caller.rejected(),
        host: host.map(Cow::Borrowed).or(request.host),
        destination: facts.destination(),
        ..request
    }
    .to_line()
}

/// The record of a request that is refused because there is no configuration.
pub(super) fn unconfigured(headers: &Headers<'_>, decision: &Decision, status: u16) -> String {
    of_request(headers, decision, Some(status)).to_line()
}

fn of_request<'a>(
    headers: &'a Headers<'_>,
    decision: &Decision,
    status: Option<u16>,
) -> Record<'a> {
    Record {
        event: "egress",
        verdict: decision.verdict(),
        policy: None,
        reason: decision.reason.as_str(),
        detail: decision.detail,
        shadow: Vec::new(),
        errors: Vec::new(),
        caller: None,
        rejected_caller: None,
        method: audit::text(headers.first(b":method")),
        host: audit::text(headers.first(b":authority")),
        path: audit::text(headers.first(b":path").map(path::without_query)),
        destination: None,
        status,
        request_id: audit::text(headers.first(b"x-request-id")),
    }
}
