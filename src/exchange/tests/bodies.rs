//! Requests whose bodies are judged, event by event.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::super::{Event, Exchange, Expectation, Pairs, Part, Received, Step};
use crate::decision::Reason;
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;

fn rule(action: &str, expression: &str) -> Value {
    json!({"action": action, "policy": {"matchExpressions": [expression]}})
}

fn engine() -> Engine {
    let policies = json!({"hostBinding": "Off", "audit": {"log": "All"}, "policies": [
        {"name": "deny", "traffic": {
            "authorization": rule("Deny", "string(request.body) == 'bad'"),
            "transformation": {
                "request": {"set": [{"name": "x-mark", "value": "\"set\""}], "remove": ["x-gone"]},
                "response": {"set": [{"name": "x-answer", "value": "\"set\""}]},
            },
        }},
        {"name": "seen", "traffic": {"authorization":
            rule("Deny", "string(request.body) == 'see' && 'x-mark' in request.headers")}},
    ]});
    let loaded = Engine::load(policies.to_string().as_bytes());
    loaded.unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn headers(more: &[(&str, &str)]) -> Vec<u8> {
    let lines = [(":method", "POST"), (":path", "/a"), (":authority", "a.example")];
    let lines = lines.iter().chain(more).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    lines.collect::<Headers<'_>>().to_pairs()
}

/// A request whose headers have gone on.
fn begun(engine: &Engine, more: &[(&str, &str)]) -> Exchange {
    let mut exchange = Exchange::default();
    let source = Given::default();
    let step = exchange.on(engine, &source, Event::RequestHeaders(headers(more)));
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
    assert!(exchange.is_receiving(Part::RequestBody));
    assert!(exchange.take_report().is_none(), "nothing is decided");
    exchange
}

fn whole(body: &[u8]) -> Event<'_> {
    Event::RequestBody(Received::Whole(body))
}

fn reason(exchange: &mut Exchange) -> Reason {
    let report = exchange.take_report().expect("a report");
    report.decision.expect("a decision").reason
}

#[test]
fn a_body_is_judged_once_it_is_whole_and_reported_once() {
    let (engine, source) = (engine(), Given::default());
    for (body, expected) in [(&b"good"[..], Reason::NoAllowRule), (b"bad", Reason::DenyMatched)] {
        let mut exchange = begun(&engine, &[]);
        let (expectation, limit) = exchange.expects_body(Part::RequestBody, 3, false);
        assert_eq!((expectation, limit), (Expectation::Hold, 65_536));
        assert_eq!(exchange.expects_body(Part::RequestBody, 3, true).0, Expectation::Read);
        assert_eq!(exchange.expects_body(Part::RequestBody, 65_537, false).0, Expectation::Read);
        let step = exchange.on(&engine, &source, whole(body));
        match expected {
            Reason::NoAllowRule => assert_eq!(step, Step::Forward(Vec::new())),
            _ => assert!(matches!(step, Step::Reply(reply) if reply.status == 403)),
        }
        assert_eq!(reason(&mut exchange), expected);
        assert!(!exchange.is_receiving(Part::RequestBody));
        assert!(exchange.take_report().is_none(), "there is one report");
        let again = exchange.on(&engine, &source, whole(b"bad"));
        let passes = expected == Reason::NoAllowRule;
        assert_eq!(again, if passes { Step::Forward(Vec::new()) } else { Step::Hold });
    }
}

#[test]
fn rules_do_not_see_what_policies_have_changed_since() {
    let (engine, source) = (engine(), Given::default());
    let mut exchange = begun(&engine, &[]);
    assert_eq!(exchange.on(&engine, &source, whole(b"see")), Step::Forward(Vec::new()));
    let mut exchange = begun(&engine, &[("x-mark", "of the caller")]);
    assert!(matches!(exchange.on(&engine, &source, whole(b"see")), Step::Reply(_)));
}

