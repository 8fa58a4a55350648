//! Bodies: a request's that is judged before it goes on, and what replaces bodies.
//!
//! The request's headers go on first, as the proxy shows no body while they are held. If they end
//! the request, or it is known from them that the body cannot be read, the request is judged before
//! they go on.

use std::borrow::Cow;
use std::time::Duration;

use super::ending::{close, refused};
use super::record::RequestLine;
use super::report::Notes;
use super::waiting::Resumed;
use super::{Event, Exchange, Part, RESPONSE_BODY_FAILED, State, Step};
use crate::call::{Answer, Call, CallId};
use crate::cel::meter::Meter;
use crate::decision::{Change, Reason};
use crate::order::Stage;
use crate::policy::Engine;
use crate::policy::bodies::{self, Bodies, TOO_LARGE};
use crate::request::headers::Headers;
use crate::request::{Body, Facts, Source};
use crate::stage::{Ending, Flow, Found, Turn, body, response};
use crate::trace::Trace;

/// How many bytes of a body cost a step.
const BODY_BYTES_A_STEP: usize = 64;

/// A body that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'e> {
    /// All of it.
    Whole(&'e [u8]),
    /// More of it than is read.
    TooLarge,
}

/// A body that is held until all of it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receiving {
    /// The most bytes that it may have.
    pub(super) limit: usize,
    /// Why expressions cannot read it, if its headers show that.
    objection: Option<&'static str>,
    /// Whether the request must not go on without it.
    pub(super) is_enforced: bool,
    /// The pending call of a stage that needs the body, and the stage's index in their order.
    pub(super) call: Option<(CallId, usize)>,
}

/// What the stages that need the body have come to.
pub(super) enum Judged {
    /// They have ended the request so, or it goes on.
    Done(Option<Ending>),
    /// The stage of this index makes a call.
    Waits(Box<Call>, usize),
}

/// A response whose body is held.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) body: Receiving,
    /// The response's headers, as they went on.
    headers: Vec<u8>,
}

/// What follows for a request that has passed the stages which need no body.
pub(super) enum Next {
    /// It needs its body for nothing.
    Pass,
    /// It is judged with what there is of the body.
    Judge(Body<'static>),
    /// Its headers go on, and the body is held until it is there.
    Receive(Receiving),
    /// It ends here.
    End(Ending),
}

/// Finds out what follows for a request. `has_body` is whether anything comes behind its headers.
pub(super) fn next(
    bodies: &Bodies,
    engine: &Engine,
    found: &Found,
    headers: &Headers<'_>,
    has_body: bool,
) -> Next {
    let needs = body::needs(engine, found);
    if !(needs.judges || needs.forwards.is_some() || needs.replaces && has_body) {
        return Next::Pass;
    }
    if bodies::is_upgrade(headers) {
        return match needs.replaces {
            _ if needs.forwards.is_some() => Next::End(Ending {
                detail: Some(bodies::UPGRADE),
                ..Ending::because(Reason::CalloutError)
            }),
            true => Next::End(Ending::because(Reason::RewriteError)),
            false => Next::Judge(bodies::TUNNEL),
        };
    }
    if !has_body {
        return Next::Judge(Body::Read(&[]));
    }
    let objection = bodies.objection(headers);
    if !needs.replaces && needs.forwards.is_none() {
        match objection {
            _ if !needs.reads => return Next::Judge(Body::UNASKED),
            Some(objection) => return Next::Judge(Body::Unreadable(objection)),
            None => {}
        }
    }
    // Each limit holds; that of the rules only where one of them is enforced.
    let limit = match needs.forwards {
        Some(most) if needs.enforces => most.min(bodies.max_size),
        Some(most) => most,
        None => bodies.max_size,
    };
    let enforces = needs.enforces || needs.forwards.is_some();
    match content_length(headers) {
        Some(length) if length > limit && enforces => {
            Next::End(Ending::because(Reason::BodyTooLarge))
        }
        Some(length) if length > limit => Next::Judge(Body::Unreadable(TOO_LARGE)),
        _ => Next::Receive(Receiving { limit, objection, is_enforced: enforces, call: None }),
    }
}

/// Drops the length of a body that will be replaced. The proxy then sends the new one in chunks.
pub(super) fn drop_length(found: &Found, engine: &Engine, changes: &mut Vec<Change<'_>>) {
    if body::needs(engine, found).replaces {
        changes.push(Change::Remove(Cow::Borrowed("content-length")));
    }
}

fn content_length(headers: &Headers<'_>) -> Option<usize> {
    let length = std::str::from_utf8(headers.first(b"content-length")?).ok()?.trim();
    // More digits than a number can have are more bytes than are read.
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| length.parse().unwrap_or(usize::MAX))
}

