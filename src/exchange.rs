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
mod ending;
mod event;
mod kept;
mod record;
mod report;
mod respond;
mod run;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod waiting;

pub use body::Received;
use body::{Answering, Receiving};
pub use ending::{
    CALL_FAILED, REQUEST_BODY_FAILED, REQUEST_TRAILERS_FAILED, RESPONSE_BODY_FAILED,
    RESPONSE_FAILED, RESPONSE_TRAILERS_FAILED,
};
pub use event::{Event, Pairs, Part};
use kept::Kept;
pub use report::{AccessLog, Report, Unconfigured, refuse_unconfigured};
use report::{Notes, Subject};
pub use step::{Expectation, Step};
use waiting::{On, Pending, Resumed};

use std::time::Duration;

use crate::cel::meter::Meter;
use crate::config::Direction;
use crate::mends::{self, Mend};
use crate::policy::Engine;
use crate::policy::bodies::READS_BODIES;
use crate::request::Source;
use crate::stage::Found;
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
    #[inline]
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
    #[inline]
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
    #[inline]
    fn without<'s>(&self, part: Part) -> Step<'s> {
        match self.expects(part) {
            Expectation::Pass => Step::Forward(Vec::new()),
            Expectation::Read | Expectation::Hold => Step::Hold,
        }
    }
}
