//! HTTP calls out of the proxy, and requests that wait for their answers.

use std::time::Duration;

use proxy_wasm_host::{Answer, Failure, HostOptions, Protocol, Status, Step, Vm};

use crate::calls::Calls;
use crate::probe::{Probe, module};
use crate::{assert_reports, origin, reports, request, run, said};

/// What a call must have.
pub(crate) const CHECK: &[(&str, &str)] =
    &[(":method", "GET"), (":path", "/check"), (":authority", "authz.local")];

/// A VM whose first root context has the number 1, with a cluster `authz`.
pub(crate) fn vm(probe: &Probe) -> Vm {
    let options = HostOptions { canary: false, ..HostOptions::default() };
    options.clusters.add("authz");
    let vm = Vm::new(&module(probe), options).expect("the probe starts");
    assert!(vm.configure("CONFIG").accepted);
    vm
}

/// A filter that holds each request, the stream 2, while a call is under way.
fn asking() -> Probe {
    Probe::default().pause().request_headers(|calls| calls.http_call_to("authz", CHECK, "", 200))
}

fn resuming(calls: Calls) -> Calls {
    calls.effective(2).continue_stream(0)
}

#[test]
fn a_call_must_name_a_known_cluster_and_have_three_pseudo_headers() {
    let without = |left_out: &str| -> Vec<(&str, &str)> {
        CHECK.iter().copied().filter(|(name, _)| *name != left_out).collect()
    };
    let vm = vm(&Probe::default().request_headers(|calls| {
        calls
            .http_call_to("nosuch", CHECK, "", 200)
            .http_call_to("authz", &without(":method"), "", 200)
            .http_call_to("authz", &without(":path"), "", 200)
            .http_call_to("authz", &without(":authority"), "", 200)
            .http_call_to("authz", CHECK, "", u32::MAX)
            .http_call_to("authz", CHECK, "", 0)
    }));
    let result = vm.stream(request()).run(origin());
    let mut expected = vec!["http call 2 "; 5];
    expected.push("http call 0 ");
    assert_reports(&result, &expected);
    assert_eq!(result.usage.calls_of("proxy_http_call"), 6);
    let calls = vm.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].token, calls[0].timeout), (4, None), "the refused used up no token");
}

#[test]
fn a_call_is_seen_as_the_service_sees_it() {
    let vm = vm(&Probe::default()
        .pause()
        .request_headers(|calls| calls.http_call_to("authz", CHECK, "body", 200)));
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Paused);
    let call = stream.calls().remove(0);
    assert_eq!((call.protocol, call.token, call.stream), (Protocol::Http, 4, Some(stream.id())));
    assert_eq!((call.cluster.as_str(), call.authority.as_str()), ("authz", "authz.local"));
    assert_eq!(call.headers.text(":path").as_deref(), Some("/check"));
    assert_eq!(call.headers.text("content-length").as_deref(), Some("4"));
    assert_eq!((call.body.as_slice(), call.timeout), (&b"body"[..], Some(MILLISECONDS_200)));
}

const MILLISECONDS_200: Duration = Duration::from_millis(200);

#[test]
fn an_answer_comes_to_the_root_context_and_can_be_read_only_then() {
    let read = |calls: Calls| calls.get(6, ":status").get(6, "x").get(7, "t").get_buffer(4, 0, 99);
    let vm = vm(&asking()
        .request_headers(read)
        .http_answer(move |calls| {
            read(read(calls.parameters("answer", 4)).effective(2)).continue_stream(0)
        })
        .response_headers(read));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    let answer = Answer::http(200).header("x", "1").body("hello").trailer("t", "2");
    assert_eq!(stream.answer(&call, answer), Step::Continue);
    stream.on_response(origin());
    let result = stream.finish();
    let (absent, present) = (
        ["get :status 2 ", "get x 2 ", "get t 2 ", "buffer 4 1 "],
        ["get :status 0 200", "get x 0 1", "get t 0 2", "buffer 4 0 hello"],
    );
    let mut expected = vec!["http call 0 "];
    expected.extend(absent);
    expected.extend(["answer 1: 4 ", "answer 2: 2 ", "answer 3: 5 ", "answer 4: 1 "]);
    expected.extend(present);
    expected.push("effective 0 ");
    expected.extend(present);
    expected.push("continue 0 0 ");
    expected.extend(absent);
    assert_reports(&result, &expected);
    let root = result.logs.iter().filter(|log| log.context == 1).count();
    assert_eq!(root, 14, "the answer's callback is the root context's");
    let names: Vec<&str> = result.callbacks.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"proxy_on_http_call_response"), "{names:?}: it is the stream's cost");
}

