//! Global rate limits: what is asked, and what becomes of the answer.

mod driven;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use serde_json::{Value, json};

use super::load;
use crate::call::{Answer, Failure, Form};
use crate::decision::{Asked, Outcome, Service};
use crate::exchange::{Event, Exchange, Step};
use crate::rate_limit::service::{Descriptor, Unit};
use crate::request::Given;
use crate::request::headers::Headers;

use driven::{OK, OVER, Said, asked, engine, headers, message, plain, policy, run, shown};

#[test]
fn a_descriptor_has_the_values_of_its_expressions() {
    let descriptors = json!([
        {"entries": [
            {"name": "text", "expression": "request.path"},
            {"name": "bool", "expression": "request.method == 'GET'"},
            {"name": "int", "expression": "-3"},
            {"name": "uint", "expression": "7u"},
            {"name": "bytes", "expression": "b'\\xff\\x00'"},
        ], "cost": "size(request.path)",
        "limitOverride": "{'unit': 'day', 'requestsPerUnit': 5}", "unit": "Requests"},
        {"entries": [{"name": "header", "expression": "request.headers['x-a']"}]},
    ]);
    let engine = engine(&[policy("p", &json!({"descriptors": descriptors}))]);
    let (calls, done) = run(&engine, &[("x-a", "")], &[(1, Answer::Message(&OK.message()))]);
    let first = Descriptor {
        limit: Some((5, Unit::Day)),
        hits: Some(2),
        ..plain(&[
            ("text", "/a"),
            ("bool", "true"),
            ("int", "-3"),
            ("uint", "7"),
            ("bytes", "/wA="),
        ])
    };
    assert_eq!(message(&calls[0]), asked("egress", &[first, plain(&[("header", "")])]));
    assert_eq!((&*calls[0].cluster, calls[0].timeout), ("rls", Duration::from_millis(100)));
    let Form::Grpc { authority, .. } = &calls[0].form else { panic!("{calls:?}") };
    assert_eq!(authority, "rls.example");
    assert!(done.reply.is_none() && done.changes.is_empty() && done.response.is_empty());
    let note = Asked {
        policy: 0,
        service: Service::RateLimit,
        outcome: Outcome::Allowed,
        is_cached: false,
        fails_open: false,
        milliseconds: 1,
    };
    assert_eq!(done.decision.calls, [note]);
}

#[test]
fn an_admitted_request_gets_what_the_service_says() {
    let said = Said {
        request_headers: &[("X-Tier", "gold"), ("x_tier", "silver")],
        response_headers: &[("X-Own", "2"), ("x-own", "3")],
        statuses: &[(1, 10, 4, 1500), (1, 100, 3, 60_000), (1, 0, 0, 0)],
        ..OK
    };
    let one = [policy("p", &json!({}))];
    let caller = [("x-tier", "platinum"), ("X_Tier", "diamond")];
    let (_, done) = run(&engine(&one), &caller, &[(1, Answer::Message(&said.message()))]);
    // Origins that take `_` for `-` must not be told two things, so the last one stands alone.
    assert_eq!(
        shown(&done.changes),
        ["-X_Tier", "-x-tier", "+x-tier: gold", "-x-tier", "+x_tier: silver"]
    );
    assert_eq!(done.response, ["-x-own", "+x-own: 2", "+x-own: 3"]);

    let mut tells = policy("p", &json!({}));
    tells["traffic"]["rateLimit"]["headers"] = json!("All");
    let said = Said { response_headers: &[], request_headers: &[], ..said };
    let (_, done) = run(&engine(&[tells]), &[], &[(1, Answer::Message(&said.message()))]);
    assert_eq!(
        done.response,
        ["+x-ratelimit-limit: 100", "+x-ratelimit-remaining: 3", "+x-ratelimit-reset: 60"],
        "the limit with the fewest hits left"
    );
}

