//! The life of one request and its response.
//!
//! An [`Exchange`] owns all that is known of one request. It takes events and returns steps, and
//! does no I/O: its driver (the host part of the filter, a test, `egressctl`) carries out the steps
//! and reports what happened. A request that needs no call to a service runs through all stages at
//! its first event. At a stage that calls a service, it waits for the answer.
//!
//! These laws hold for all events in any order (`exchange/tests/laws.rs`):
//!
//! - A request ends at most once, with one report.
//! - Nothing goes on while a call is pending.
//! - A lost answer leads to the failure mode of the policy that made the call.
//! - Changes of headers are returned once.
//! - What a request may cost is bounded.

mod body;
mod event;
mod kept;
mod record;
mod report;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod waiting;

pub use body::Received;
use body::{Answering, Judged, Next, Receiving};
pub use event::{Event, Pairs, Part};
use kept::Kept;
pub use report::{AccessLog, Report, Unconfigured, refuse_unconfigured};
use report::{Notes, Subject};
pub use step::{Expectation, Step};
use waiting::{On, Pending, Resumed};

use std::time::Duration;

use crate::call::CallId;
use crate::cel::meter::Meter;
use crate::config::Direction;
use crate::decision::{Decision, Reason, Reply, Verdict};
use crate::mends::{self, Mend};
use crate::order::Stage;
use crate::policy::Engine;
use crate::policy::bodies::READS_BODIES;
use crate::request::headers::Headers;
use crate::request::{Facts, Source};
use crate::stage::{self, Ending, Flow, Found, Turn, add_to, response};
use crate::trace::Trace;

/// How far a request has got.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Its headers have not arrived yet.
    New,
    /// It waits for the answer to a call, or for a token.
    Waiting(Pending),
    /// Its headers went on, and its body is held until all of it is there.
    Receiving(Receiving),
    /// It went on.
    Passing,
    /// It was answered here, or reset, or is gone.
    Ended { is_reset: bool },
}

/// One request and its response.
///
/// The engine and the source of properties come with each event. They must be the same for all
/// events of an exchange, because one configuration decides a request and its response.
#[derive(Debug)]
pub struct Exchange {
    state: State,
    /// The request's headers as they came; kept as long as something may need them.
    request: Vec<u8>,
    meter: Meter,
    found: Found,
    /// What the stages have changed, while it waits and when it goes on after that.
    kept: Option<Box<Kept>>,
    /// How many calls were made.
    calls: u32,
    /// When the wait began that lasts.
    since: Duration,
    notes: Notes,
    /// Whether the request's headers end it, and the response's end that.
    ends_request: bool,
    ends_response: bool,
    /// The response whose body is held.
    answering: Option<Box<Answering>>,
    /// Whether the report of the decision was taken.
    is_reported: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            state: State::New,
            request: Vec::new(),
            meter: Meter::new(),
            found: Found::default(),
            kept: None,
            calls: 0,
            since: Duration::ZERO,
            notes: Notes::default(),
            ends_request: false,
            ends_response: false,
            answering: None,
            is_reported: false,
        }
    }
}