#[test]
fn without_the_effective_context_nothing_goes_on() {
    let vm = vm(&asking().http_answer(|calls| calls.continue_stream(0).get(0, "x-a")));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Paused);
    assert_reports(&stream.gone(), &["http call 0 ", "continue 0 0 ", "get x-a 2 "]);
}

#[test]
fn a_held_requests_headers_can_be_changed_until_it_goes_on() {
    let vm = vm(&asking().http_answer(|calls| {
        calls
            .effective(2)
            .get(0, "x-a")
            .replace(0, "x-caller", "team-a")
            .continue_stream(0)
            .get(0, "x-a")
            .replace(0, "x-caller", "late")
    }));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    stream.answer(&call, Answer::http(200));
    let sent = stream.to_origin();
    let headers = sent.headers.expect("the head went on");
    assert_eq!(headers.text("x-caller").as_deref(), Some("team-a"));
    assert!(sent.complete);
    assert_reports(
        &stream.finish(),
        &[
            "http call 0 ",
            "effective 0 ",
            "get x-a 0 1",
            "replace x-caller 0 ",
            "continue 0 0 ",
            "get x-a 2 ",
            "replace x-caller 2 ",
        ],
    );
}

#[test]
fn an_answer_may_come_at_once_after_the_callback_late_or_never() {
    let probe = asking().http_answer(|calls| resuming(calls.say("answer")));
    let after = |wait: Option<Duration>| {
        let options = HostOptions { canary: false, ..HostOptions::default() };
        options.clusters.serve("authz", move |call| {
            assert_eq!(call.cluster, "authz");
            wait.map(|wait| (wait, Answer::http(200)))
        });
        let vm = Vm::new(&module(&probe), options).expect("it starts");
        assert!(vm.configure("").accepted);
        vm
    };
    let vm = after(Some(Duration::ZERO));
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Continue);
    assert_reports(&stream.finish(), &["http call 0 ", "answer", "effective 0 ", "continue 0 0 "]);
    let vm = after(Some(Duration::from_millis(150)));
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Paused);
    vm.advance(Duration::from_millis(149));
    assert_eq!(stream.step(), Step::Paused);
    vm.advance(Duration::from_millis(1));
    assert_eq!(stream.step(), Step::Continue);
    let vm = after(None);
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Paused);
    vm.advance(Duration::from_millis(199));
    assert_eq!((stream.step(), stream.calls().len()), (Step::Paused, 1));
}

#[test]
fn a_timeout_comes_as_an_answer_and_the_late_one_is_dropped() {
    let vm = vm(&asking()
        .http_answer(|calls| resuming(calls.get(6, ":status").get_buffer(4, 0, 99).status_call())));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    vm.advance(Duration::from_millis(200));
    assert_eq!(stream.step(), Step::Continue);
    assert!(!vm.answer(&call, Answer::http(200)), "nobody waits for it any more");
    assert_reports(
        &stream.finish(),
        &[
            "http call 0 ",
            "get :status 0 504",
            "buffer 4 0 upstream request timeout",
            "status 0 ",
            "effective 0 ",
            "continue 0 0 ",
        ],
    );
}

#[test]
fn an_answer_that_is_cut_off_has_no_headers_and_a_status() {
    let vm = vm(&asking().http_answer(|calls| {
        calls.parameters("answer", 2).get(6, ":status").get_buffer(4, 0, 9).status_call()
    }));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    stream.answer(&call, Answer::CutOff);
    assert_reports(
        &stream.gone(),
        &[
            "http call 0 ",
            "answer 1: 4 ",
            "answer 2: 0 ",
            "get :status 2 ",
            "buffer 4 1 ",
            "status 0 reset",
        ],
    );
}

#[test]
fn an_answer_that_is_doubled_or_belongs_to_no_call_reaches_the_guest_only_by_force() {
    let vm = vm(&asking().http_answer(|calls| resuming(calls.parameters("answer", 1))));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    assert!(vm.answer(&call, Answer::http(200)));
    assert!(!vm.answer(&call, Answer::http(200)), "Envoy knows no such call any more");
    vm.misdeliver(Protocol::Http, call.token, Answer::http(403));
    vm.misdeliver(Protocol::Http, 96, Answer::http(403));
    let answers: Vec<String> =
        said(&vm).into_iter().filter(|line| line.starts_with("answer")).collect();
    assert_eq!(answers, ["answer 1: 4 ", "answer 1: 4 ", "answer 1: 96 "]);
    assert_eq!(stream.finish().step, Step::Continue, "going on twice is going on once");
}