#[test]
fn a_request_over_the_limit_is_refused_with_what_the_service_says_of_it() {
    let one = engine(&[policy("p", &json!({}))]);
    let over = |said: &Said<'_>| {
        let (_, done) = run(&one, &[], &[(2, Answer::Message(&said.message()))]);
        assert_eq!(done.decision.reason.as_str(), "rate-limited");
        assert_eq!(done.decision.policy, Some(0));
        assert_eq!(done.decision.calls[0].outcome, Outcome::Denied);
        done.reply.unwrap()
    };
    // The numbers are those of the limit that is reached, not of the one with the fewest left.
    let statuses = &[(1, 9, 0, 1000), (2, 100, 0, 1500), (1, 50, 3, 0)][..];
    let reply = over(&Said { statuses, ..OVER });
    assert_eq!((reply.status, reply.grpc_status), (429, 14));
    assert_eq!(&*reply.body, b"rate limit exceeded");
    assert_eq!(
        headers(&reply),
        [
            "x-ratelimit-limit: 100",
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 2",
            "retry-after: 2"
        ]
    );
    // Nothing is known of the limit.
    assert_eq!(headers(&over(&OVER)), ["retry-after: 1"]);
    assert_eq!(headers(&over(&Said { statuses: &[(2, 0, 0, 9000)], ..OVER })), ["retry-after: 9"]);
    // The service's own answer. What it must not set is left out, and the request stays refused.
    let reply = over(&Said {
        body: "slow down",
        response_headers: &[
            ("content-type", "text/x"),
            ("Retry-After", "5"),
            ("content-length", "1"),
            (":status", "200"),
            ("x-bad", "a\r\nb"),
        ],
        ..OVER
    });
    assert_eq!(&*reply.body, b"slow down");
    assert_eq!(headers(&reply), ["content-type: text/x", "retry-after: 5"]);
}

#[test]
fn the_policy_that_denies_is_the_one_whose_descriptor_is_over_its_limit() {
    let two = engine(&[policy("a", &json!({})), policy("b", &json!({}))]);
    let said = Said { statuses: &[(1, 10, 5, 0), (2, 10, 0, 0)], ..OVER };
    let (calls, done) = run(&two, &[], &[(1, Answer::Message(&said.message()))]);
    let own = plain(&[("ns", "team-a")]);
    assert_eq!(message(&calls[0]), asked("egress", &[own.clone(), own]), "one call for both");
    assert_eq!(done.decision.policy, Some(1));
}

#[test]
fn policies_that_differ_in_more_than_descriptors_ask_one_after_another() {
    let three = engine(&[
        policy("a", &json!({})),
        policy("b", &json!({"domain": "other"})),
        policy("c", &json!({"timeout": "5ms", "failureMode": "FailOpen"})),
        policy("d", &json!({"domain": "other"})),
    ]);
    let ok = OK.message();
    let answers =
        [(300, Answer::Message(&ok[..])), (100, Answer::Message(&ok)), (5, Answer::Status(14))];
    let (calls, done) = run(&three, &[], &answers);
    let own = plain(&[("ns", "team-a")]);
    let messages: Vec<&[u8]> = calls.iter().map(message).collect();
    let once = asked("egress", std::slice::from_ref(&own));
    assert_eq!(messages, [&once, &asked("other", &[own.clone(), own]), &once]);
    assert!(done.reply.is_none());
    let last = done.decision.calls[2];
    assert_eq!(last.outcome, Outcome::Failed(Failure::Timeout));
    assert!(last.fails_open && last.policy == 2);
}