/// Nothing of the body has gone on yet, so that a request can be refused.
#[test]
fn what_fails_while_a_body_is_awaited_refuses_the_request() {
    let (engine, source) = (engine(), Given::default());
    for part in [
        Part::RequestHeaders,
        Part::RequestBody,
        Part::RequestTrailers,
        Part::ResponseHeaders,
        Part::ResponseTrailers,
    ] {
        let mut exchange = begun(&engine, &[]);
        let step = exchange.on(&engine, &source, Event::Failed(part, "failed"));
        assert!(matches!(step, Step::Reply(reply) if reply.status == 403), "{part:?}");
        assert_eq!(reason(&mut exchange), Reason::InternalError);
        assert_eq!(exchange.on(&engine, &source, whole(b"good")), Step::Hold);
    }
    let mut exchange = begun(&engine, &[]);
    let unreadable = Pairs { bytes: b"1", count: 1 };
    let step = exchange.on(&engine, &source, Event::RequestTrailers(unreadable));
    assert!(matches!(step, Step::Reply(_)), "{step:?}");
    assert_eq!(reason(&mut exchange), Reason::InternalError);
}

#[test]
fn trailers_are_read_and_no_response_passes_before_the_body_was_judged() {
    let (engine, source) = (engine(), Given::default());
    let mut exchange = begun(&engine, &[]);
    let lines: Headers<'_> = [(&b"x-gone"[..], &b"1"[..])].into_iter().collect();
    let bytes = lines.to_pairs();
    let trailers = Event::RequestTrailers(Pairs { bytes: &bytes, count: 1 });
    match exchange.on(&engine, &source, trailers) {
        Step::Forward(changes) => assert_eq!(changes.len(), 1, "the trailer is dropped"),
        step => panic!("{step:?}"),
    }
    let lines: Headers<'_> = [(&b":status"[..], &b"401"[..])].into_iter().collect();
    let bytes = lines.to_pairs();
    let response = Event::ResponseHeaders(Pairs { bytes: &bytes, count: 1 });
    // A caller that keeps its body back would get it otherwise.
    assert_eq!(exchange.expects(Part::ResponseHeaders), Expectation::Read);
    assert_eq!(exchange.expects(Part::ResponseBody), Expectation::Hold);
    assert_eq!(exchange.expects(Part::ResponseTrailers), Expectation::Hold);
    assert_eq!(exchange.on(&engine, &source, response), Step::Reset);
    let report = exchange.take_report().expect("a report");
    assert!(report.cut_off.is_some() && report.audit.is_some());
    assert_eq!(exchange.on(&engine, &source, whole(b"good")), Step::Hold);
    assert_eq!(exchange.expects(Part::ResponseBody), Expectation::Hold);
}

#[test]
fn a_request_that_is_gone_before_its_body_is_there_is_reported() {
    let (engine, source) = (engine(), Given::default());
    let mut exchange = begun(&engine, &[]);
    assert!(exchange.is_waiting());
    assert_eq!(exchange.on(&engine, &source, Event::Gone), Step::Hold);
    assert_eq!(reason(&mut exchange), Reason::Gone);
}

#[test]
fn what_the_headers_settle_is_decided_before_they_go_on() {
    let (engine, source) = (engine(), Given::default());
    for (more, is_end, expected) in [
        (&[][..], true, Reason::NoAllowRule),
        (&[("content-length", "65537")], false, Reason::BodyTooLarge),
        (&[("content-length", "99999999999999999999999")], false, Reason::BodyTooLarge),
        (&[("content-encoding", "gzip")], false, Reason::DenyError),
        (&[("content-type", "image/png"), ("content-length", "65537")], false, Reason::DenyError),
        (&[("upgrade", "websocket")], true, Reason::DenyError),
    ] {
        let mut exchange = Exchange::default();
        if is_end {
            exchange.note_end(Part::RequestHeaders);
        }
        let _ = exchange.on(&engine, &source, Event::RequestHeaders(headers(more)));
        assert_eq!(reason(&mut exchange), expected, "{more:?}");
        assert!(!exchange.is_receiving(Part::RequestBody));
    }
}