#[test]
fn a_request_may_be_answered_from_its_callout() {
    let vm = vm(&asking()
        .http_answer(|calls| calls.effective(2).local_reply(403, "d", "no", b"", u32::MAX))
        .response_headers(|calls| calls.add(2, "x-seen", "1")));
    let mut stream = vm.stream(request().body("never sent"));
    stream.on_request_headers();
    stream.on_request_body();
    let call = stream.calls().remove(0);
    assert_eq!(stream.answer(&call, Answer::http(403)), Step::Replied);
    assert_eq!(stream.on_response(origin()), Step::Replied, "there is no origin to answer");
    let result = stream.finish();
    assert_eq!((result.to_origin.headers, result.to_origin.body), (None, Vec::new()));
    let reply = result.local_response.expect("a local response");
    assert_eq!((reply.status, reply.details.as_str(), &reply.body[..]), (403, "d", &b"no"[..]));
    assert_eq!(reply.headers.text("x-seen").as_deref(), Some("1"));
}

#[test]
fn a_stream_that_is_gone_ends_in_order_and_its_answer_finds_nobody() {
    let vm = vm(&asking()
        .http_answer(|calls| calls.effective(2).continue_stream(0).get(0, "x-a"))
        .log(|calls| calls.say("log"))
        .done(|calls| calls.say("done"))
        .delete(|calls| calls.say("delete")));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    let result = stream.gone();
    assert_eq!(result.step, Step::Paused);
    assert_reports(&result, &["http call 0 ", "log", "done", "delete"]);
    assert_eq!(vm.calls(), std::slice::from_ref(&call), "Envoy does not cancel it");
    assert!(vm.answer(&call, Answer::http(200)));
    assert_eq!(said(&vm)[4..], ["effective 2 ", "continue 0 0 ", "get x-a 2 "]);
}

#[test]
fn a_cluster_without_endpoints_fails_the_call_at_once() {
    let options = HostOptions { canary: false, ..HostOptions::default() };
    options.clusters.add_empty("authz");
    let probe = asking().http_answer(|calls| calls.say("answer"));
    let vm = Vm::new(&module(&probe), options).expect("it starts");
    assert!(vm.configure("").accepted);
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Paused);
    vm.advance(Duration::from_secs(1));
    assert_reports(&stream.gone(), &["http call 10 "]);
}

#[test]
fn a_call_can_be_made_to_fail_and_each_is_counted() {
    let vm = vm(&Probe::default().request_headers(|calls| {
        (0..3).fold(calls, |calls, _| calls.http_call_to("authz", CHECK, "", 0))
    }));
    vm.fail_calls([Failure::nth("proxy_http_call", 1, Status::InternalFailure)]);
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["http call 0 ", "http call 10 ", "http call 0 "]);
    assert_eq!(result.usage.calls_of("proxy_http_call"), 3);
    let tokens: Vec<u32> = vm.calls().iter().map(|call| call.token).collect();
    assert_eq!(tokens, [4, 8]);
}

#[test]
fn a_trap_in_an_answer_leaves_the_request_hanging_and_the_next_gets_503() {
    let vm = vm(&asking().http_answer(Calls::trap));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Paused);
    assert!(vm.failure().is_some_and(|why| why.contains("proxy_on_http_call_response")));
    let next = vm.stream(request()).run(origin());
    assert_eq!(next.local_response.map(|reply| reply.status), Some(503));
    assert_eq!(stream.gone().local_response, None);
}

#[test]
fn a_local_response_after_the_origins_has_begun_passes_no_callback_or_resets() {
    let reply = |calls: Calls| calls.local_reply(502, "", "bad", b"", u32::MAX);
    let result = run(Probe::default().response_headers(move |calls| reply(calls.say("headers"))));
    assert_eq!(reports(&result), ["headers", "local 0 "]);
    assert_eq!(result.local_response.map(|reply| reply.status), Some(502));
    let result = run(Probe::default().response_body(reply));
    assert_eq!(result.step, Step::Closed, "the client has the head of the other response");
    assert_eq!(
        result.to_client.headers.and_then(|headers| headers.text(":status")).as_deref(),
        Some("200")
    );
    assert!(!result.to_client.complete);
}