#[test]
fn without_an_answer_the_failure_mode_decides() {
    let modes = ["FailClosed", "FailOpen"]
        .map(|mode| engine(&[policy("p", &json!({"failureMode": mode}))]));
    let bad_header = Said { request_headers: &[(":path", "/x")], ..OK }.message();
    let host = Said { request_headers: &[("host", "x")], ..OK }.message();
    let framing = Said { response_headers: &[("content-length", "3")], ..OK }.message();
    let unknown = Said { code: 0, ..OK }.message();
    let later = Said { code: 3, ..OK }.message();
    type Made = fn() -> Answer<'static>;
    let answers: [(u64, Made, Failure); 6] = [
        (1, || Answer::NotSent, Failure::NotSent),
        (1, || Answer::CutOff, Failure::CutOff),
        (1, || Answer::TooLarge, Failure::TooLarge),
        (100, || Answer::Status(14), Failure::Timeout),
        (1, || Answer::Status(14), Failure::Unreachable),
        (1, || Answer::Status(2), Failure::Error),
    ];
    let messages = [&bad_header[..], &host, &framing, &unknown, &later, b"\xff"];
    let messages = messages.map(|message| (1, Answer::Message(message), Failure::Unusable));
    let answers = answers.into_iter().map(|(took, answer, failure)| (took, answer(), failure));
    for (took, answer, failure) in answers.chain(messages) {
        let shown = format!("{answer:?}");
        let answers = [(took, answer)];
        let (_, closed) = run(&modes[0], &[], &answers);
        assert_eq!(closed.decision.reason.as_str(), "no-answer", "{shown}");
        let reply = closed.reply.unwrap();
        assert_eq!((reply.status, &*reply.body), (500, &b"rate limit failed"[..]), "{shown}");
        let (_, open) = run(&modes[1], &[], &answers);
        assert!(open.reply.is_none() && open.changes.is_empty(), "{shown}");
        for (done, is_open) in [(closed.decision, false), (open.decision, true)] {
            let note = done.calls[0];
            assert_eq!((note.outcome, note.fails_open), (Outcome::Failed(failure), is_open));
        }
    }
}

#[test]
fn a_call_for_which_no_time_is_left_is_not_made() {
    let config = |mode: &str| {
        json!({"callouts": {"deadline": "150ms"}, "policies": [
            policy("a", &json!({})),
            policy("b", &json!({"domain": "b", "failureMode": mode})),
            policy("c", &json!({"domain": "c", "failureMode": mode})),
        ]})
    };
    let ok = OK.message();
    let answers = [(100, Answer::Message(&ok[..])), (50, Answer::Status(14))];
    let (calls, open) = run(&load(&config("FailOpen")), &[], &answers);
    assert_eq!(calls.len(), 2, "the third is not made");
    assert_eq!(calls[1].timeout, Duration::from_millis(50), "what is left");
    let outcomes: Vec<Outcome> = open.decision.calls.iter().map(|call| call.outcome).collect();
    let over = Outcome::Failed(Failure::Deadline);
    assert_eq!(outcomes, [Outcome::Allowed, over, over]);
    let times: Vec<u32> = open.decision.calls.iter().map(|call| call.milliseconds).collect();
    assert_eq!(times, [100, 50, 0]);
    assert!(open.reply.is_none());
    let (_, closed) = run(&load(&config("FailClosed")), &[], &answers);
    assert_eq!(closed.decision.reason.as_str(), "no-answer");
}

