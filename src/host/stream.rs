//! One request and its response: carries out the steps of its exchange.

use std::rc::Rc;

use super::plugin::Loaded;
use super::properties::Properties;
use super::sys::{self, HostError};
use super::{abi, calls, fetches, metrics};
use crate::call::{Answer, Call, CallId};
use crate::decision::{Change, Reason, Reply};
use crate::exchange::{
    self, AccessLog, CALL_FAILED, Event, Exchange, Expectation, Pairs, Part, REQUEST_BODY_FAILED,
    REQUEST_TRAILERS_FAILED, RESPONSE_BODY_FAILED, RESPONSE_FAILED, RESPONSE_TRAILERS_FAILED,
    Report, Step, Unconfigured,
};
use crate::policy::bodies::READS_BODIES;
use crate::request::headers::Headers;

/// The context of one HTTP stream.
#[derive(Debug)]
pub(super) struct Stream {
    context_id: u32,
    /// The configuration that was in force when the stream began; it stays with the stream.
    loaded: Option<Rc<Loaded>>,
    pub(super) exchange: Exchange,
    #[cfg(feature = "bodies")]
    pub(super) held: super::bodies::Held,
    properties: Properties,
    /// Why the proxy did not carry out a step.
    error: Option<HostError>,
    /// The token of the last call.
    call: u32,
    #[cfg(feature = "trap-for-tests")]
    traps_in_response: bool,
}

impl Stream {
    pub(super) fn new(context_id: u32, loaded: Option<Rc<Loaded>>) -> Self {
        Stream {
            context_id,
            loaded,
            exchange: Exchange::default(),
            #[cfg(feature = "bodies")]
            held: super::bodies::Held::default(),
            properties: Properties::default(),
            error: None,
            call: 0,
            #[cfg(feature = "trap-for-tests")]
            traps_in_response: false,
        }
    }

    pub(super) fn on_request_headers(&mut self) -> u32 {
        if self.loaded.is_none() {
            return refuse_unconfigured();
        }
        let event = match sys::headers(abi::REQUEST_HEADERS) {
            Ok(bytes) => {
                #[cfg(feature = "trap-for-tests")]
                {
                    self.traps_in_response = super::for_tests::trap_in_request(&bytes);
                }
                Event::RequestHeaders(bytes)
            }
            Err(error) => {
                self.error = Some(error);
                Event::Failed(Part::RequestHeaders, CALL_FAILED)
            }
        };
        self.drive(Part::RequestHeaders, event)
    }

    /// Notes whether these headers end their message, which matters only where bodies are read.
    pub(super) fn note_end(&mut self, part: Part, is_end: bool) {
        if READS_BODIES && is_end {
            self.exchange.note_end(part);
        }
    }

    pub(super) fn on_request_trailers(&mut self, count: usize) -> u32 {
        let action = self.lines(Part::RequestTrailers, count);
        #[cfg(feature = "bodies")]
        let action = self.end_body(Part::RequestBody, action);
        action
    }

    pub(super) fn on_response_headers(&mut self, count: usize) -> u32 {
        #[cfg(feature = "trap-for-tests")]
        if self.traps_in_response {
            super::for_tests::trap();
        }
        self.lines(Part::ResponseHeaders, count)
    }

    pub(super) fn on_response_trailers(&mut self, count: usize) -> u32 {
        let action = self.lines(Part::ResponseTrailers, count);
        #[cfg(feature = "bodies")]
        let action = self.end_body(Part::ResponseBody, action);
        action
    }

    /// Tells the exchange that a part cannot be read.
    #[cfg(feature = "bodies")]
    pub(super) fn unreadable(&mut self, part: Part, error: HostError) -> u32 {
        self.error = Some(error);
        self.drive(part, Event::Failed(part, failure(part)))
    }

    /// Takes the answer to a call, and returns whether the exchange waited for it.
    pub(super) fn on_answer(&mut self, call: CallId, answer: Answer<'_>) -> bool {
        let Some(loaded) = self.loaded.clone() else { return false };
        let step = self.exchange.on(&loaded.engine, &self.properties, Event::Answer(call, answer));
        if step == Step::Ignore {
            return false;
        }
        let outcome = carry_out(self.context_id, Part::RequestHeaders, step, Held::Yes);
        self.conclude(&loaded, Part::RequestHeaders, outcome, Held::Yes);
        true
    }

    /// Goes on after a fetch of this credential has ended.
    pub(super) fn on_fetched(&mut self, credential: usize) {
        let Some(loaded) = self.loaded.clone() else { return };
        let step = self.exchange.on(&loaded.engine, &self.properties, Event::Fetched(credential));
        if step != Step::Ignore {
            let outcome = carry_out(self.context_id, Part::RequestHeaders, step, Held::Yes);
            self.conclude(&loaded, Part::RequestHeaders, outcome, Held::Yes);
        }
    }

    pub(super) fn on_gone(&mut self) {
        if !self.exchange.is_waiting() {
            return;
        }
        let Some(loaded) = self.loaded.clone() else { return };
        calls::forget(self.call);
        loaded.waiters.forget(self.context_id);
        let _ = self.exchange.on(&loaded.engine, &self.properties, Event::Gone);
        self.report(&loaded);
    }

