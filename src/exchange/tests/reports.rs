//! What is reported of an exchange: everything once, also where a step could not be carried out.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use crate::counters::{Count, Counter};
use crate::exchange::{Event, Exchange, Pairs, Part, Step};
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;

fn pairs(lines: &[(&str, &str)]) -> Vec<u8> {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    lines.collect::<Headers<'_>>().to_pairs()
}

fn counts(exchange: &mut Exchange) -> Vec<Count> {
    let mut counts = Vec::new();
    exchange.take_report().unwrap().count(|count| counts.push(count));
    counts
}

#[test]
fn what_failed_for_a_response_that_is_cut_off_is_counted_once() {
    let set = json!({"set": [{"name": "x-a", "value": "response.headers['x-none']"}]});
    let json = json!({"policies": [
        {"name": "p", "traffic": {"transformation": {"response": set}}}]});
    let engine = Engine::load(json.to_string().as_bytes()).unwrap();
    let source = Given::default();
    let mut exchange = Exchange::default();
    let request = pairs(&[(":authority", "a.example"), (":path", "/"), (":method", "GET")]);
    let step = exchange.on(&engine, &source, Event::RequestHeaders(request));
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
    assert_eq!(counts(&mut exchange), [Count { policy: None, counter: Counter::Allowed }]);

    let response = pairs(&[(":status", "200"), ("x-a", "stale")]);
    let event = Event::ResponseHeaders(Pairs { bytes: &response, count: 2 });
    let step = exchange.on(&engine, &source, event);
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
    let failed = Event::Failed(Part::ResponseHeaders, "cannot be written");
    assert_eq!(exchange.on(&engine, &source, failed), Step::Reset);
    let count = |policy, counter| Count { policy, counter };
    assert_eq!(
        counts(&mut exchange),
        [
            count(None, Counter::EvaluationErrors),
            count(Some(0), Counter::EvaluationErrors),
            count(None, Counter::InternalErrors),
        ]
    );
    assert!(exchange.take_report().is_none());
}

#[test]
fn the_record_of_a_request_that_is_cut_off_at_its_trailers_names_it() {
    let json = json!({"policies": [
        {"name": "p", "traffic": {"transformation": {"request": {"remove": ["x-a"]}}}}]});
    let engine = Engine::load(json.to_string().as_bytes()).unwrap();
    let source = Given::default();
    let mut exchange = Exchange::default();
    let request = pairs(&[(":authority", "a.example"), (":path", "/p?q"), (":method", "POST")]);
    let _ = exchange.on(&engine, &source, Event::RequestHeaders(request));
    let _ = counts(&mut exchange);
    exchange.forget_report();
    let unreadable = Event::RequestTrailers(Pairs { bytes: &[1], count: 1 });
    assert_eq!(exchange.on(&engine, &source, unreadable), Step::Reset);
    let line = exchange.take_report().unwrap().audit_text().unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    let expected = json!(["POST", "a.example", "/p", "internal-error"]);
    assert_eq!(
        json!([record["method"], record["host"], record["path"], record["reason"]]),
        expected
    );
}

#[test]
fn what_failed_for_a_response_is_not_counted_again_with_its_trailers() {
    let rules = json!({
        "set": [{"name": "x-a", "value": "response.headers['x-none']"}], "remove": ["x-b"]});
    let json = json!({"policies": [
        {"name": "p", "traffic": {"transformation": {"response": rules}}}]});
    let engine = Engine::load(json.to_string().as_bytes()).unwrap();
    let source = Given::default();
    let mut exchange = Exchange::default();
    let request = pairs(&[(":authority", "a.example"), (":path", "/"), (":method", "GET")]);
    let _ = exchange.on(&engine, &source, Event::RequestHeaders(request));
    let _ = counts(&mut exchange);
    let response = pairs(&[(":status", "200")]);
    let event = Event::ResponseHeaders(Pairs { bytes: &response, count: 1 });
    let _ = exchange.on(&engine, &source, event);
    assert_eq!(counts(&mut exchange).len(), 2);
    let failed = Event::Failed(Part::ResponseTrailers, "cannot be written");
    assert_eq!(exchange.on(&engine, &source, failed), Step::Reset);
    let internal = Count { policy: None, counter: Counter::InternalErrors };
    assert_eq!(counts(&mut exchange), [internal]);
}
