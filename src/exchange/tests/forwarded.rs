//! Services that get the request's body.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::super::{Event, Exchange, Expectation, Pairs, Part, Received, Step};
use crate::call::{Answer, CallId, Form};
use crate::decision::Reason;
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;

fn config(more: &Value) -> Value {
    let mut ext_auth = json!({
        "cluster": "authz", "host": "authz.local", "http": {}, "forwardBody": {"maxSize": 8}
    });
    if let (Some(all), Some(more)) = (ext_auth.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    json!({"hostBinding": "Off", "policies": [{"name": "ask", "traffic": {"extAuth": ext_auth}}]})
}

fn engine(more: &Value) -> Engine {
    Engine::load(config(more).to_string().as_bytes()).expect("a configuration")
}

fn headers(more: &[(&str, &str)]) -> Vec<u8> {
    let lines = [(":method", "POST"), (":path", "/"), (":authority", "a.example")];
    let lines = lines.iter().chain(more);
    let all: Headers<'_> = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    all.to_pairs()
}

fn reason(exchange: &mut Exchange) -> Reason {
    exchange.take_report().and_then(|report| report.decision).expect("a decision").reason
}

/// An exchange whose call with this body is out.
fn asking(engine: &Engine, body: &[u8]) -> Exchange {
    let mut exchange = Exchange::default();
    let given = Given::default();
    let step = exchange.on(engine, &given, Event::RequestHeaders(headers(&[])));
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
    let step = exchange.on(engine, &given, Event::RequestBody(Received::Whole(body)));
    let Step::Call(call) = step else { panic!("no call: {step:?}") };
    let Form::Http { headers, body: sent } = call.form else { panic!("not of HTTP") };
    assert_eq!(sent, body);
    let partial = ("x-envoy-auth-partial-body".to_owned(), b"false".to_vec());
    assert!(headers.contains(&partial));
    exchange
}

fn answered(engine: &Engine, exchange: &mut Exchange, status: &str) -> bool {
    let lines: Headers<'_> = [(&b":status"[..], status.as_bytes())].into_iter().collect();
    let answer = Answer::response(lines, b"", false);
    let given = Given::default();
    let step = exchange.on(engine, &given, Event::Answer(CallId(0), answer));
    matches!(step, Step::Forward(_))
}

#[test]
fn the_service_gets_the_body_and_decides() {
    let engine = engine(&json!({}));
    for (status, passes, why) in [
        ("200", true, Reason::NoAllowRule),
        ("403", false, Reason::ExternalDenied),
        ("500", false, Reason::NoAnswer),
    ] {
        // Eight bytes that are no text are sent as they are.
        let mut exchange = asking(&engine, b"\x00\xffbinary");
        assert_eq!(answered(&engine, &mut exchange, status), passes, "{status}");
        assert_eq!(reason(&mut exchange), why);
    }
}

#[test]
fn a_body_over_the_size_asks_nobody() {
    let engine = engine(&json!({"failureMode": "FailOpen"}));
    let given = Given::default();
    let mut exchange = Exchange::default();
    let _ = exchange.on(&engine, &given, Event::RequestHeaders(headers(&[])));
    assert_eq!(exchange.expects_body(Part::RequestBody, 8, false).0, Expectation::Hold);
    assert_eq!(exchange.expects_body(Part::RequestBody, 9, false), (Expectation::Read, 8));
    let step = exchange.on(&engine, &given, Event::RequestBody(Received::TooLarge));
    assert!(matches!(step, Step::Reply(reply) if reply.status == 413));
    assert_eq!(reason(&mut exchange), Reason::BodyTooLarge);
    let mut exchange = Exchange::default();
    let announced = headers(&[("content-length", "9")]);
    let step = exchange.on(&engine, &given, Event::RequestHeaders(announced));
    assert!(matches!(step, Step::Reply(reply) if reply.status == 413));
}

#[test]
fn nothing_passes_while_the_service_is_asked() {
    let engine = engine(&json!({}));
    let given = Given::default();
    let mut exchange = asking(&engine, b"body");
    for part in [Part::RequestBody, Part::RequestTrailers] {
        assert_eq!(exchange.expects(part), Expectation::Hold);
    }
    assert_eq!(exchange.expects_body(Part::RequestBody, 9, true).0, Expectation::Hold);
    let lines: Headers<'_> = [(&b":status"[..], &b"200"[..])].into_iter().collect();
    let bytes = lines.to_pairs();
    let early = Event::ResponseHeaders(Pairs { bytes: &bytes, count: 1 });
    assert_eq!(exchange.on(&engine, &given, early), Step::Reset);
    assert!(!answered(&engine, &mut exchange, "200"));

    let mut exchange = asking(&engine, b"body");
    assert_eq!(exchange.on(&engine, &given, Event::Gone), Step::Hold);
    assert_eq!(reason(&mut exchange), Reason::Gone);
}

#[test]
fn what_needs_the_head_or_a_second_body_is_refused_at_load() {
    for (more, what) in [
        (json!({"cache": {"key": ["request.path"], "ttl": "1m"}}), "`cache`"),
        (json!({"http": {"body": "'x'"}}), "`http.body`"),
        (json!({"http": {"allowedResponseHeaders": ["x-user"]}}), "allowedResponseHeaders"),
        (json!({"forwardBody": {}}), "maxSize"),
        (json!({"forwardBody": {"maxSize": "2Mi"}}), "1048576"),
    ] {
        let errors = Engine::load(config(&more).to_string().as_bytes()).expect_err("refused");
        let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|error| error.contains(what)), "{what}: {all:?}");
    }
    let mut both = config(&json!({}));
    both["policies"].as_array_mut().expect("policies").push(json!({"name": "rule", "traffic": {
        "authorization": {"action": "Deny", "policy": {"matchExpressions": ["has(extauthz.x)"]}}
    }}));
    let errors = Engine::load(both.to_string().as_bytes()).expect_err("refused");
    assert!(errors.iter().any(|error| error.to_string().contains("forwardBody")));
}

