//! Bodies in pieces, and what a filter holds of a message.

use proxy_wasm_host::{Answer, HostOptions, Request, Response, Step, Vm};

use crate::callouts::{CHECK, vm};
use crate::calls::Calls;
use crate::probe::{Probe, module};
use crate::{assert_reports, origin, request, said};

const HEADERS: &str = "proxy_on_request_headers";
const BODY: &str = "proxy_on_request_body";

fn shown(calls: Calls) -> Calls {
    calls.parameters("body", 2).get_buffer(0, 0, 99)
}

fn with(probe: &Probe, options: HostOptions) -> Vm {
    options.clusters.add("authz");
    let vm = Vm::new(&module(probe), HostOptions { canary: false, ..options }).expect("it starts");
    assert!(vm.configure("").accepted);
    vm
}

#[test]
fn a_body_comes_in_its_pieces_and_the_last_says_so() {
    let vm = vm(&Probe::default().request_body(shown));
    let result = vm.stream(request().body("abcde").in_pieces_of(2)).run(origin());
    let piece = |size: u32, end: u32, text: &str| {
        [format!("body 1: {size} "), format!("body 2: {end} "), format!("buffer 0 0 {text}")]
    };
    let expected = [piece(2, 0, "ab"), piece(2, 0, "cd"), piece(1, 1, "e")].concat();
    assert_eq!(said(&vm), expected);
    assert_eq!((&result.to_origin.body[..], result.to_origin.complete), (&b"abcde"[..], true));
}

#[test]
fn trailers_end_the_message_in_place_of_the_body() {
    let vm = vm(&Probe::default()
        .request_body(|calls| calls.parameters("body", 2))
        .request_trailers(|calls| calls.parameters("trailers", 1)));
    let result = vm.stream(request().body("ab").trailer("x-t", "1")).run(origin());
    assert_reports(&result, &["body 1: 2 ", "body 2: 0 ", "trailers 1: 1 "]);
    assert!(result.to_origin.complete && result.to_origin.trailers.is_some());
}

#[test]
fn a_body_that_is_held_is_shown_whole_and_once_more_at_its_end() {
    let vm = vm(&Probe::default().request_body(shown).returns(BODY, 1));
    let mut stream = vm.stream(request().more_to_come());
    assert_eq!(stream.on_request_headers(), Step::Continue);
    assert_eq!(stream.on_request_piece("ab", false), Step::Paused);
    stream.on_request_piece("cd", false);
    stream.on_request_piece("", true);
    let whole: Vec<String> =
        said(&vm).into_iter().filter(|line| line.starts_with("buffer")).collect();
    assert_eq!(whole, ["buffer 0 0 ab", "buffer 0 0 abcd", "buffer 0 0 abcd"]);
    let sent = stream.to_origin();
    assert!(sent.headers.is_some(), "the origin has the head before the body was judged");
    assert_eq!((sent.body, sent.complete), (Vec::new(), false));
}

#[test]
fn a_body_that_is_not_kept_is_lost_and_one_under_flow_control_is_shown_by_pieces() {
    for (answer, sent) in [(3, "cd"), (2, "abcd")] {
        let code = |calls: Calls| calls.get_buffer(0, 0, 99).ends_at_end();
        let vm = vm(&Probe::default().request_body(code).returns(BODY, answer));
        let mut stream = vm.stream(request().more_to_come());
        stream.on_request_headers();
        assert_eq!(stream.on_request_piece("ab", false), Step::Paused);
        assert_eq!(stream.on_request_piece("cd", true), Step::Continue);
        assert_eq!(said(&vm), ["buffer 0 0 ab", "buffer 0 0 cd"]);
        assert_eq!(stream.to_origin().body, sent.as_bytes(), "{answer}");
    }
}

#[test]
fn while_a_request_is_held_its_body_and_trailers_wait_and_then_come_in_one_piece() {
    let vm = vm(&Probe::default()
        .pause()
        .request_headers(|calls| calls.http_call_to("authz", CHECK, "", 0))
        .http_answer(|calls| calls.effective(2).continue_stream(0))
        .request_body(shown)
        .request_trailers(|calls| calls.say("trailers")));
    let mut stream = vm.stream(request().body("abcd").in_pieces_of(2).trailer("x-t", "1"));
    stream.on_request_headers();
    stream.on_request_body();
    assert_eq!(stream.on_request_trailers(), Step::Paused);
    assert_eq!(said(&vm), ["http call 0 "]);
    let call = stream.calls().remove(0);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue);
    assert_eq!(
        said(&vm)[3..],
        ["body 1: 4 ", "body 2: 0 ", "buffer 0 0 abcd", "trailers"],
        "after the callback of the answer"
    );
}

