//! Tells Envoy's router, by headers that it takes from the request, how long the origin has and
//! when the request is sent again.

use std::borrow::Cow;

use super::{Flow, Turn};
use crate::attributes::view::View;
use crate::cel::meter::Allowance;
use crate::decision::Change;
use crate::policy::router::Retry;
use crate::trace::Feature;

const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
const MAX_RETRIES: &str = "x-envoy-max-retries";
const RETRY_ON: &str = "x-envoy-retry-on";
const RETRIABLE_CODES: &str = "x-envoy-retriable-status-codes";

/// The headers by which a request controls the router of Envoy 1.36 to 1.40. A caller's own would
/// add to those of a policy, so they never stay beside them.
const CONTROLS: [&str; 13] = [
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-is-timeout-retry",
    MAX_RETRIES,
    "x-envoy-retriable-header-names",
    RETRIABLE_CODES,
    "x-envoy-retry-grpc-on",
    RETRY_ON,
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    TIMEOUT,
    "x-envoy-upstream-stream-duration-ms",
];

/// What is retried, in the router's words: a connection that fails or breaks before a response (a
/// stream that the origin refuses among them); and the same with the status codes of the policy.
const BROKEN: &str = "reset,connect-failure,refused-stream";
const BROKEN_OR_CODES: &str = "reset,connect-failure,refused-stream,retriable-status-codes";

/// Applies the first timeout and the first retry of the policies in scope.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let engine = turn.engine;
    let (mut timeout, mut retry) = (None, None);
    for (index, policy) in engine.policies_at(&turn.found.applied) {
        if let Some(router) = &policy.router {
            timeout = timeout.or(router.timeout.as_ref().map(|value| (index, value)));
            retry = retry.or(router.retry.as_ref().map(|retry| (index, retry)));
        }
    }
    let before = turn.changes.len();
    let timeouts = timeout.map(|(index, _)| (index, Feature::Timeouts));
    let retries = retry.map(|(index, _)| (index, Feature::Retry));
    let Some((first, feature)) = timeouts.or(retries) else { return Flow::Next };
    remove_controls(turn);
    if let Some((_, value)) = timeout {
        set(turn, TIMEOUT, value);
    }
    turn.trace_changes(first, feature, before);
    if let Some((index, retry)) = retry {
        let before = turn.changes.len();
        if may_retry(turn, index, retry) {
            set(turn, MAX_RETRIES, &retry.attempts);
            let on = if retry.codes.is_some() { BROKEN_OR_CODES } else { BROKEN };
            set(turn, RETRY_ON, on);
            if let Some(codes) = &retry.codes {
                set(turn, RETRIABLE_CODES, codes);
            }
        } else {
            // The route may have retries of its own.
            set(turn, MAX_RETRIES, "0");
        }
        turn.trace_changes(index, Feature::Retry, before);
    }
    Flow::Next
}

/// Whether the precondition, if there is one, is true of the request as it came. One that fails is
/// not.
fn may_retry(turn: &mut Turn<'_, '_, '_>, policy: usize, retry: &Retry) -> bool {
    let Some(precondition) = &retry.precondition else { return true };
    let view = View::new(turn.facts, &turn.engine.callers);
    let holds = turn.meter.rule(|allowance: &Allowance| {
        let holds = precondition.matches(&view, allowance)?;
        match allowance.breached() {
            None => Ok(holds),
            Some(breach) => Err(breach.to_owned()),
        }
    });
    holds.unwrap_or_else(|error: String| {
        turn.found.decision.errors.push((policy, format!("precondition of `retry`: {error}")));
        false
    })
}

/// Removes the headers that control the router.
fn remove_controls(turn: &mut Turn<'_, '_, '_>) {
    let (headers, changes) = turn.changing();
    for name in CONTROLS {
        if headers.may_have(name.as_bytes())
            && headers.remove(name.as_bytes(), |line| line.eq_ignore_ascii_case(name.as_bytes()))
                > 0
        {
            changes.push(Change::Remove(Cow::Borrowed(name)));
        }
    }
}

fn set<'a>(turn: &mut Turn<'a, '_, '_>, name: &'static str, value: &'a str) {
    let (headers, changes) = turn.changing();
    let value = Cow::Borrowed(value.as_bytes());
    headers.push(name.as_bytes(), value.clone());
    changes.push(Change::Replace(Cow::Borrowed(name), value));
}
