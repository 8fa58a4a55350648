//! In the emulated host, where a test chooses when an answer comes.

use std::sync::LazyLock;
use std::time::Duration;

use e2e::envoy::trapping_wasm;
use e2e::host::{
    Answer, Call, Failure, Host, HostOptions, MetricKind, Module, Protocol, Request, Response,
    Status, Step, Stream, StreamResult, Worker,
};
use e2e::pki::TEAM_A_SPIFFE_ID;

use crate::policies::{TIMEOUT, asking};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(trapping_wasm()).unwrap_or_else(|error| panic!("{error}; `make build-trapping`"))
});

const CLUSTER: &str = "outbound|8080||probe.default.svc.cluster.local";

/// An Envoy with one worker and the cluster of the service.
fn host(fail_open: bool) -> (Host, Worker) {
    let host = Host::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() });
    host.clusters().add(CLUSTER);
    let worker = host.worker().expect("it starts");
    let configured = worker.configure(configuration(fail_open, "audited"));
    assert!(configured.accepted, "{:?}", configured.logs);
    (host, worker)
}

fn configuration(fail_open: bool, mark: &str) -> String {
    asking(CLUSTER, TIMEOUT, fail_open, mark)
}

fn request(path: &str) -> Request {
    Request::new("GET", "api.github.com", path)
        .header("x-probe", "/check")
        .peer_principal(TEAM_A_SPIFFE_ID)
}

/// The call of a request that is held because of it.
fn held(stream: &Stream) -> Call {
    assert_eq!(stream.step(), Step::Paused);
    assert_eq!(stream.to_origin().headers, None, "nothing has gone on");
    let calls = stream.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().expect("one call")
}

/// The status of the filter's own response, and the record's reason.
fn refused(result: &StreamResult) -> (u16, String) {
    let reply = result.local_response.as_ref().unwrap_or_else(|| panic!("{result:#?}"));
    (reply.status, reason(result))
}

/// The reason in the record of a request, empty where there is no record.
fn reason(result: &StreamResult) -> String {
    let mut records = result.logs.iter().filter_map(|log| {
        let record = log.text.get(log.text.find('{')?..)?;
        serde_json::from_str::<serde_json::Value>(record).ok()
    });
    let reason = records.find_map(|record| Some(record["reason"].as_str()?.to_owned()));
    reason.unwrap_or_default()
}

fn mark(stream: &Stream) -> Option<String> {
    stream.to_origin().headers?.text("x-mark")
}

fn ignored(host: &Host) -> u64 {
    host.shared().value(MetricKind::Counter, "egress_ignored_answers")
}

#[test]
fn a_request_goes_on_when_its_answer_comes_at_once_or_late() {
    for wait in [Duration::ZERO, TIMEOUT * 3 / 4] {
        let (host, worker) = host(false);
        host.clusters().serve(CLUSTER, move |call| {
            assert_eq!(call.headers.text(":path").as_deref(), Some("/check"));
            assert_eq!(call.headers.text("x-caller").as_deref(), Some(TEAM_A_SPIFFE_ID));
            assert_eq!((call.protocol, call.timeout), (Protocol::Http, Some(TIMEOUT)));
            Some((wait, Answer::http(200)))
        });
        let mut stream = worker.request(request("/zen").body("abcdef").in_pieces_of(2));
        if !wait.is_zero() {
            held(&stream);
        }
        host.advance(wait);
        assert_eq!(stream.step(), Step::Continue);
        assert_eq!(mark(&stream).as_deref(), Some("audited"));
        let sent = stream.to_origin();
        assert_eq!((&sent.body[..], sent.complete), (&b"abcdef"[..], true));
        stream.on_response(Response::new(200));
        let result = stream.finish();
        assert_eq!((result.local_response, result.failure), (None, None));
    }
}

#[test]
fn a_request_that_is_denied_or_asks_for_nothing_makes_no_call() {
    let (_host, worker) = host(false);
    let denied = worker.request(request("/denied"));
    assert_eq!(denied.step(), Step::Replied);
    assert_eq!(denied.finish().usage.calls_of("proxy_http_call"), 0);
    let plain = Request::new("GET", "api.github.com", "/zen").peer_principal(TEAM_A_SPIFFE_ID);
    assert_eq!(worker.request(plain).finish().usage.calls_of("proxy_http_call"), 0);
}

#[test]
fn a_refusal_of_the_service_is_the_callers_answer() {
    let (_host, worker) = host(false);
    let mut stream = worker.request(request("/zen"));
    let call = held(&stream);
    assert_eq!(stream.answer(&call, Answer::http(418).body("short")), Step::Replied);
    let result = stream.finish();
    assert_eq!(result.to_origin.headers, None);
    let reply = result.local_response.expect("a response of the filter's");
    assert_eq!((reply.status, &reply.body[..]), (418, &b"short"[..]));
}

