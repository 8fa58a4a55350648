//! What holds of an exchange whatever events come, in whatever order: every order of some length is
//! tried, also those that no proxy brings about.
//!
//! `EGRESS_EVENT_ORDERS` sets how many events the longest orders have (5).

#![expect(clippy::arithmetic_side_effects, reason = "what a test counts stays small")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use super::driven::owned;
use crate::call::{Answer, CallId};
use crate::decision::{Change, Reason};
use crate::exchange::{Event, Exchange, Pairs, Part, Received, Step};
use crate::policy::Engine;
use crate::policy::probe::Probe;
use crate::request::Given;
use crate::request::headers::Headers;

/// What may happen to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    Headers,
    Body,
    Trailers,
    /// The service answers the call that waits: it agrees, it refuses, or its answer breaks off.
    Agreed,
    Refused,
    CutOff,
    /// An answer to a call that nobody waits for: one that was answered, or was never made.
    Stray,
    ResponseHeaders,
    ResponseTrailers,
    /// The request's headers could not be read, or not be changed.
    RequestFailed,
    /// The same of the response's headers.
    ResponseFailed,
    Gone,
}

use Happening::*;

const ALL: [Happening; 12] = [
    Headers,
    Body,
    Trailers,
    Agreed,
    Refused,
    CutOff,
    Stray,
    ResponseHeaders,
    ResponseTrailers,
    RequestFailed,
    ResponseFailed,
    Gone,
];

/// An engine that asks a service about each request, and changes what goes on both ways.
pub(super) fn engine(fail_open: bool) -> Engine {
    let set = |name: &str| json!({"set": [{"name": name, "value": "'1'"}]});
    let json = json!({"audit": {"log": "All"}, "policies": [
        {"name": "denied", "traffic": {"authorization": {
            "action": "Deny", "policy": {"matchExpressions": ["request.path == '/denied'"]}}}},
        {"name": "marked", "traffic": {"transformation": {
            "request": set("x-request"), "response": set("x-response")}}},
    ]});
    let mut engine = Engine::load(json.to_string().as_bytes()).unwrap();
    engine.probe = Some(Probe {
        cluster: "probe".to_owned(),
        timeout_milliseconds: 10,
        fail_open,
        grpc: false,
    });
    engine
}

pub(super) fn request(path: &str) -> Vec<u8> {
    let lines =
        [(":authority", "a.example"), (":path", path), (":method", "GET"), ("x-probe", "/")];
    let headers: Headers<'_> =
        lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    headers.to_pairs()
}

fn pairs(lines: &[(&str, &str)]) -> Vec<u8> {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    lines.collect::<Headers<'_>>().to_pairs()
}

/// The bytes that events refer to.
struct Bytes {
    agreed: Vec<u8>,
    refused: Vec<u8>,
    trailers: Vec<u8>,
    response: Vec<u8>,
}

/// A proxy that carries out each step, and keeps what came of it.
struct Proxy<'e> {
    engine: &'e Engine,
    bytes: &'e Bytes,
    exchange: Exchange,
    /// The call that waits for an answer, and those that do not any more.
    waiting: Option<CallId>,
    answered: Vec<CallId>,
    decided: Vec<Reason>,
    changes: Vec<Change<'static>>,
    forwarded: usize,
    replies: Vec<u16>,
    resets: usize,
    is_gone: bool,
}

impl<'e> Proxy<'e> {
    fn new(engine: &'e Engine, bytes: &'e Bytes) -> Self {
        Proxy {
            engine,
            bytes,
            exchange: Exchange::default(),
            waiting: None,
            answered: Vec::new(),
            decided: Vec::new(),
            changes: Vec::new(),
            forwarded: 0,
            replies: Vec::new(),
            resets: 0,
            is_gone: false,
        }
    }

