//! Runs the stages of a request.

use std::time::Duration;

use super::body::{self, Judged, Next};
use super::ending::{close, refused};
use super::kept::Kept;
use super::record::RequestLine;
use super::waiting::{On, Pending, Resumed};
use super::{Exchange, State, Step};
use crate::call::CallId;
use crate::decision::{Reason, Verdict};
use crate::order::Stage;
use crate::policy::Engine;
use crate::policy::bodies::READS_BODIES;
use crate::request::headers::Headers;
use crate::request::{Facts, Source};
use crate::stage::{self, Ending, Flow, Found, Turn};
use crate::trace::Trace;

/// The detail where a policy would answer a request about which a service is to be asked once its
/// body is there.
const UNASKED: &str = "a policy answers before a service has seen the body";

impl Exchange {
    /// Runs the stages, from the first or from the one that has waited.
    pub(super) fn run<'s>(
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
            turn.headers = kept.and_then(Kept::headers).map(Box::new);
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
                    return Step::Call(call);
                }
                Flow::Await(credential) => {
                    self.kept = Kept::of_turn(&turn).map(Box::new);
                    self.state = State::Waiting(Pending::before(next, On::Token(credential)));
                    return Step::Await(credential);
                }
                Flow::End(ending) => break Some(ending),
            }
        };
        let (mut ending, found) = (ending, &mut *turn.found);
        let is_unasked =
            |found: &Found| found.services.as_ref().is_some_and(|said| !said.forwards.is_empty());
        if let Some(ending) = &mut ending
            && READS_BODIES
            && ending.reason.verdict() == Verdict::Answer
            && is_unasked(found)
        {
            // Nothing has let the request through.
            *ending = Ending { detail: Some(UNASKED), ..Ending::because(Reason::CalloutError) };
        }
        if let Some(bodies) = engine.bodies().filter(|_| ending.is_none())
            && !self.meter.is_exhausted()
            && !facts.failed()
        {
            match body::next(bodies, engine, found, &facts.headers, !self.ends_request) {
                Next::Pass => {}
                Next::End(end) => ending = Some(end),
                Next::Judge(body) => {
                    keep_judged(engine, turn.headers.as_deref(), found);
                    let facts = facts.again().with_body(body);
                    found.tell(&facts);
                    let none = (CallId(self.calls), None);
                    ending = match body::judge(engine, found, &self.meter, &facts, turn.trace, none)
                    {
                        Judged::Done(ending) => ending,
                        // Without a body, the services were asked before.
                        Judged::Waits(..) => Some(Ending::internal_error("a call without a body")),
                    };
                }
                Next::Receive(receiving) => {
                    keep_judged(engine, turn.headers.as_deref(), found);
                    body::drop_length(found, engine, &mut turn.changes);
                    engine.keep_candidates(std::mem::take(&mut found.candidates));
                    self.state = State::Receiving(receiving);
                    return Step::Forward(turn.changes);
                }
            }
        }
        engine.keep_candidates(std::mem::take(&mut found.candidates));
        let is_exhausted = self.meter.is_exhausted();
        let admitted = turn.admitted.as_ref();
        let line = admitted.map_or_else(RequestLine::default, |admitted| RequestLine {
            host: Some(&admitted.host),
            plain_path: admitted.plain_path,
        });
        match close(found, &mut self.notes, engine, &facts, line, ending, is_exhausted) {
            None => {
                self.state = State::Passing;
                Step::Forward(turn.changes)
            }
            Some(reply) => {
                self.state = State::Ended { is_reset: false };
                Step::Reply(reply)
            }
        }
    }
}

/// Keeps the headers that rules read once the body is there, where no stage has done so.
#[cold]
fn keep_judged(engine: &Engine, headers: Option<&Headers<'_>>, found: &mut Found) {
    if !engine.order.contains(&Stage::Transformation) {
        stage::body::keep_judged(headers, &mut found.body);
    }
}