#[test]
fn without_an_answer_the_failure_mode_decides() {
    type Fault = fn(&Host, &Worker, &mut Stream);
    let faults: [(&str, Fault); 6] = [
        ("never", |host, _, _| host.advance(TIMEOUT)),
        ("cut off", |_, worker, stream| {
            assert!(worker.answer(&held(stream), Answer::CutOff));
        }),
        ("refused", |_, worker, stream| {
            assert!(worker.answer(&held(stream), Answer::refused(Protocol::Http)));
        }),
        ("closed", |_, worker, stream| {
            assert!(worker.answer(&held(stream), Answer::closed()));
        }),
        ("malformed", |_, worker, stream| {
            assert!(worker.answer(&held(stream), Answer::malformed()));
        }),
        ("an error", |_, worker, stream| {
            assert!(worker.answer(&held(stream), Answer::http(500)));
        }),
    ];
    for (what, fault) in faults {
        for fail_open in [false, true] {
            let (host, worker) = host(fail_open);
            let mut stream = worker.request(request("/zen"));
            held(&stream);
            fault(&host, &worker, &mut stream);
            if fail_open {
                assert_eq!(stream.step(), Step::Continue, "{what}");
                assert_eq!(mark(&stream).as_deref(), Some("audited"), "{what}");
            } else {
                assert_eq!(stream.step(), Step::Replied, "{what}");
                let (status, reason) = refused(&stream.finish());
                assert!(status >= 400, "{what}: {status}");
                assert_eq!(reason, "no-answer", "{what}");
            }
            assert_eq!(worker.vm().failure(), None, "{what}");
        }
    }
}

#[test]
fn a_call_that_cannot_be_made_is_one_without_an_answer() {
    for breaking in [
        (|host: &Host, _: &Worker| host.clusters().remove(CLUSTER)) as fn(&Host, &Worker),
        |host, _| host.clusters().add_empty(CLUSTER),
        |_, worker| {
            let failure = Failure::always("proxy_http_call", Status::InternalFailure);
            worker.vm().fail_calls([failure]);
        },
    ] {
        let (host, worker) = host(false);
        breaking(&host, &worker);
        let stream = worker.request(request("/zen"));
        assert_eq!(stream.step(), Step::Replied);
        let result = stream.finish();
        assert_eq!(refused(&result).1, "no-answer", "{result:#?}");
    }
}

/// Envoy has the last word on whether a held request goes on.
#[test]
fn a_request_that_cannot_go_on_is_refused_and_not_recorded_as_allowed() {
    let (_host, worker) = host(true);
    let failure = Failure::always("proxy_continue_stream", Status::InternalFailure);
    worker.vm().fail_calls([failure]);
    let stream = worker.request(request("/zen"));
    let call = held(&stream);
    assert!(worker.answer(&call, Answer::http(200)));
    assert_eq!(stream.step(), Step::Replied);
    assert_eq!(stream.to_origin().headers, None, "nothing has gone on");
    assert_eq!(refused(&stream.finish()), (403, "internal-error".to_owned()));
}

/// A held request is let go on by a call of the filter's, whichever of its steps lets it.
#[test]
fn a_request_whose_second_call_cannot_be_made_ends_by_the_failure_mode() {
    for fail_open in [false, true] {
        let (host, worker) = host(fail_open);
        let mut stream = worker.request(request("/zen"));
        let call = held(&stream);
        assert_eq!(stream.answer(&call, Answer::http(202)), Step::Paused);
        let again = held(&stream);
        assert_eq!(again.headers.text(":path").as_deref(), Some("/again"));
        host.clusters().remove(CLUSTER);
        let step = stream.answer(&again, Answer::http(202));
        if fail_open {
            assert_eq!(step, Step::Continue);
            assert_eq!(mark(&stream).as_deref(), Some("audited"));
            stream.on_response(Response::new(200));
            assert_eq!(stream.finish().local_response, None);
        } else {
            assert_eq!(step, Step::Replied);
            assert_eq!(refused(&stream.finish()).1, "no-answer");
        }
    }
}