    fn event(&self, happening: Happening) -> Event<'e> {
        let answer =
            |bytes: &'e [u8]| Answer::response(Headers::from_pairs(bytes).unwrap(), b"no", false);
        let stray = self.answered.last().copied().unwrap_or(CallId(7));
        let call = self.waiting.unwrap_or(stray);
        match happening {
            Headers => Event::RequestHeaders(request("/")),
            Body => Event::RequestBody(Received::Whole(b"body")),
            Trailers => Event::RequestTrailers(Pairs { bytes: &self.bytes.trailers, count: 1 }),
            Agreed => Event::Answer(call, answer(&self.bytes.agreed)),
            Refused => Event::Answer(call, answer(&self.bytes.refused)),
            CutOff => Event::Answer(call, Answer::CutOff),
            Stray => Event::Answer(stray, answer(&self.bytes.agreed)),
            ResponseHeaders => {
                Event::ResponseHeaders(Pairs { bytes: &self.bytes.response, count: 1 })
            }
            ResponseTrailers => {
                Event::ResponseTrailers(Pairs { bytes: &self.bytes.trailers, count: 1 })
            }
            RequestFailed => Event::Failed(Part::RequestHeaders, "failed"),
            ResponseFailed => Event::Failed(Part::ResponseHeaders, "failed"),
            Gone => Event::Gone,
        }
    }

    /// Has something happen, and holds the step that follows to the laws.
    fn happens(&mut self, happening: Happening) {
        let was_waiting = self.waiting;
        let was_over = self.is_over();
        let is_answer = matches!(happening, Agreed | Refused | CutOff);
        let of_response = matches!(happening, ResponseHeaders | ResponseTrailers);
        let event = self.event(happening);
        let source = Given::default();
        let step = self.exchange.on(self.engine, &source, event);
        if is_answer && was_waiting.is_none() || happening == Stray {
            assert_eq!(step, Step::Ignore, "an answer that nobody waits for");
        }
        if let Some(call) = was_waiting.filter(|_| is_answer) {
            self.answered.push(call);
            self.waiting = None;
        }
        match step {
            Step::Call(call) => {
                assert_eq!((was_waiting, was_over), (None, false), "one call at a time");
                assert!(!self.answered.contains(&call.id), "each call has a number of its own");
                assert!(!call.timeout.is_zero(), "every call has a timeout");
                self.waiting = Some(call.id);
            }
            Step::Await(credential) => panic!("no policy has a credential, got {credential}"),
            Step::Hold | Step::Ignore => {}
            Step::Replace(_) => panic!("no policy replaces a body"),
            Step::Forward(changes) if of_response => {
                assert!(self.forwarded > 0 || changes.is_empty(), "nothing is added to an answer");
            }
            Step::Forward(changes) => {
                assert_eq!(self.waiting, None, "nothing goes on while a call is pending");
                assert!(
                    self.replies.is_empty() && self.resets == 0 && !self.is_gone,
                    "it has ended"
                );
                if matches!(happening, Headers | Agreed | CutOff) {
                    self.forwarded += 1;
                    self.changes.extend(owned(&changes));
                }
            }
            Step::Reply(reply) => {
                assert_eq!(self.forwarded, 0, "a request that went on is not answered here");
                self.replies.push(reply.status);
                self.waiting = None;
            }
            Step::Reset => {
                self.resets += 1;
                self.waiting = None;
            }
        }
        if happening == Gone {
            self.is_gone = true;
            self.waiting = None;
        }
        let report = self.exchange.take_report();
        self.decided.extend(report.and_then(|report| report.decision).map(|of| of.reason));
        assert_eq!(self.exchange.is_waiting(), self.waiting.is_some());
        self.hold_laws();
    }

    fn is_over(&self) -> bool {
        !self.replies.is_empty() || self.resets > 0 || self.is_gone
    }

    fn hold_laws(&self) {
        assert!(self.decided.len() <= 1, "one decision, one record: {:?}", self.decided);
        assert!(self.forwarded <= 1, "it goes on once");
        assert!(self.replies.len() + self.resets <= 1, "it ends once");
        let expected = [Change::Replace("x-request".into(), b"1".into())];
        assert_eq!(self.changes, expected[..self.forwarded], "changes are given out once");
        let is_decided = self.forwarded > 0 || !self.replies.is_empty();
        assert!(!is_decided || self.decided.len() == 1, "what is decided is reported");
        // What a request may cost: the answers that it waits for, and what each may hold.
        assert!(self.answered.len() <= 1, "only one stage asks a service");
    }
}

