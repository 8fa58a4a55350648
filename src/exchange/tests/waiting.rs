//! A request that waits for a service: what is asked, and what becomes of the answer.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use super::super::{Event, Exchange, Pairs, Part, Received, Step};
use super::laws::{engine, request};
use crate::call::{Answer, Call, CallId};
use crate::decision::{Reason, Reply};
use crate::policy::Engine;
use crate::request::headers::Headers;
use crate::request::{Given, Property, Source};

/// A request that is held, and the call that it waits for.
fn held<'e>(engine: &'e Engine, source: &'e Given<'e>) -> (Exchange, Call) {
    let mut exchange = Exchange::default();
    let call = match exchange.on(engine, source, Event::RequestHeaders(request("/"))) {
        Step::Call(call) => call,
        step => panic!("{step:?}"),
    };
    assert!(exchange.take_report().is_none(), "nothing is decided yet");
    (exchange, *call)
}

fn answer<'a>(status: &'a str, lines: &[(&'a str, &'a str)], body: &'a [u8]) -> Answer<'a> {
    let lines = [(":status", status)].into_iter().chain(lines.iter().copied());
    let headers = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    Answer::response(headers, body, false)
}

#[test]
fn the_service_is_told_who_calls() {
    let engine = engine(false);
    let source = Given { peer_principal: b"spiffe://t/ns/a/sa/b", ..Given::default() };
    let (_, call) = held(&engine, &source);
    assert_eq!((call.cluster.as_str(), call.timeout), ("probe", Duration::from_millis(10)));
    let caller = call.http().0.iter().find(|(name, _)| name == "x-caller");
    assert_eq!(caller.map(|(_, value)| &**value), Some(&b"spiffe://t/ns/a/sa/b"[..]));
}

#[test]
fn a_request_that_will_be_denied_asks_nobody() {
    let (engine, source) = (engine(true), Given::default());
    let mut exchange = Exchange::default();
    let step = exchange.on(&engine, &source, Event::RequestHeaders(request("/denied")));
    assert_eq!(step, Step::Reply(Reply::refusing(Reason::DenyMatched)));
}

/// A property of the connection that cannot be read.
#[derive(Debug)]
struct Unreadable;

impl Source for Unreadable {
    fn property(&self, _property: Property) -> &[u8] {
        &[]
    }

    fn failed(&self) -> bool {
        true
    }
}

#[test]
fn a_request_that_is_refused_at_the_end_asks_nobody_either() {
    let engine = engine(true);
    let mut exchange = Exchange::default();
    let step = exchange.on(&engine, &Unreadable, Event::RequestHeaders(request("/")));
    assert_eq!(step, Step::Reply(Reply::refusing(Reason::InternalError)));
}

#[test]
fn a_refusal_is_relayed_with_its_header_and_body() {
    let (engine, source) = (engine(true), Given::default());
    let (mut exchange, call) = held(&engine, &source);
    let refusal = answer("401", &[("x-probe", "who are you"), ("x-other", "1")], b"sign in");
    let step = exchange.on(&engine, &source, Event::Answer(call.id, refusal));
    let Step::Reply(reply) = step else { panic!("{step:?}") };
    assert_eq!((reply.status, &*reply.body), (401, &b"sign in"[..]));
    assert_eq!(reply.headers, [("x-probe".to_owned(), b"who are you".to_vec())]);
    let report = exchange.take_report().unwrap();
    assert!(report.audit_text().unwrap().contains(r#""status":401"#), "{report:?}");
}

/// What a proxy answers in the service's place is no answer of the service.
#[test]
fn without_an_answer_the_failure_mode_decides() {
    let source = Given::default();
    let lost = [
        || Answer::CutOff,
        || Answer::NotSent,
        || answer("503", &[], b""),
        || answer("504", &[], b"upstream request timeout"),
        || answer("", &[], b""),
    ];
    for answer in lost {
        let open = engine(true);
        let (mut exchange, call) = held(&open, &source);
        let step = exchange.on(&open, &source, Event::Answer(call.id, answer()));
        assert!(matches!(step, Step::Forward(_)), "{step:?} for {:?}", answer());
        let closed = engine(false);
        let (mut exchange, call) = held(&closed, &source);
        let step = exchange.on(&closed, &source, Event::Answer(call.id, answer()));
        assert_eq!(step, Step::Reply(Reply::refusing(Reason::NoAnswer)), "{:?}", answer());
    }
}

#[test]
fn an_answer_counts_once_and_only_for_its_own_call() {
    let (engine, source) = (engine(false), Given::default());
    let (mut exchange, call) = held(&engine, &source);
    let other = CallId(call.id.0 + 1);
    let step = exchange.on(&engine, &source, Event::Answer(other, answer("200", &[], b"")));
    assert_eq!(step, Step::Ignore);
    let agreed = || Event::Answer(call.id, answer("200", &[], b""));
    assert!(matches!(exchange.on(&engine, &source, agreed()), Step::Forward(_)));
    assert_eq!(exchange.on(&engine, &source, agreed()), Step::Ignore);
}

fn body() -> Event<'static> {
    Event::RequestBody(Received::Whole(b"body"))
}

#[test]
fn body_and_trailers_wait_with_the_headers() {
    let (engine, source) = (engine(false), Given::default());
    let (mut exchange, call) = held(&engine, &source);
    assert_eq!(exchange.on(&engine, &source, body()), Step::Hold);
    let trailers: Headers<'_> = [(&b"x-t"[..], &b"1"[..])].into_iter().collect();
    let (bytes, count) = (trailers.to_pairs(), 1);
    let pairs = Pairs { bytes: &bytes, count };
    assert_eq!(exchange.on(&engine, &source, Event::RequestTrailers(pairs)), Step::Hold);
    let agreed = Event::Answer(call.id, answer("200", &[], b""));
    assert!(matches!(exchange.on(&engine, &source, agreed), Step::Forward(_)));
    assert_eq!(exchange.on(&engine, &source, body()), Step::Forward(Vec::new()));
}

/// Where the changes of a request that is let through cannot be written, it is refused, and that is
/// all that is reported of it.
#[test]
fn changes_that_cannot_be_written_refuse_the_request() {
    let (engine, source) = (engine(false), Given::default());
    let (mut exchange, call) = held(&engine, &source);
    let agreed = Event::Answer(call.id, answer("200", &[], b""));
    assert!(matches!(exchange.on(&engine, &source, agreed), Step::Forward(_)));
    let failed = Event::Failed(Part::RequestHeaders, "host call failed");
    let step = exchange.on(&engine, &source, failed);
    assert_eq!(step, Step::Reply(Reply::refusing(Reason::InternalError)));
    let report = exchange.take_report().unwrap();
    assert_eq!(report.decision.map(|decision| decision.reason), Some(Reason::InternalError));
    assert!(exchange.take_report().is_none());
}