impl Exchange {
    /// Takes an event, and returns the step that follows.
    pub fn on<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        event: Event<'s>,
    ) -> Step<'s> {
        self.step(engine, source, event, None)
    }

    /// Does what [`on`](Self::on) does, and records it in a trace.
    pub fn on_traced<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        event: Event<'s>,
        trace: &'s mut Trace,
    ) -> Step<'s> {
        self.step(engine, source, event, Some(trace))
    }

    /// What becomes of a part of the message that has come. Only a part whose lines are to be read
    /// needs an event.
    #[must_use]
    pub fn expects(&self, part: Part) -> Expectation {
        let is_request =
            matches!(part, Part::RequestHeaders | Part::RequestBody | Part::RequestTrailers);
        match self.state {
            State::New if part == Part::RequestHeaders => Expectation::Read,
            // A response that arrives before the body was judged must not pass: a caller that keeps
            // its body back would get it, whatever the rules over the body say.
            State::Receiving(Receiving { is_enforced: true, .. })
                if !is_request && mends::is_on(Mend::EarlyResponse) =>
            {
                match part {
                    Part::ResponseHeaders => Expectation::Read,
                    _ => Expectation::Hold,
                }
            }
            // The call is made once all of the request is there.
            State::Receiving(Receiving { call: Some(_), .. }) if is_request => Expectation::Hold,
            State::Passing | State::Receiving(_) => match part {
                // They came before; a request has them once.
                Part::RequestHeaders => Expectation::Hold,
                Part::RequestTrailers if !self.found.applied.is_empty() => Expectation::Read,
                Part::ResponseHeaders | Part::ResponseTrailers if self.found.responds => {
                    Expectation::Read
                }
                _ => Expectation::Pass,
            },
            // The request is held, or has been answered, so nothing of it goes on. A response that
            // arrives now is the proxy's own, or the filter's answer.
            State::New | State::Waiting(_) | State::Ended { is_reset: false } if !is_request => {
                Expectation::Pass
            }
            State::New | State::Waiting(_) | State::Ended { .. } => Expectation::Hold,
        }
    }

    /// Whether the request is held until there is an answer to a call, or a token, or all of its
    /// body.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Receiving(_))
    }

    /// Notes that nothing of the message follows these headers. It must be noted before they come.
    pub fn note_end(&mut self, part: Part) {
        match part {
            Part::RequestHeaders => self.ends_request = true,
            Part::ResponseHeaders => self.ends_response = true,
            _ => {}
        }
    }

    /// Whether this body is held until all of it is there.
    #[must_use]
    pub fn is_receiving(&self, part: Part) -> bool {
        self.receiving(part).is_some()
    }

    fn receiving(&self, part: Part) -> Option<Receiving> {
        match (self.state, part) {
            (State::Receiving(receiving), Part::RequestBody) if receiving.call.is_none() => {
                Some(receiving)
            }
            (_, Part::ResponseBody) => self.answering.as_ref().map(|answering| answering.body),
            _ => None,
        }
    }

    /// What becomes of a body of which so many bytes are there. Only one that is to be read needs
    /// an event: [`Received::TooLarge`] where this returns its limit.
    #[must_use]
    pub fn expects_body(&self, part: Part, size: usize, is_end: bool) -> (Expectation, usize) {
        match self.receiving(part) {
            Some(body) if is_end || size > body.limit => (Expectation::Read, body.limit),
            Some(body) => (Expectation::Hold, body.limit),
            None => (self.expects(part), 0),
        }
    }

    /// What is to be counted and logged about the steps so far. Take it after a step has been
    /// carried out. For a step that could not be carried out, [`Event::Failed`] comes first, which
    /// replaces the report.
    pub fn take_report(&mut self) -> Option<Report<'_>> {
        if self.notes.subject == Some(Subject::Decision) {
            self.is_reported = true;
            // Where parts of the message are still read, one that cannot be read has a record too.
            if self.found.applied.is_empty() || !matches!(self.state, State::Passing) {
                self.request = Vec::new();
            }
        }
        self.notes.take(&self.found.decision)
    }

    /// Frees what a report has taken, once it has been used. A stream may last for hours.
    pub fn forget_report(&mut self) {
        self.notes.forget();
    }

    fn step<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        event: Event<'s>,
        trace: Option<&'s mut Trace>,
    ) -> Step<'s> {
        match (self.state, event) {
            (State::New, Event::RequestHeaders(bytes)) => {
                self.request = bytes;
                self.run(engine, source, None, trace)
            }
            (State::Waiting(Pending { on, stage }), Event::Answer(call, answer))
                if on == On::Call(call) =>
            {
                self.resume(engine, source, Resumed { stage, answer: Some(answer) }, trace)
            }
            (State::Waiting(Pending { on, stage }), Event::Fetched(credential))
                if on == On::Token(credential) =>
            {
                self.resume(engine, source, Resumed { stage, answer: None }, trace)
            }
            (State::Receiving(receiving), Event::Answer(call, answer))
                if READS_BODIES && receiving.call.is_some_and(|(own, _)| own == call) =>
            {
                self.resume_body(engine, source, receiving, answer, trace)
            }
            (_, Event::Answer(..) | Event::Fetched(_)) => Step::Ignore,
            (state, Event::Gone) => {
                if matches!(state, State::Waiting(_) | State::Receiving(_)) {
                    self.gone(engine, source);
                }
                self.state = State::Ended { is_reset: true };
                Step::Hold
            }
            // A stream that was reset, or is gone.
            (State::Ended { is_reset: true }, _) => Step::Hold,
            // A request that was answered has ended.
            (State::Ended { is_reset: false }, Event::Failed(..)) => Step::Hold,
            (State::New | State::Waiting(_) | State::Receiving(_), Event::Failed(_, detail)) => {
                self.refuse(engine, source, detail)
            }
            // Its headers could not be written, so that it did not go on.
            (State::Passing, Event::Failed(Part::RequestHeaders, detail)) if !self.is_reported => {
                self.refuse(engine, source, detail)
            }
            (State::Passing, Event::Failed(_, detail)) => {
                self.cut_off(engine, source, (detail, None), Vec::new())
            }
            (State::Receiving(receiving), Event::RequestBody(received))
                if READS_BODIES && receiving.call.is_none() =>
            {
                self.receive(engine, source, receiving, received, trace)
            }
            (_, Event::RequestBody(_)) => self.without(Part::RequestBody),
            (_, Event::ResponseBody(received)) if READS_BODIES => {
                self.answer(engine, source, received)
            }
            (_, Event::ResponseBody(_)) => self.without(Part::ResponseBody),
            (_, Event::RequestHeaders(_)) => self.without(Part::RequestHeaders),
            (_, Event::RequestTrailers(pairs)) => {
                self.trailers(engine, source, Direction::Request, pairs)
            }
            (_, Event::ResponseTrailers(pairs)) => {
                self.trailers(engine, source, Direction::Response, pairs)
            }
            (_, Event::ResponseHeaders(pairs)) => self.respond(engine, source, pairs, trace),
        }
    }

    /// The step for a part whose lines are not read.
    fn without<'s>(&self, part: Part) -> Step<'s> {
        match self.expects(part) {
            Expectation::Pass => Step::Forward(Vec::new()),
            Expectation::Read | Expectation::Hold => Step::Hold,
        }
    }

    /// Runs the stages, from the first or from the one that has waited.
    fn run<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        resumed: Option<(Resumed<'_>, Option<&'s Kept>)>,
        mut trace: Option<&'s mut Trace>,
    ) -> Step<'s> {
        let Some(headers) = Headers::from_pairs(&self.request) else {
            // Headers that cannot be read do not go into the record.
            let facts = Facts::new(Headers::default(), source);
            self.state = State::Ended { is_reset: false };
            let decision = &mut self.found.decision;
            return refused(decision, &mut self.notes, engine, &facts, "unreadable headers");
        };
        let facts = Facts::new(headers, source);
        self.found.tell(&facts);
        self.found.is_bodiless = self.ends_request;
        if resumed.is_none() {
            self.found.candidates = engine.spare_candidates();
        }
        let mut turn = Turn {
            engine,
            facts: &facts,
            meter: &self.meter,
            found: &mut self.found,
            admitted: None,
            headers: None,
            changes: Vec::new(),
            trace: trace.as_deref_mut(),
            next_call: CallId(self.calls),
            waited: Duration::ZERO,
        };
        let (mut next, mut flow) = (0_usize, Flow::Next);
        if let Some((resumed, kept)) = resumed {
            turn.headers = kept.and_then(Kept::headers);
            turn.changes = kept.map(Kept::changes).unwrap_or_default();
            turn.waited = facts.now().saturating_sub(self.since);
            next = resumed.stage.saturating_add(1);
            flow = resumed.tell(&mut turn, &engine.order);
        }
        let ending = loop {
            match flow {
                Flow::Next => {
                    let Some(stage) = engine.order.get(next) else { break None };
                    next = next.saturating_add(1);
                    flow = stage.enter(&mut turn);
                }
                // A request that will be denied costs no call.
                Flow::Wait(_) | Flow::Await(_) if turn.meter.is_exhausted() || facts.failed() => {
                    break None;
                }
                Flow::Wait(call) => {
                    self.kept = Kept::of_turn(&turn).map(Box::new);
                    self.state = State::Waiting(Pending::before(next, On::Call(call.id)));
                    self.calls = self.calls.saturating_add(1);
                    self.since = facts.now();
                    return Step::Call(*call);
                }
                Flow::Await(credential) => {
                    self.kept = Kept::of_turn(&turn).map(Box::new);
                    self.state = State::Waiting(Pending::before(next, On::Token(credential)));
                    return Step::Await(credential);
                }
                Flow::End(ending) => break Some(ending),
            }
        };
        let Turn { mut changes, admitted, headers: changed, .. } = turn;
        let mut ending = ending;
        let is_unasked =
            || self.found.services.as_ref().is_some_and(|said| !said.forwards.is_empty());
        if let Some(ending) = &mut ending
            && READS_BODIES
            && ending.reason.verdict() == Verdict::Answer
            && is_unasked()
        {
            // Nothing has let the request through.
            *ending = Ending { detail: Some(UNASKED), ..Ending::because(Reason::CalloutError) };
        }
        if let Some(bodies) = engine.bodies().filter(|_| ending.is_none())
            && !self.meter.is_exhausted()
            && !facts.failed()
        {
            let found = &mut self.found;
            match body::next(bodies, engine, found, &facts.headers, !self.ends_request) {
                Next::Pass => {}
                Next::End(end) => ending = Some(end),
                Next::Judge(body) => {
                    keep_judged(engine, changed.as_ref(), found);
                    let facts = facts.again().with_body(body);
                    found.tell(&facts);
                    let none = (CallId(self.calls), None);
                    ending = match body::judge(engine, found, &self.meter, &facts, trace, none) {
                        Judged::Done(ending) => ending,
                        // Without a body, the services were asked before.
                        Judged::Waits(..) => Some(Ending::internal_error("a call without a body")),
                    };
                }
                Next::Receive(receiving) => {
                    keep_judged(engine, changed.as_ref(), found);
                    body::drop_length(found, engine, &mut changes);
                    engine.keep_candidates(std::mem::take(&mut found.candidates));
                    self.state = State::Receiving(receiving);
                    return Step::Forward(changes);
                }
            }
        }
        engine.keep_candidates(std::mem::take(&mut self.found.candidates));
        let is_exhausted = self.meter.is_exhausted();
        let host = admitted.as_ref().map(|admitted| &*admitted.host);
        let (found, notes) = (&mut self.found, &mut self.notes);
        match close(found, notes, engine, &facts, host, ending, is_exhausted) {
            None => {
                self.state = State::Passing;
                Step::Forward(changes)
            }
            Some(reply) => {
                self.state = State::Ended { is_reset: false };
                Step::Reply(reply)
            }
        }
    }

    /// Refuses a request that has not gone on, because something failed that must never fail.
    fn refuse<'s>(
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
    fn cut_off<'s>(
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
    fn reset<'s>(
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
    fn gone(&mut self, engine: &Engine, source: &dyn Source) {
        let headers = Headers::from_pairs(&self.request).unwrap_or_default();
        let facts = Facts::new(headers, source);
        let calls = std::mem::take(&mut self.found.decision.calls);
        self.found.decision = Decision { calls, ..Decision::because(Reason::Gone) };
        self.notes.decided(engine, &facts, None, &self.found.decision, None);
    }

    fn respond<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        pairs: Pairs<'s>,
        trace: Option<&'s mut Trace>,
    ) -> Step<'s> {
        if self.expects(Part::ResponseHeaders) != Expectation::Read {
            return self.without(Part::ResponseHeaders);
        }
        if let State::Receiving(Receiving { is_enforced: true, .. }) = self.state
            && mends::is_on(Mend::EarlyResponse)
        {
            return self.reset(engine, source, (RESPONSE_FAILED, Some(UNJUDGED)), Vec::new());
        }
        let transformed =
            pairs.read().zip(Headers::from_pairs(&self.request)).map(|(response, request)| {
                let facts = Facts::new(request, source);
                self.found.tell(&facts);
                response::transform(engine, &self.found, &facts, &response, trace)
            });
        match transformed {
            Some(response) if !response.is_exhausted => {
                let response::Response { mut changes, headers, errors, .. } = response;
                self.notes.response(errors);
                if READS_BODIES {
                    self.expect_response(engine, &headers, &mut changes);
                }
                Step::Forward(changes)
            }
            Some(response) => {
                let failure = (RESPONSE_FAILED, Some(OUT_OF_STEPS));
                self.cut_off(engine, source, failure, response.errors)
            }
            None => {
                let failure = (RESPONSE_FAILED, Some(UNREADABLE));
                self.cut_off(engine, source, failure, Vec::new())
            }
        }
    }

    fn trailers<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        direction: Direction,
        pairs: Pairs<'s>,
    ) -> Step<'s> {
        let (part, detail) = match direction {
            Direction::Request => (Part::RequestTrailers, REQUEST_TRAILERS_FAILED),
            Direction::Response => (Part::ResponseTrailers, RESPONSE_TRAILERS_FAILED),
        };
        if self.expects(part) != Expectation::Read {
            return self.without(part);
        }
        if !mends::is_on(Mend::Trailers) {
            return Step::Forward(Vec::new());
        }
        let Some(trailers) = pairs.read() else {
            return self.cut_off(engine, source, (detail, Some(UNREADABLE)), Vec::new());
        };
        Step::Forward(response::drop_trailers(engine, &self.found, direction, trailers))
    }
}

