//! Unary gRPC calls out of the proxy.

use std::time::Duration;

use proxy_wasm_host::{Answer, HostOptions, Protocol, Step, Vm};

use crate::callouts::{CHECK, vm};
use crate::calls::Calls;
use crate::probe::{Probe, module};
use crate::{assert_reports, request, said};

/// `GrpcService{envoy_grpc{cluster_name, authority}}`, serialised.
fn service(cluster: &str, authority: &str) -> Vec<u8> {
    let text = |field: u8, text: &str| [&[field, text.len() as u8], text.as_bytes()].concat();
    let inner = [text(0x0a, cluster), text(0x12, authority)].concat();
    [&[0x0a, inner.len() as u8], inner.as_slice()].concat()
}

fn asking() -> Probe {
    let target = service("authz", "authz.local");
    Probe::default().pause().request_headers(move |calls| calls.grpc_call_to(&target, "ask", 200))
}

fn resuming(calls: Calls) -> Calls {
    calls.effective(2).continue_stream(0)
}

#[test]
fn a_service_is_named_by_its_cluster_or_by_a_message() {
    let target = service("authz", "authz.local");
    let vm = vm(&Probe::default().pause().request_headers(move |calls| {
        calls
            .grpc_call_to(b"authz", "1", 0)
            .grpc_call_to(&target, "2", 200)
            .http_call_to("authz", CHECK, "", 0)
    }));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let calls = vm.calls();
    let shown: Vec<(u32, &str, &str)> =
        calls.iter().map(|call| (call.token, &*call.cluster, &*call.authority)).collect();
    assert_eq!(
        shown,
        [(4, "authz", "authz.local"), (5, "authz", "authz"), (9, "authz", "authz.local")],
        "the two kinds of tokens do not meet"
    );
    let grpc = &calls[2];
    assert_eq!(
        (grpc.protocol, &*grpc.service, &*grpc.method),
        (Protocol::Grpc, "envoy.service.auth.v3.Authorization", "Check")
    );
    assert_eq!((&grpc.body[..], grpc.headers.text("x-meta").as_deref()), (&b"2"[..], Some("1")));
}

#[test]
fn an_unknown_cluster_fails_by_name_at_once_and_in_a_message_twice() {
    let probe = Probe::default()
        .request_headers(|calls| {
            calls.grpc_call_to(b"nosuch", "", 0).grpc_call_to(&service("nosuch", "a"), "", 0)
        })
        .grpc_end(|calls| calls.parameters("end", 2).status_call());
    let vm = vm(&probe);
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let expected = [
        "grpc call 4 ",
        "grpc call 10 ",
        "end 1: 5 ",
        "end 2: 14 ",
        "status 0 Cluster not available",
    ];
    assert_eq!(said(&vm), expected, "the token in the callback was never given to the guest");
    assert_eq!(vm.calls(), []);
}

#[test]
fn a_message_comes_without_an_end_and_can_be_read_only_then() {
    let vm = vm(&asking()
        .request_headers(|calls| calls.get_buffer(5, 0, 99))
        .grpc_answer(|calls| resuming(calls.parameters("answer", 2).get_buffer(5, 0, 99)))
        .grpc_end(|calls| calls.say("end")));
    let mut stream = vm.stream(request());
    stream.on_request_headers();
    let call = stream.calls().remove(0);
    assert_eq!(stream.answer(&call, Answer::grpc("yes")), Step::Continue);
    assert_reports(
        &stream.finish(),
        &[
            "grpc call 0 ",
            "buffer 5 0 ",
            "answer 1: 5 ",
            "answer 2: 3 ",
            "buffer 5 0 yes",
            "effective 0 ",
            "continue 0 0 ",
        ],
    );
}

#[test]
fn a_call_that_fails_ends_with_its_status() {
    let unavailable = |text: &str| vec!["end 14 ".to_owned(), format!("status 0 {text}")];
    let answers: [(Option<Answer>, Vec<String>); 4] = [
        (
            Some(Answer::GrpcStatus { code: 7, message: "denied".to_owned() }),
            vec!["end 7 ".to_owned(), "status 0 denied".to_owned()],
        ),
        (Some(Answer::CutOff), vec!["end 13 ".to_owned(), "status 0 ".to_owned()]),
        (
            Some(Answer::refused(Protocol::Grpc)),
            unavailable(
                "upstream connect error or disconnect/reset before headers. \
                 reset reason: remote connection failure",
            ),
        ),
        (None, unavailable("upstream request timeout")),
    ];
    for (answer, expected) in answers {
        let vm = vm(&asking().grpc_end(|calls| calls.parameters("end", 2).status_call()));
        let mut stream = vm.stream(request());
        stream.on_request_headers();
        let call = stream.calls().remove(0);
        match answer {
            Some(answer) => drop(stream.answer(&call, answer)),
            None => vm.advance(Duration::from_millis(200)),
        }
        let mut seen = said(&vm).split_off(2);
        seen[0] = seen[0].replace("end 2:", "end");
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_cancelled_or_closed_call_gets_no_answer() {
    for close in [false, true] {
        let end = |calls: Calls, token| {
            if close { calls.grpc_close(token) } else { calls.grpc_cancel(token) }
        };
        let vm = vm(&asking()
            .request_headers(|calls| end(end(end(end(calls, 5), 5), 4), 6))
            .grpc_answer(|calls| calls.say("answer")));
        let mut stream = vm.stream(request());
        stream.on_request_headers();
        assert_eq!(vm.calls(), []);
        vm.advance(Duration::from_secs(1));
        let label = if close { "grpc close" } else { "cancel" };
        let expected = [(0, ""), (1, ""), (2, ""), (1, "")];
        let mut lines = vec!["grpc call 0 ".to_owned()];
        lines.extend(expected.map(|(status, _)| format!("{label} {status} ")));
        assert_eq!(said(&vm), lines, "a second time, a token of HTTP, one of a stream");
    }
}

#[test]
fn streams_of_grpc_are_not_offered() {
    let vm = vm(&Probe::default().request_headers(|calls| {
        calls.grpc_stream("nosuch").grpc_stream("authz").grpc_send(6).grpc_send(5)
    }));
    vm.stream(request()).on_request_headers();
    assert_eq!(said(&vm), ["grpc stream 4 ", "grpc stream 10 ", "grpc send 1 ", "grpc send 2 "]);
}

#[test]
fn a_service_without_endpoints_ends_the_call_twice() {
    let options = HostOptions { canary: false, ..HostOptions::default() };
    options.clusters.add_empty("authz");
    let probe = asking().grpc_end(|calls| calls.parameters("end", 2));
    let vm = Vm::new(&module(&probe), options).expect("it starts");
    assert!(vm.configure("").accepted);
    vm.stream(request()).on_request_headers();
    assert_eq!(said(&vm), ["grpc call 10 ", "end 1: 5 ", "end 2: 14 "]);
}
