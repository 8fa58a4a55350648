//! How a request ends, and what is said of one that ends because something failed.

use super::record::RequestLine;
use super::report::Notes;
use super::{Exchange, State, Step};
use crate::decision::{Decision, Reason, Reply, Verdict};
use crate::policy::Engine;
use crate::request::headers::Headers;
use crate::request::{Facts, Source};
use crate::stage::{Ending, Found, add_to};

/// The audit record's detail for a request that could not be read, or whose headers could not be
/// changed.
pub const CALL_FAILED: &str = "host call failed";
/// The audit record's detail for a response whose headers could not be changed.
pub const RESPONSE_FAILED: &str = "response headers could not be changed";
/// The same for the request's body.
pub const REQUEST_BODY_FAILED: &str = "request body could not be read or changed";
/// The same for the response's body.
pub const RESPONSE_BODY_FAILED: &str = "response body could not be read or changed";
/// The same for the request's trailers.
pub const REQUEST_TRAILERS_FAILED: &str = "request trailers could not be changed";
/// The same for the response's trailers.
pub const RESPONSE_TRAILERS_FAILED: &str = "response trailers could not be changed";

impl Exchange {
    /// Refuses a request that has not gone on, because something failed that must never fail.
    pub(super) fn refuse<'s>(
        &mut self,
        engine: &Engine,
        source: &dyn Source,
        detail: &'static str,
    ) -> Step<'s> {
        let headers = Headers::from_pairs(&self.request).unwrap_or_default();
        let facts = Facts::new(headers, source);
        self.state = State::Ended { is_reset: false };
        refused(&mut self.found.decision, &mut self.notes, engine, &facts, detail)
    }

    /// Resets a stream whose request went on, because something failed that must never fail: what
    /// was to be removed must not pass, so nothing does.
    pub(super) fn cut_off<'s>(
        &mut self,
        engine: &Engine,
        source: &dyn Source,
        failure: (&'static str, Option<&'static str>),
        errors: Vec<(usize, String)>,
    ) -> Step<'s> {
        // Nothing of its body has gone on, so that it can still be refused.
        if matches!(self.state, State::Receiving(_)) {
            return self.refuse(engine, source, failure.0);
        }
        self.reset(engine, source, failure, errors)
    }

    /// Resets a stream, and notes why.
    pub(super) fn reset<'s>(
        &mut self,
        engine: &Engine,
        source: &dyn Source,
        failure: (&'static str, Option<&'static str>),
        errors: Vec<(usize, String)>,
    ) -> Step<'s> {
        let headers = Headers::from_pairs(&self.request).unwrap_or_default();
        let facts = Facts::new(headers, source);
        self.notes.cut_off(engine, &facts, failure, errors);
        self.state = State::Ended { is_reset: true };
        Step::Reset
    }

    /// Notes that a request was gone before it was decided.
    pub(super) fn gone(&mut self, engine: &Engine, source: &dyn Source) {
        let headers = Headers::from_pairs(&self.request).unwrap_or_default();
        let facts = Facts::new(headers, source);
        let calls = std::mem::take(&mut self.found.decision.calls);
        self.found.decision = Decision { calls, ..Decision::because(Reason::Gone) };
        self.notes.decided(engine, &facts, RequestLine::default(), &self.found.decision, None);
    }
}

/// Completes the decision, and notes it. Returns the answer to a request that does not go on.
#[inline(always)]
pub(super) fn close(
    found: &mut Found,
    notes: &mut Notes,
    engine: &Engine,
    facts: &Facts<'_>,
    line: RequestLine<'_>,
    ending: Option<Ending>,
    is_exhausted: bool,
) -> Option<Reply> {
    let decision = &mut found.decision;
    let mut reply = decided(decision, ending, is_exhausted, facts.failed());
    if let Some(reply) = &mut reply
        && let Some(said) = &found.services
    {
        add_to(said, reply);
    }
    let status = reply.as_ref().map(|reply| reply.status);
    notes.decided(engine, facts, line, decision, status);
    reply
}

/// Completes the decision from the way in which the stages ended. Returns the answer to a request
/// that does not go on.
fn decided(
    decision: &mut Decision,
    ending: Option<Ending>,
    is_exhausted: bool,
    failed: bool,
) -> Option<Reply> {
    // The decision may rest on the absence of something that could not be read.
    if failed {
        *decision = Decision::internal_error(CALL_FAILED);
        return Some(Reply::refusing(decision.reason));
    }
    let ending = if is_exhausted { Some(Ending::because(Reason::LimitExceeded)) } else { ending };
    // If rules that were to be evaluated later were not, nothing has let the request through.
    if ending.is_none() && !decision.allows() {
        return Some(Reply::refusing(decision.reason));
    }
    let Ending { reason, detail, policy, reply } = ending?;
    // An Allow that waits for the body has not matched, so nothing answers the request either.
    if reason.verdict() == Verdict::Answer && !decision.allows() {
        return Some(Reply::refusing(decision.reason));
    }
    (decision.reason, decision.detail, decision.policy) = (reason, detail, policy);
    decision.credentials.clear();
    if reason.verdict() == Verdict::Deny {
        decision.shadow.clear();
    }
    Some(reply.map_or_else(|| Reply::refusing(reason), |reply| *reply))
}

/// Refuses a request because something failed that must never fail.
pub(super) fn refused<'s>(
    decision: &mut Decision,
    notes: &mut Notes,
    engine: &Engine,
    facts: &Facts<'_>,
    detail: &'static str,
) -> Step<'s> {
    *decision = Decision::internal_error(detail);
    let reply = Reply::refusing(decision.reason);
    notes.decided(engine, facts, RequestLine::default(), decision, Some(reply.status));
    Step::Reply(reply)
}