/// The cause where the proxy's header lines do not have the form, or the number, that it says.
const UNREADABLE: &str = "the proxy's header lines cannot be read";
/// The cause where a response comes before the request's body, which rules are to judge.
const UNJUDGED: &str = "it came before the request's body was judged";
/// The detail where a policy would answer a request about which a service is to be asked once its
/// body is there.
const UNASKED: &str = "a policy answers before a service has seen the body";
/// The cause where a response's rules take more steps than a response has.
const OUT_OF_STEPS: &str = "its rules take too many steps";

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

/// Keeps the headers that rules read once the body is there, where no stage has done so.
#[cold]
fn keep_judged(engine: &Engine, headers: Option<&Headers<'_>>, found: &mut Found) {
    if !engine.order.contains(&Stage::Transformation) {
        stage::body::keep_judged(headers, &mut found.body);
    }
}

/// Completes the decision, and notes it. Returns the answer to a request that does not go on.
#[inline(always)]
fn close(
    found: &mut Found,
    notes: &mut Notes,
    engine: &Engine,
    facts: &Facts<'_>,
    host: Option<&str>,
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
    notes.decided(engine, facts, host, decision, status);
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
fn refused<'s>(
    decision: &mut Decision,
    notes: &mut Notes,
    engine: &Engine,
    facts: &Facts<'_>,
    detail: &'static str,
) -> Step<'s> {
    *decision = Decision::internal_error(detail);
    let reply = Reply::refusing(decision.reason);
    notes.decided(engine, facts, None, decision, Some(reply.status));
    Step::Reply(reply)
}