#[test]
fn with_the_knob_a_pause_at_headers_lets_the_body_come_and_the_head_wait() {
    let options = HostOptions { allow_on_headers_stop_iteration: true, ..HostOptions::default() };
    let vm = with(
        &Probe::default()
            .request_headers(|calls| calls.say("headers"))
            .returns(HEADERS, 1)
            .request_body(|calls| calls.replace(0, "x-body", "seen").ends_at_end())
            .returns(BODY, 1),
        options,
    );
    let mut stream = vm.stream(request().body("abcd").in_pieces_of(2));
    assert_eq!(stream.on_request_headers(), Step::Paused);
    assert_eq!(stream.to_origin().headers, None);
    assert_eq!(stream.on_request_body(), Step::Continue);
    let sent = stream.to_origin();
    assert_eq!(sent.headers.and_then(|headers| headers.text("x-body")).as_deref(), Some("seen"));
    assert_eq!((&sent.body[..], sent.complete), (&b"abcd"[..], true));
    let hangs = vm.stream(request()).run(origin());
    assert_eq!(hangs.step, Step::Paused, "a request without a body has no further callback");
}

#[test]
fn without_the_knob_a_pause_at_headers_waits_for_ever() {
    let vm = vm(&Probe::default().pause().request_headers(|calls| calls).request_body(shown));
    let result = vm.stream(request().body("abcd")).run(origin());
    assert_eq!((result.step, result.to_origin.headers), (Step::Paused, None));
    assert!(result.logs.is_empty(), "no body callback comes");
}

#[test]
fn a_held_body_over_the_limit_is_413() {
    let options = HostOptions { buffer_limit: 3, ..HostOptions::default() };
    let vm = with(&Probe::default().request_body(|calls| calls).returns(BODY, 1), options);
    let result = vm.stream(request().body("abcdef").in_pieces_of(2)).run(origin());
    let reply = result.local_response.expect("a reply of Envoy's");
    assert_eq!(
        (reply.status, reply.details.as_str(), &reply.body[..]),
        (413, "request_payload_too_large", &b"Payload Too Large"[..])
    );
    let passes = with(
        &Probe::default().request_body(|calls| calls),
        HostOptions { buffer_limit: 3, ..HostOptions::default() },
    );
    let result = passes.stream(request().body("abcdef").in_pieces_of(2)).run(origin());
    assert_eq!(result.local_response, None, "what is not held has no limit");
}

#[test]
fn a_buffer_can_be_replaced_whole_and_added_to_at_its_ends() {
    let vm = vm(&Probe::default()
        .request_headers(|calls| calls.set_buffer(0, 0, 0, "early"))
        .request_body(|calls| {
            calls
                .set_buffer(0, 0, 3, "x")
                .set_buffer(0, 2, 1, "x")
                .set_buffer(0, 0, 4, "new")
                .set_buffer(0, 3, 0, ">")
                .set_buffer(0, 0, 0, "<")
                .set_buffer(4, 0, 0, "x")
                .set_buffer(9, 0, 0, "x")
                .get_buffer(0, 0, 99)
        }));
    let result = vm.stream(request().body("body")).run(origin());
    assert_reports(
        &result,
        &[
            "set buffer 0 2 ",
            "set buffer 0 2 ",
            "set buffer 0 2 ",
            "set buffer 0 0 ",
            "set buffer 0 0 ",
            "set buffer 0 0 ",
            "set buffer 4 1 ",
            "set buffer 9 2 ",
            "buffer 0 0 <new>",
        ],
    );
    assert_eq!(result.to_origin.body, b"<new>");
}

#[test]
fn responses_are_the_same_mirrored() {
    let hold = Probe::default()
        .response_headers(|calls| calls.say("headers"))
        .returns("proxy_on_response_headers", 1)
        .response_body(|calls| {
            calls.parameters("body", 2).local_reply(502, "", "bad", b"", u32::MAX)
        });
    let held = vm(&hold).stream(request()).run(origin());
    assert_eq!((held.step, held.to_client.headers), (Step::Paused, None), "it hangs");
    let options = HostOptions { allow_on_headers_stop_iteration: true, ..HostOptions::default() };
    let replaced = with(&hold, options).stream(request()).run(origin());
    assert_reports(&replaced, &["headers", "body 1: 5 ", "body 2: 1 ", "local 0 "]);
    assert_eq!(
        replaced.to_client.headers.and_then(|headers| headers.text(":status")).as_deref(),
        Some("502")
    );
    let vm = vm(&Probe::default().response_body(|calls| calls.parameters("body", 2)));
    let mut stream = vm.stream(Request::new("GET", "h", "/"));
    stream.on_request_headers();
    stream.on_response(Response::new(200).body("ab").more_to_come());
    assert!(!stream.to_client().complete);
    stream.on_response_piece("cd", true);
    assert_eq!((&stream.to_client().body[..], stream.to_client().complete), (&b"abcd"[..], true));
}

#[test]
fn an_origin_answers_only_what_it_has_received() {
    let vm = vm(&Probe::default().pause().request_headers(|calls| calls));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    assert_eq!(stream.on_response(origin()), Step::Paused);
    assert_eq!(stream.finish().response_headers, None);
}