fn bytes() -> Bytes {
    Bytes {
        agreed: pairs(&[(":status", "200")]),
        refused: pairs(&[(":status", "401"), ("x-probe", "who are you")]),
        trailers: pairs(&[("x-request", "2")]),
        response: pairs(&[(":status", "200")]),
    }
}

/// Runs an order of events; returns how it ended.
fn run(engine: &Engine, bytes: &Bytes, order: &[Happening]) {
    let mut proxy = Proxy::new(engine, bytes);
    for happening in order {
        proxy.happens(*happening);
    }
    // A request that waits for ever would be a leak: whoever gives the stream up says so.
    if !proxy.is_gone {
        let was_waiting = proxy.waiting.is_some();
        proxy.happens(Gone);
        assert!(!was_waiting || proxy.decided == [Reason::Gone], "{:?}", proxy.decided);
    }
}

#[test]
fn the_laws_hold_in_every_order_of_events() {
    let length = std::env::var("EGRESS_EVENT_ORDERS").ok().and_then(|length| length.parse().ok());
    let length: u32 = length.unwrap_or(5);
    let bytes = bytes();
    let mut orders = 0_usize;
    for fail_open in [false, true] {
        let engine = engine(fail_open);
        // Shorter orders are the beginnings of these, and laws are held after each event.
        for number in 0..ALL.len().pow(length) {
            let digit = |place| number / ALL.len().pow(place) % ALL.len();
            let order: Vec<Happening> = (0..length).map(|place| ALL[digit(place)]).collect();
            let tried = catch_unwind(AssertUnwindSafe(|| run(&engine, &bytes, &order)));
            assert!(tried.is_ok(), "fail open: {fail_open}, {order:?}");
            orders += 1;
        }
    }
    println!("{orders} orders of {length} events");
}

/// The usual orders end as they should; if the laws forbade everything, they would hold as well.
#[test]
fn the_usual_orders_end_as_they_should() {
    type Expected<'a> = (&'a [Happening], bool, usize, &'a [u16], Reason);
    let bytes = bytes();
    let orders: [Expected<'_>; 9] = [
        (&[Headers, Agreed, Body, Trailers, ResponseHeaders], false, 1, &[], Reason::NoAllowRule),
        (&[Headers, Body, Trailers, Agreed], false, 1, &[], Reason::NoAllowRule),
        (&[Headers, Refused, ResponseHeaders], false, 0, &[401], Reason::DenyMatched),
        (&[Headers, CutOff, ResponseHeaders], false, 0, &[403], Reason::NoAnswer),
        (&[Headers, CutOff, ResponseHeaders], true, 1, &[], Reason::NoAllowRule),
        (&[Headers, Agreed, Stray, Refused], false, 1, &[], Reason::NoAllowRule),
        (&[Headers, Stray, Agreed], false, 1, &[], Reason::NoAllowRule),
        (&[RequestFailed, Agreed], false, 0, &[403], Reason::InternalError),
        (&[Headers, Gone, Agreed], false, 0, &[], Reason::Gone),
    ];
    for (order, fail_open, forwarded, replies, reason) in orders {
        let engine = engine(fail_open);
        let mut proxy = Proxy::new(&engine, &bytes);
        order.iter().for_each(|happening| proxy.happens(*happening));
        assert_eq!(
            (proxy.forwarded, &proxy.replies[..], &proxy.decided[..]),
            (forwarded, replies, &[reason][..]),
            "{order:?}, fail open: {fail_open}"
        );
    }
}