/// Runs the stages that need the body, which the facts have. Returns how they end the request, if
/// they do.
pub(super) fn judge(
    engine: &Engine,
    found: &mut Found,
    meter: &Meter,
    facts: &Facts<'_>,
    trace: Option<&mut Trace>,
    (next_call, resumed): (CallId, Option<(Resumed<'_>, Duration)>),
) -> Judged {
    if let (Body::Read(bytes), None) = (facts.body(), &resumed) {
        meter.rule(|allowance| allowance.spend_on(bytes.len(), BODY_BYTES_A_STEP));
    }
    let judged = found.body.as_deref_mut().and_then(|body| body.judged.take());
    let mut turn = Turn {
        headers: judged.as_deref().and_then(Headers::from_pairs).map(Box::new),
        ..Turn::new(engine, facts, meter, found, trace)
    };
    turn.next_call = next_call;
    turn.readmit();
    let (mut next, mut flow) = (0_usize, Flow::Next);
    if let Some((resumed, waited)) = resumed {
        turn.waited = waited;
        next = resumed.stage.saturating_add(1);
        flow = resumed.tell(&mut turn, &engine.body_order);
    }
    loop {
        match flow {
            Flow::Next => {}
            Flow::End(ending) => return Judged::Done(Some(ending)),
            // A request that will be denied costs no call.
            Flow::Wait(_) if turn.meter.is_exhausted() || facts.failed() || !is_allowed(&turn) => {
                return Judged::Done(None);
            }
            Flow::Wait(call) => {
                found.body.get_or_insert_default().judged = judged;
                return Judged::Waits(call, next.saturating_sub(1));
            }
            Flow::Await(_) => {
                return Judged::Done(Some(Ending::internal_error("a wait of a body's stage")));
            }
        }
        let Some(stage) = engine.body_order.get(next) else { return Judged::Done(None) };
        next = next.saturating_add(1);
        // A request that has no body gets none.
        if *stage == Stage::BodyTransformation && facts.body() == Body::Read(&[]) {
            flow = Flow::Next;
            continue;
        }
        // No service gets a body where none is to.
        if *stage == Stage::BodyExternalAuthorization
            && turn.found.services.as_ref().is_none_or(|said| said.forwards.is_empty())
        {
            flow = Flow::Next;
            continue;
        }
        flow = stage.enter(&mut turn);
    }
}

/// Whether no rule is left that must let the request go on.
fn is_allowed(turn: &Turn<'_, '_, '_>) -> bool {
    turn.found.decision.allows()
}

/// Lets a judged request go on, or answers it.
fn conclude<'s>(
    state: &mut State,
    found: &mut Found,
    notes: &mut Notes,
    engine: &Engine,
    facts: &Facts<'_>,
    (ending, is_exhausted): (Option<Ending>, bool),
) -> Step<'s> {
    match close(found, notes, engine, facts, RequestLine::default(), ending, is_exhausted) {
        Some(reply) => {
            *state = State::Ended { is_reset: false };
            Step::Reply(reply)
        }
        None => {
            *state = State::Passing;
            match found.body.take().and_then(|body| body.new) {
                Some(new) => Step::Replace(new),
                None => Step::Forward(Vec::new()),
            }
        }
    }
}