#[test]
fn an_expression_that_fails_denies_and_an_optional_leaves_its_descriptor_out() {
    let entry = |expression: &str| json!({"entries": [{"name": "x", "expression": expression}]});
    let fails = entry("request.headers['x-a']");
    let optional = entry("request.headers[?'x-a']");
    let always = entry("request.host");
    let with = |mode: &str, descriptors: &Value| {
        engine(&[policy("p", &json!({"failureMode": mode, "descriptors": descriptors}))])
    };
    // Nobody is asked, so nothing is counted either.
    let (calls, done) = run(&with("FailClosed", &json!([always, fails])), &[], &[]);
    assert!(calls.is_empty());
    assert_eq!(done.decision.reason.as_str(), "callout-error");
    let reply = done.reply.unwrap();
    assert_eq!((reply.status, &*reply.body), (500, &b"rate limit failed"[..]));
    assert_eq!(
        done.decision.errors,
        [(0, "descriptor 1 of `rateLimit`: x: no such key: x-a".to_owned())]
    );
    let ok = OK.message();
    let host = asked("egress", &[plain(&[("x", "api.example")])]);
    for (mode, descriptors, errors) in
        [("FailOpen", json!([always, fails]), 1), ("FailClosed", json!([optional, always]), 0)]
    {
        let (calls, done) = run(&with(mode, &descriptors), &[], &[(1, Answer::Message(&ok[..]))]);
        assert_eq!(message(&calls[0]), host, "{mode}");
        assert!(done.reply.is_none());
        assert_eq!(done.decision.errors.len(), errors);
    }
    for (mode, descriptors) in [("FailOpen", json!([fails])), ("FailClosed", json!([optional]))] {
        let (calls, done) = run(&with(mode, &descriptors), &[], &[]);
        assert!(calls.is_empty() && done.reply.is_none(), "{mode}");
    }
    let (calls, _) = run(
        &with("FailClosed", &json!([optional])),
        &[("x-a", "1")],
        &[(1, Answer::Message(&ok[..]))],
    );
    assert_eq!(message(&calls[0]), asked("egress", &[plain(&[("x", "1")])]));
}

#[test]
fn a_cost_and_an_override_of_the_request_are_checked_as_well() {
    for (field, expression, expected) in [
        ("cost", "int(request.headers['x-a'])", "cost: more than 1000000000"),
        ("cost", "-int(request.headers['x-a'])", "cost: the result is negative"),
        (
            "limitOverride",
            "{'unit': 'day', 'requestsPerUnit': int(request.headers['x-a'])}",
            "limitOverride: expected `unit`, which is second, minute, hour, day, month or year, \
             and `requestsPerUnit`, which is a whole number below 2^32",
        ),
    ] {
        let descriptor = json!({
            "entries": [{"name": "x", "expression": "'a'"}],
            field: expression,
        });
        let one = engine(&[policy("p", &json!({"descriptors": [descriptor]}))]);
        let (calls, done) = run(&one, &[("x-a", "4294967296")], &[]);
        assert!(calls.is_empty());
        assert_eq!(done.decision.reason.as_str(), "callout-error", "{expression}");
        let error = format!("descriptor 0 of `rateLimit`: {expected}");
        assert_eq!(done.decision.errors, [(0, error)]);
    }
}

#[test]
fn conditions_choose_among_the_forms_that_have_global_limits() {
    let global = |domain: &str| {
        json!({"cluster": "rls", "host": "rls.example", "domain": domain, "descriptors": [
            {"entries": [{"name": "x", "expression": "'a'"}]}]})
    };
    let local = json!({"local": [{"requests": 100, "unit": "Hours"}]});
    let one = |second: &str| {
        json!({"name": "p", "traffic": {"rateLimit": {"conditional": [
            {"condition": "true", "policy": local},
            {"condition": second, "policy": {"global": global("first")}},
            {"policy": {"global": global("last")}},
        ]}}})
    };
    let shared = crate::request::SharedData::default();
    for (second, domain) in [("request.path == '/a'", "first"), ("false", "last")] {
        let engine = engine(&[one(second)]);
        let lines: Headers<'_> = [(":method", "GET"), (":authority", "a.com"), (":path", "/a")]
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let source = Given { shared: Some(&shared), ..Given::default() };
        let mut exchange = Exchange::default();
        let step = exchange.on(&engine, &source, Event::RequestHeaders(lines.to_pairs()));
        let Step::Call(call) = step else { panic!("{step:?}") };
        assert_eq!(message(&call), asked(domain, &[plain(&[("x", "a")])]));
    }
}

#[test]
fn a_policy_that_is_not_in_force_asks_nobody() {
    let mut shadow = policy("p", &json!({}));
    shadow["mode"] = json!("Shadow");
    let mut elsewhere = policy("q", &json!({}));
    elsewhere["hosts"] = json!(["other.example"]);
    let (calls, done) = run(&engine(&[shadow, elsewhere]), &[], &[]);
    assert!(calls.is_empty() && done.reply.is_none());
}