#[test]
fn no_way_leads_past_the_service() {
    let engine = engine(&json!({"failureMode": "FailOpen"}));
    let given = Given::default();
    let mut exchange = Exchange::default();
    let step = exchange.on(&engine, &given, Event::RequestHeaders(headers(&[("upgrade", "x")])));
    assert!(matches!(step, Step::Reply(reply) if reply.status == 403));
    let mut exchange = Exchange::default();
    exchange.note_end(Part::RequestHeaders);
    let step = exchange.on(&engine, &given, Event::RequestHeaders(headers(&[])));
    assert!(matches!(step, Step::Call(_)), "{step:?}");
}

#[test]
fn each_service_gets_the_body_in_turn_and_the_smallest_size_holds() {
    let mut both = config(&json!({}));
    let second = config(&json!({"forwardBody": {"maxSize": 4}}));
    let mut second = second["policies"][0].clone();
    second["name"] = json!("ask-too");
    both["policies"].as_array_mut().expect("policies").push(second);
    let engine = Engine::load(both.to_string().as_bytes()).expect("a configuration");
    let given = Given::default();
    for (status, passes) in [("200", true), ("403", false)] {
        let mut exchange = asking(&engine, b"body");
        assert_eq!(exchange.expects_body(Part::RequestBody, 5, false).0, Expectation::Hold);
        let lines: Headers<'_> = [(&b":status"[..], &b"200"[..])].into_iter().collect();
        let answer = Answer::response(lines, b"", false);
        let step = exchange.on(&engine, &given, Event::Answer(CallId(0), answer));
        let Step::Call(call) = step else { panic!("no second call: {step:?}") };
        assert_eq!((call.id, call.http().1), (CallId(1), &b"body"[..]));
        let lines: Headers<'_> = [(&b":status"[..], status.as_bytes())].into_iter().collect();
        let answer = Answer::response(lines, b"", false);
        let step = exchange.on(&engine, &given, Event::Answer(CallId(1), answer));
        assert_eq!(matches!(step, Step::Forward(_)), passes, "{status}");
    }
    let mut exchange = Exchange::default();
    let _ = exchange.on(&engine, &given, Event::RequestHeaders(headers(&[])));
    assert_eq!(exchange.expects_body(Part::RequestBody, 5, false), (Expectation::Read, 4));
}

#[test]
fn the_failure_mode_decides_where_no_answer_can_be_used() {
    let adds_header: &[u8] = b"\x0a\x00\x1a\x0a\x12\x08\x0a\x06\x0a\x01x\x12\x01y";
    for (mode, passes) in [("FailClosed", false), ("FailOpen", true)] {
        let mut grpc = config(&json!({"failureMode": mode}));
        let form = grpc["policies"][0]["traffic"]["extAuth"].as_object_mut().expect("a form");
        form.remove("http");
        form.insert("grpc".to_owned(), json!({}));
        let engine = Engine::load(grpc.to_string().as_bytes()).expect("a configuration");
        for answer in [
            Answer::Message(adds_header),
            Answer::Status(4),
            Answer::CutOff,
            Answer::NotSent,
            Answer::TooLarge,
        ] {
            let shown = format!("{mode}: {answer:?}");
            let given = Given::default();
            let mut exchange = Exchange::default();
            let _ = exchange.on(&engine, &given, Event::RequestHeaders(headers(&[])));
            let body = Event::RequestBody(Received::Whole(b"body"));
            assert!(matches!(exchange.on(&engine, &given, body), Step::Call(_)));
            let step = exchange.on(&engine, &given, Event::Answer(CallId(0), answer));
            assert_eq!(matches!(step, Step::Forward(_)), passes, "{shown}");
            if !passes {
                assert_eq!(reason(&mut exchange), Reason::NoAnswer, "{shown}");
            }
        }
    }
}

#[test]
fn a_condition_chooses_which_requests_are_asked_about() {
    let form = config(&json!({}))["policies"][0]["traffic"]["extAuth"].clone();
    let conditional = json!([{"condition": "'x-ask' in request.headers", "policy": form}]);
    let all = json!({"hostBinding": "Off", "policies": [
        {"name": "ask", "traffic": {"extAuth": {"conditional": conditional}}}
    ]});
    let engine = Engine::load(all.to_string().as_bytes()).expect("a configuration");
    let given = Given::default();
    for (more, holds) in [(&[("x-ask", "1")][..], true), (&[], false)] {
        let mut exchange = Exchange::default();
        let step = exchange.on(&engine, &given, Event::RequestHeaders(headers(more)));
        assert!(matches!(step, Step::Forward(_)), "{step:?}");
        let held = exchange.expects_body(Part::RequestBody, 4, true).0 == Expectation::Read;
        assert_eq!(held, holds, "{more:?}");
    }
}
