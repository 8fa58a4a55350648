//! Several workers, configurations that are replaced, and VMs that are made anew.

use proxy_wasm_host::{Answer, Host, HostOptions, MetricKind, Step};

use crate::callouts::CHECK;
use crate::calls::Calls;
use crate::probe::{Probe, module};
use crate::{origin, request, said};

fn host(probe: &Probe) -> Host {
    let host = Host::new(&module(probe), HostOptions { canary: false, ..HostOptions::default() });
    host.clusters().add("authz");
    host
}

#[test]
fn shared_data_is_written_as_its_number_of_comparison_says() {
    let host = host(&Probe::default().request_headers(|calls| {
        calls
            .set_data("k", "new", 77)
            .get_data("k")
            .set_data("k", "wrong", 77)
            .set_data("k", "right", 1)
            .set_data("k", "stale", 1)
            .set_data("k", "always", 0)
            .get_data("k")
    }));
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("").accepted);
    drop(worker.request(request()));
    assert_eq!(
        said(&worker.vm()),
        [
            "set k 0 ",
            "data k 0 new",
            "set k 8 ",
            "set k 0 ",
            "set k 8 ",
            "set k 0 ",
            "data k 0 always",
        ],
        "a key that is not there is created with any number"
    );
}

#[test]
fn workers_share_data_and_metrics_and_have_contexts_of_their_own() {
    let host = host(&Probe::default().request_headers(|calls| {
        calls.get_data("k").set_data("k", "v", 0).define(0, "seen", 0).increment(0, 1)
    }));
    let (one, two) = (host.worker().expect("it starts"), host.worker().expect("it starts"));
    assert!(host.configure("").iter().all(|configured| configured.accepted));
    let (first, second) = (one.request(request()), two.request(request()));
    assert_eq!((first.id(), second.id()), (2, 2), "each VM counts its contexts");
    assert_eq!(said(&one.vm())[0], "data k 1 ");
    assert_eq!(said(&two.vm())[0], "data k 0 v");
    assert_eq!(host.shared().value(MetricKind::Counter, "seen"), 2);
}

#[test]
fn an_answer_comes_to_the_worker_that_asked() {
    let host = host(&asking());
    let (one, two) = (host.worker().expect("it starts"), host.worker().expect("it starts"));
    assert!(host.configure("").iter().all(|configured| configured.accepted));
    let (first, mut second) = (one.request(request()), two.request(request()));
    let call = second.calls().remove(0);
    second.answer(&call, Answer::http(200));
    assert_eq!((first.step(), second.step()), (Step::Paused, Step::Continue));
}

/// Holds each request, the stream 2, until its call is answered.
fn asking() -> Probe {
    Probe::default()
        .pause()
        .request_headers(|calls| calls.http_call_to("authz", CHECK, "", 0))
        .http_answer(|calls| calls.effective(2).continue_stream(0))
}

#[test]
fn a_replaced_configuration_lives_until_the_last_stream_of_it_is_gone() {
    let ends = |calls: Calls| calls.say("delete");
    let host = host(&asking().delete(ends));
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("OLD").accepted);
    let mut stream = worker.request(request());
    let call = stream.calls().remove(0);
    assert!(worker.configure("NEW").accepted);
    assert_eq!(said(&worker.vm()), ["http call 0 "], "the old root context is still there");
    assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue, "and gets its answers");
    stream.on_response(origin());
    drop(stream.finish());
    let deleted: Vec<u32> = worker
        .vm()
        .logs()
        .iter()
        .filter(|log| log.text == "delete")
        .map(|log| log.context)
        .collect();
    assert_eq!(deleted, [2, 1], "the stream, then its root context");
}

#[test]
fn the_calls_of_a_root_context_are_cancelled_with_it() {
    let host = host(&asking());
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("OLD").accepted);
    let stream = worker.request(request());
    let call = stream.calls().remove(0);
    drop(stream.gone());
    assert!(worker.configure("NEW").accepted);
    assert_eq!(worker.calls(), []);
    assert!(!worker.answer(&call, Answer::http(200)));
}

#[test]
fn a_vm_that_trapped_is_made_anew_with_the_configuration_in_force() {
    let host = host(
        &Probe::default()
            .configure(|calls| calls.get_buffer(7, 0, 9))
            .request_headers(|calls| calls.get_data("k").set_data("k", "v", 0).trap()),
    );
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("CONFIG").accepted);
    let trapped = worker.request(request());
    assert_eq!(trapped.step(), Step::Replied);
    assert!(worker.vm().failure().is_some());
    worker.reload().expect("it starts again");
    assert!(worker.vm().failure().is_none());
    let again = worker.request(request());
    assert_eq!(again.step(), Step::Replied);
    assert_eq!(said(&worker.vm())[..2], ["buffer 7 0 CONFIG", "data k 0 v"], "the data live on");
    let result = trapped.finish();
    assert_eq!(result.local_response.map(|reply| reply.status), Some(503));
}

#[test]
fn a_cluster_may_come_and_go() {
    let host = host(&asking());
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("").accepted);
    host.clusters().remove("authz");
    drop(worker.request(request()));
    host.clusters().add("authz");
    drop(worker.request(request()));
    assert_eq!(said(&worker.vm()), ["http call 2 ", "http call 0 "]);
}