    /// Reads a part of the message, if the exchange wants to, and carries out the step that
    /// follows.
    fn lines(&mut self, part: Part, count: usize) -> u32 {
        match self.exchange.expects(part) {
            Expectation::Pass => return abi::CONTINUE,
            Expectation::Hold => return abi::PAUSE,
            Expectation::Read => {}
        }
        match sys::headers(map(part)) {
            Ok(bytes) => self.drive(part, came(part, Pairs { bytes: &bytes, count })),
            Err(error) => {
                self.error = Some(error);
                self.drive(part, Event::Failed(part, failure(part)))
            }
        }
    }

    pub(super) fn drive(&mut self, part: Part, event: Event<'_>) -> u32 {
        // Without a configuration, the request was refused, and nothing of it goes on.
        let Some(loaded) = self.loaded.clone() else { return abi::PAUSE };
        let step = self.exchange.on(&loaded.engine, &self.properties, event);
        let outcome = carry_out(self.context_id, part, step, Held::No);
        self.conclude(&loaded, part, outcome, Held::No)
    }

    /// If a step could not be carried out, reports that to the exchange and carries out the step
    /// that follows, until one succeeds. Then counts and logs.
    fn conclude(
        &mut self,
        loaded: &Rc<Loaded>,
        part: Part,
        mut outcome: Outcome,
        held: Held,
    ) -> u32 {
        let action = loop {
            let event = match outcome {
                Outcome::Done(action) => break action,
                Outcome::NotWritten(error) => {
                    self.error = Some(error);
                    Event::Failed(part, failure(part))
                }
                Outcome::Called(token) => {
                    self.call = token;
                    break abi::PAUSE;
                }
                Outcome::NotSent(call, error) => {
                    let id = call.id;
                    loaded.unreached.note(call.cluster, error);
                    Event::Answer(id, Answer::NotSent)
                }
                // If the call cannot be made, the fetch has ended already.
                Outcome::Awaits(credential) => {
                    if !fetches::send_due(loaded).contains(&credential) {
                        loaded.waiters.add(credential, self.context_id);
                        break abi::PAUSE;
                    }
                    Event::Fetched(credential)
                }
            };
            let step = self.exchange.on(&loaded.engine, &self.properties, event);
            outcome = carry_out(self.context_id, part, step, held);
        };
        // A request that goes on may have found that its token is to be renewed.
        if loaded.engine.fetches_tokens() {
            fetches::send_due(loaded);
        }
        self.report(loaded);
        action
    }

    fn report(&mut self, loaded: &Loaded) {
        let Some(report) = self.exchange.take_report() else { return };
        let error = self.error.take();
        let is_refused =
            report.decision.is_some_and(|decision| decision.reason == Reason::InternalError);
        if is_refused || report.cut_off.is_some() {
            log_failure(&report, error);
        }
        let is_kept = report.audit.is_some() || report.access_log.is_some();
        if let Some(line) = report.audit {
            sys::log(abi::LOG_INFO, line);
        }
        if let Some(Err(error)) = report.access_log.map(publish) {
            log::warn!("egress filter: the access log will lack the decision: {error}");
        }
        loaded.metrics.count_report(&loaded.engine, &report);
        if is_kept {
            self.exchange.forget_report();
        }
    }
}

/// Logs an internal error, with the status that the proxy returned.
#[cold]
#[inline(never)]
fn log_failure(report: &Report<'_>, error: Option<HostError>) {
    let (what, detail, cause) = match (report.decision, report.cut_off) {
        (Some(decision), _) if decision.reason == Reason::InternalError => {
            ("request refused", decision.detail.unwrap_or_default(), None)
        }
        (_, Some((detail, cause))) => ("stream reset", detail, cause),
        _ => return,
    };
    match (error, cause) {
        (Some(error), _) => log::error!("egress filter: {what}: {detail}: {error}"),
        (None, Some(cause)) => log::error!("egress filter: {what}: {detail}: {cause}"),
        (None, None) => log::error!("egress filter: {what}: {detail}"),
    }
}

/// The outcome of a step.
enum Outcome {
    /// It was carried out, and this action is returned to the proxy.
    Done(u32),
    /// The changes could not be written.
    NotWritten(HostError),
    /// The call was made, under this token.
    Called(u32),
    /// The call was not made.
    NotSent(Box<Call>, HostError),
    /// The request is held until a fetch of this credential ends.
    Awaits(usize),
}

/// Whether Envoy holds the request already. If it does, what a callback returns does not let the
/// request go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Yes,
}