/// Parts of an answer that the host does not hand over are no empty parts.
#[test]
fn an_answer_that_cannot_be_read_whole_is_no_answer() {
    for failure in [
        Failure::nth("proxy_get_buffer_bytes", 0, Status::NotFound),
        Failure::nth("proxy_get_buffer_bytes", 0, Status::InternalFailure),
        Failure::nth("proxy_get_header_map_pairs", 0, Status::NotFound),
        // It says that all is well, and writes nothing.
        Failure::nth("proxy_get_header_map_pairs", 0, Status::Ok),
    ] {
        let (_host, worker) = host(false);
        let mut stream = worker.request(request("/zen"));
        let call = held(&stream);
        worker.vm().fail_calls([failure.clone()]);
        let step = stream.answer(&call, Answer::http(200).body("fine"));
        assert_eq!(step, Step::Replied, "{failure:?}");
        assert_eq!(refused(&stream.finish()).1, "no-answer", "{failure:?}");
    }
}

/// Envoy refuses a call whose timeout is below zero as it reads the number, which a long one would
/// be.
#[test]
fn a_call_takes_no_longer_than_all_calls_may_together() {
    let (_host, worker) = host(false);
    for (asked, taken) in [(u64::MAX, 1_000), (2_147_483_648, 1_000), (7, 7)] {
        let configuration = asking(CLUSTER, Duration::from_millis(asked), false, "audited");
        assert!(worker.configure(configuration).accepted);
        let call = held(&worker.request(request("/zen")));
        assert_eq!(call.timeout, Some(Duration::from_millis(taken)), "{asked}");
    }
}

/// It counts as any other refusal does.
#[test]
fn a_configuration_that_cannot_be_read_is_counted() {
    let (host, worker) = host(false);
    let failure = Failure::always("proxy_get_buffer_bytes", Status::InternalFailure);
    worker.vm().fail_calls([failure]);
    let configured = worker.configure(configuration(false, "new"));
    assert!(!configured.accepted);
    let counter = host.shared().value(MetricKind::Counter, "egress_config_refused_update");
    assert_eq!(counter, 1, "{:?}", configured.logs);
}

#[test]
fn answers_that_nobody_waits_for_are_counted_and_change_nothing() {
    let (host, worker) = host(false);
    let mut stream = worker.request(request("/zen"));
    let call = held(&stream);
    let gone = worker.request(request("/zen"));
    let late = held(&gone);
    let result = gone.gone();
    assert_eq!((&result.failure, &*reason(&result)), (&None, "gone"));
    assert!(worker.answer(&late, Answer::http(200)));
    worker.vm().misdeliver(Protocol::Http, 4_000, Answer::http(200));
    assert_eq!(stream.step(), Step::Paused);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue);
    worker.vm().misdeliver(Protocol::Http, call.token, Answer::http(403));
    assert_eq!(stream.step(), Step::Continue);
    stream.on_response(Response::new(200));
    assert_eq!(stream.finish().local_response, None);
    host.advance(Duration::from_secs(60));
    assert_eq!(ignored(&host), 3);
    assert_eq!(worker.vm().failure(), None);
}

#[test]
fn a_request_ends_under_the_configuration_that_it_waited_under() {
    let (_host, worker) = host(false);
    let mut stream = worker.request(request("/zen"));
    let call = held(&stream);
    assert!(worker.configure(configuration(false, "new")).accepted);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue);
    assert_eq!(mark(&stream).as_deref(), Some("audited"));
    let mut next = worker.request(request("/zen"));
    let call = held(&next);
    next.answer(&call, Answer::http(200));
    assert_eq!(mark(&next).as_deref(), Some("new"));
}

#[test]
fn a_request_that_is_held_when_its_vm_dies_never_goes_on_and_later_ones_are_asked_about() {
    let (_host, worker) = host(false);
    let waiting = worker.request(request("/zen"));
    let call = held(&waiting);
    let trap = request("/zen").header("x-trap-for-tests", "request");
    assert_eq!(refused(&worker.request(trap).finish()).0, 503);
    assert!(worker.vm().failure().is_some());
    worker.answer(&call, Answer::http(200));
    let result = waiting.gone();
    assert_eq!((result.step, &result.to_origin.headers), (Step::Paused, &None));
    assert_eq!(reason(&result), "", "its VM cannot tell");
    worker.reload().expect("it starts again");
    let mut stream = worker.request(request("/zen"));
    let call = held(&stream);
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue);
}

#[test]
fn each_worker_waits_for_its_own_answers() {
    let (host, first) = host(false);
    let second = host.worker().expect("it starts");
    assert!(second.configure(configuration(false, "second")).accepted);
    let (mut one, mut two) = (first.request(request("/zen")), second.request(request("/zen")));
    let (of_one, of_two) = (held(&one), held(&two));
    assert_eq!(of_one.token, of_two.token, "each VM numbers its calls");
    assert_eq!(two.answer(&of_two, Answer::http(200)), Step::Continue);
    held(&one);
    assert_eq!(one.answer(&of_one, Answer::http(200)), Step::Continue);
}