impl Exchange {
    /// Judges a request whose body has come.
    pub(super) fn receive<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &dyn Source,
        receiving: Receiving,
        received: Received<'_>,
        trace: Option<&mut Trace>,
    ) -> Step<'s> {
        let headers = Headers::from_pairs(&self.request);
        let (Some(bodies), Some(headers)) = (engine.bodies(), headers) else {
            let facts = Facts::new(Headers::default(), source);
            self.state = State::Ended { is_reset: false };
            let decision = &mut self.found.decision;
            return refused(decision, &mut self.notes, engine, &facts, "no headers for a body");
        };
        let body = match received {
            Received::Whole(bytes) => bodies.readable(receiving.objection, bytes),
            Received::TooLarge => Body::Unreadable(TOO_LARGE),
        };
        let facts = Facts::new(headers, source).with_body(body);
        self.found.tell(&facts);
        let ending = if received == Received::TooLarge && receiving.is_enforced {
            Some(Ending::because(Reason::BodyTooLarge))
        } else {
            if let (Received::Whole(bytes), Some(_)) =
                (received, body::needs(engine, &self.found).forwards)
            {
                self.found.body.get_or_insert_default().came = bytes.to_vec();
            }
            let none = (CallId(self.calls), None);
            match judge(engine, &mut self.found, &self.meter, &facts, trace, none) {
                Judged::Done(ending) => ending,
                Judged::Waits(call, stage) => {
                    let now = facts.now();
                    return self.wait_with_body(receiving, *call, stage, now);
                }
            }
        };
        let is_exhausted = self.meter.is_exhausted();
        let (found, notes) = (&mut self.found, &mut self.notes);
        let ended = (ending, is_exhausted);
        conclude(&mut self.state, found, notes, engine, &facts, ended)
    }

    /// Makes the call of a stage that needs the body, which stays held.
    fn wait_with_body<'s>(
        &mut self,
        receiving: Receiving,
        call: Call,
        stage: usize,
        now: Duration,
    ) -> Step<'s> {
        self.state = State::Receiving(Receiving { call: Some((call.id, stage)), ..receiving });
        self.calls = self.calls.saturating_add(1);
        self.since = now;
        Step::Call(Box::new(call))
    }

    /// Goes on with the answer to the call of a stage that needs the body.
    pub(super) fn resume_body<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &dyn Source,
        receiving: Receiving,
        answer: Answer<'_>,
        trace: Option<&mut Trace>,
    ) -> Step<'s> {
        let came = self.found.body.as_deref_mut().map(|body| std::mem::take(&mut body.came));
        let came = came.unwrap_or_default();
        let headers = Headers::from_pairs(&self.request);
        let stage = receiving.call.map(|(_, stage)| stage);
        let (Some(bodies), Some(headers), Some(stage)) = (engine.bodies(), headers, stage) else {
            return self.refuse(engine, source, "no headers for a body");
        };
        let body = bodies.readable(receiving.objection, &came);
        let facts = Facts::new(headers, source).with_body(body);
        self.found.tell(&facts);
        let waited = facts.now().saturating_sub(self.since);
        let resumed = (Resumed { stage, answer: Some(answer) }, waited);
        // Another service may get it as well.
        self.found.body.get_or_insert_default().came.clone_from(&came);
        let resumed = (CallId(self.calls), Some(resumed));
        match judge(engine, &mut self.found, &self.meter, &facts, trace, resumed) {
            Judged::Done(ending) => {
                let ended = (ending, self.meter.is_exhausted());
                let (found, notes) = (&mut self.found, &mut self.notes);
                conclude(&mut self.state, found, notes, engine, &facts, ended)
            }
            Judged::Waits(call, stage) => {
                let now = facts.now();
                self.wait_with_body(receiving, *call, stage, now)
            }
        }
    }

    /// Brings a body as a whole, for tools. None if the exchange does not wait for it.
    pub(crate) fn bring<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        part: Part,
        bytes: &'s [u8],
        trace: Option<&'s mut Trace>,
    ) -> Option<Step<'s>> {
        let limit = self.receiving(part)?.limit;
        let received =
            if bytes.len() > limit { Received::TooLarge } else { Received::Whole(bytes) };
        let event = match part {
            Part::ResponseBody => Event::ResponseBody(received),
            _ => Event::RequestBody(received),
        };
        Some(self.step(engine, source, event, trace))
    }

    /// Notes that the response's body is to be replaced, if it is. Its length goes then.
    pub(super) fn expect_response<'r>(
        &mut self,
        engine: &Engine,
        headers: &Headers<'_>,
        changes: &mut Vec<Change<'r>>,
    ) {
        let Some(bodies) = engine.bodies().filter(|_| !self.ends_response) else { return };
        let mut applied = engine.policies_at(&self.found.applied);
        let replaces = applied.any(|(index, policy)| {
            let form = self.found.transformation(index, policy);
            form.is_some_and(|form| form.response_body.is_some())
        });
        if replaces {
            changes.push(Change::Remove(Cow::Borrowed("content-length")));
            let objection = bodies.objection(headers);
            let body =
                Receiving { limit: bodies.max_size, objection, is_enforced: true, call: None };
            self.answering = Some(Box::new(Answering { body, headers: headers.to_pairs() }));
        }
    }

    /// Replaces the body of a response, which has come.
    pub(super) fn answer<'s>(
        &'s mut self,
        engine: &Engine,
        source: &dyn Source,
        received: Received<'_>,
    ) -> Step<'s> {
        let cut_off = |cause| (RESPONSE_BODY_FAILED, Some(cause));
        let (Some(answering), Some(bodies)) = (self.answering.take(), engine.bodies()) else {
            return Step::Forward(Vec::new());
        };
        let Received::Whole(bytes) = received else {
            return self.cut_off(engine, source, cut_off(TOO_LARGE), Vec::new());
        };
        let both = Headers::from_pairs(&self.request).zip(Headers::from_pairs(&answering.headers));
        let Some((request, headers)) = both else {
            return self.cut_off(engine, source, cut_off(super::respond::UNREADABLE), Vec::new());
        };
        let facts = Facts::new(request, source);
        let body = bodies.readable(answering.body.objection, bytes);
        let meter = Meter::new();
        meter.rule(|allowance| allowance.spend_on(bytes.len(), BODY_BYTES_A_STEP));
        let replaced = response::replace_body(engine, &self.found, &facts, &headers, body, &meter);
        match replaced {
            Ok(new) => Step::Replace(new),
            Err(error) => {
                self.cut_off(engine, source, cut_off("its expression fails"), vec![error])
            }
        }
    }
}