fn carry_out(context_id: u32, part: Part, step: Step<'_>, held: Held) -> Outcome {
    match step {
        // A request that Envoy does not let go on has not gone on, whatever was decided.
        Step::Forward(changes) => match write(map(part), &changes).and_then(|()| match held {
            Held::Yes => sys::resume_request(),
            Held::No => Ok(()),
        }) {
            Ok(()) => Outcome::Done(abi::CONTINUE),
            Err(error) => Outcome::NotWritten(error),
        },
        Step::Call(call) => match calls::dispatch(context_id, &call) {
            Ok(token) => Outcome::Called(token),
            Err(error) => Outcome::NotSent(call, error),
        },
        Step::Await(credential) => Outcome::Awaits(credential),
        Step::Hold | Step::Ignore => Outcome::Done(abi::PAUSE),
        #[cfg(feature = "bodies")]
        Step::Replace(body) => match sys::replace_buffer(super::bodies::buffer(part), &body) {
            Ok(()) if held == Held::Yes => match sys::resume_request() {
                Ok(()) => Outcome::Done(abi::CONTINUE),
                Err(error) => Outcome::NotWritten(error),
            },
            Ok(()) => Outcome::Done(abi::CONTINUE),
            Err(error) => Outcome::NotWritten(error),
        },
        // Only the module for bodies gets this step.
        #[cfg(not(feature = "bodies"))]
        Step::Replace(_) => Outcome::Done(abi::PAUSE),
        Step::Reply(reply) => {
            send(&reply);
            Outcome::Done(abi::PAUSE)
        }
        Step::Reset => {
            sys::reset();
            Outcome::Done(abi::PAUSE)
        }
    }
}

/// The event of a part that has arrived.
fn came(part: Part, pairs: Pairs<'_>) -> Event<'_> {
    match part {
        Part::RequestHeaders => Event::RequestHeaders(pairs.bytes.to_vec()),
        Part::RequestTrailers => Event::RequestTrailers(pairs),
        Part::ResponseHeaders => Event::ResponseHeaders(pairs),
        // Bodies have no lines.
        Part::RequestBody | Part::ResponseBody => Event::Failed(part, failure(part)),
        Part::ResponseTrailers => Event::ResponseTrailers(pairs),
    }
}

/// The proxy's number of a part's header lines. Of a body, those of its headers.
fn map(part: Part) -> u32 {
    match part {
        Part::RequestHeaders | Part::RequestBody => abi::REQUEST_HEADERS,
        Part::RequestTrailers => abi::REQUEST_TRAILERS,
        Part::ResponseHeaders | Part::ResponseBody => abi::RESPONSE_HEADERS,
        Part::ResponseTrailers => abi::RESPONSE_TRAILERS,
    }
}

/// The audit record's detail for a part that could not be read or changed.
fn failure(part: Part) -> &'static str {
    match part {
        Part::RequestHeaders => CALL_FAILED,
        Part::RequestBody => REQUEST_BODY_FAILED,
        Part::RequestTrailers => REQUEST_TRAILERS_FAILED,
        Part::ResponseBody => RESPONSE_BODY_FAILED,
        Part::ResponseHeaders => RESPONSE_FAILED,
        Part::ResponseTrailers => RESPONSE_TRAILERS_FAILED,
    }
}

fn write(map: u32, changes: &[Change<'_>]) -> Result<(), HostError> {
    for change in changes {
        match change {
            Change::Add(name, value) => sys::add_header(map, name, value)?,
            Change::Replace(name, value) => sys::replace_header(map, name, value)?,
            Change::Remove(name) => sys::remove_header(map, name)?,
            Change::Inject(name, value) => sys::replace_header(map, name, value.expose())?,
        }
    }
    Ok(())
}

/// Answers the request; a request that cannot be answered is reset.
fn send(reply: &Reply) {
    const PREFIX: &str = "egress_filter:";
    let mut details = String::with_capacity(PREFIX.len().saturating_add(reply.details.len()));
    details.push_str(PREFIX);
    details.push_str(reply.details);
    if let Err(error) = sys::reply(reply, &details) {
        log::error!("egress filter: cannot answer a denied request, so it is reset: {error}");
        sys::reset();
    }
}

/// Makes the decision visible to Envoy's access log:
/// `%FILTER_STATE(wasm.egress_caller:PLAIN)%` and its like.
fn publish(of: &AccessLog) -> Result<(), HostError> {
    if let Some(caller) = &of.caller {
        sys::set_filter_state("egress_caller", caller.as_bytes())?;
    }
    sys::set_filter_state("egress_decision", of.decision.as_bytes())?;
    if let Some(policy) = &of.policy {
        sys::set_filter_state("egress_policy", policy.as_bytes())?;
    }
    for field in &of.fields {
        let name = ["egress_field_", &field.name].concat();
        sys::set_filter_state(&name, field.text().as_bytes())?;
    }
    Ok(())
}

/// Refuses a request because no configuration is loaded.
fn refuse_unconfigured() -> u32 {
    log::error!("egress filter: request refused: no configuration is loaded");
    let bytes = sys::headers(abi::REQUEST_HEADERS).unwrap_or_default();
    let headers = Headers::from_pairs(&bytes).unwrap_or_default();
    let Unconfigured { decision, reply, audit } = exchange::refuse_unconfigured(&headers);
    sys::log(abi::LOG_INFO, &audit);
    decision.count(|count| metrics::count_at_once(count.counter));
    send(&reply);
    abi::PAUSE
}
