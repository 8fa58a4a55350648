//! Tokens in the emulated host, where a test chooses when an answer comes.

use std::sync::LazyLock;
use std::time::Duration;

use e2e::envoy::filter_wasm;
use e2e::host::{
    Answer, Call, Failure, Host, HostOptions, LogLevel, MetricKind, Module, Protocol, Request,
    Response, Status, Step, Stream, StreamResult, Worker,
};
use e2e::pki::TEAM_A_SPIFFE_ID;
use egressctl::cases::audit_records;
use serde_json::Value;

use crate::policies::{CLUSTER, HOST, SECRET, fetching, token};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(filter_wasm()).unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

/// An Envoy with one worker and the cluster of the authorization server.
fn host() -> (Host, Worker) {
    let env = vec![(SECRET.0.to_owned(), SECRET.1.to_owned())];
    let options = HostOptions { canary: false, env, ..HostOptions::default() };
    let host = Host::new(&MODULE, options);
    host.clusters().add(CLUSTER);
    let worker = host.worker().expect("it starts");
    let configured = worker.configure(fetching("old").to_string());
    assert!(configured.accepted, "{:?}", configured.logs);
    (host, worker)
}

fn request() -> Request {
    Request::new("GET", HOST, "/zen")
        .property(&["xds", "filter_chain_name"], format!("inbound-vip|80|http|{HOST}").as_str())
        .peer_principal(TEAM_A_SPIFFE_ID)
        .header("authorization", "Bearer of-the-caller")
}

/// The one call that is pending.
fn pending(worker: &Worker) -> Call {
    let calls = worker.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().expect("one call")
}

fn good(name: &str, expires_in: u64) -> Answer {
    Answer::http(200).body(token(name, expires_in))
}

/// The headers that have reached the origin.
fn sent(stream: &Stream, name: &str) -> Option<String> {
    stream.to_origin().headers?.text(name)
}

fn record(result: &StreamResult) -> Value {
    let records = audit_records(result.logs.iter().map(|log| log.text.as_str()));
    records.into_iter().next().unwrap_or_default()
}

/// The status and body of a request that got no token.
fn refused(stream: Stream) -> (u16, String) {
    let result = stream.finish();
    let reply = result.local_response.as_ref().unwrap_or_else(|| panic!("{result:#?}"));
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}

/// The details of all records of requests that got no token. The emulated host attributes what is
/// logged while an answer is delivered to the stream that made the call.
fn details(worker: &Worker) -> Vec<String> {
    let logs = worker.vm().logs();
    let records = audit_records(logs.iter().map(|log| log.text.as_str()));
    let unavailable = records.iter().filter(|record| {
        record["reason"] == "credential-unavailable"
            && record["policy"] == "token"
            && record["verdict"] == "deny"
    });
    unavailable.filter_map(|record| Some(record["detail"].as_str()?.to_owned())).collect()
}

/// Has a request wait, and ends its fetch with a token.
fn fetch(worker: &Worker, name: &str, expires_in: u64) {
    let stream = worker.request(request());
    assert_eq!(stream.step(), Step::Paused);
    assert!(worker.answer(&pending(worker), good(name, expires_in)));
    assert_eq!(sent(&stream, "authorization"), Some(format!("Bearer {name}")));
}

#[test]
fn a_request_waits_for_its_token_and_keeps_what_was_changed_before() {
    let (_host, worker) = host();
    let mut stream =
        worker.request(request().body("abcdef").in_pieces_of(2).trailer("authorization", "evil"));
    assert_eq!(stream.step(), Step::Paused);
    assert_eq!(stream.to_origin().headers, None, "nothing has gone on");
    let call = pending(&worker);
    assert_eq!((call.protocol, &*call.cluster), (Protocol::Http, CLUSTER));
    assert_eq!(call.timeout, Some(Duration::from_secs(2)));
    assert_eq!(call.authority, "sts.auth.svc.cluster.local");
    assert_eq!(call.headers.text(":path").as_deref(), Some("/oauth2/token"));
    // base64 of `egress:hush-client-secret-1`.
    let basic = "Basic ZWdyZXNzOmh1c2gtY2xpZW50LXNlY3JldC0x";
    assert_eq!(call.headers.text("authorization").as_deref(), Some(basic));
    let body = String::from_utf8_lossy(&call.body);
    assert_eq!(body, "grant_type=client_credentials&scope=repo%3Aread");

    assert!(worker.answer(&call, good("one", 300)));
    assert_eq!(stream.step(), Step::Continue);
    assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer one"));
    assert_eq!(sent(&stream, "x-mark").as_deref(), Some("old"));
    let passed = stream.to_origin();
    assert_eq!((&passed.body[..], passed.complete), (&b"abcdef"[..], true));
    stream.on_response(Response::new(200));
    let result = stream.finish();
    assert_eq!(result.request_trailers.text("authorization"), None, "{result:#?}");
    assert_eq!(record(&result)["credentials"], serde_json::json!(["token"]));
}

#[test]
fn a_request_that_is_denied_fetches_nothing() {
    let (_host, worker) = host();
    let denied = Request::new("GET", HOST, "/denied")
        .property(&["xds", "filter_chain_name"], format!("inbound-vip|80|http|{HOST}").as_str())
        .peer_principal(TEAM_A_SPIFFE_ID);
    assert_eq!(worker.request(denied).step(), Step::Replied);
    assert!(worker.calls().is_empty());
}

#[test]
fn requests_that_come_meanwhile_wait_for_the_same_token() {
    let (_host, worker) = host();
    let first = worker.request(request());
    let others: Vec<Stream> = (0..5).map(|_| worker.request(request())).collect();
    // That the one which began it leaves does not end the fetch.
    let call = pending(&worker);
    assert_eq!(record(&first.gone())["reason"], "gone");
    assert!(worker.answer(&call, good("one", 300)));
    for stream in &others {
        assert_eq!(stream.step(), Step::Continue);
        assert_eq!(sent(stream, "authorization").as_deref(), Some("Bearer one"));
    }
    let later = worker.request(request());
    assert_eq!((later.step(), worker.calls().len()), (Step::Continue, 0));
}

#[test]
fn without_a_token_those_that_wait_get_500_and_later_ones_at_once_for_a_while() {
    type Fault = fn(&Host, &Worker);
    let faults: [(&str, Fault); 6] = [
        ("the token endpoint did not answer in time", |host, _| {
            host.advance(Duration::from_secs(2));
        }),
        ("the token endpoint's answer broke off", |_, worker| {
            assert!(worker.answer(&pending(worker), Answer::CutOff));
        }),
        ("the token endpoint refused", |_, worker| {
            assert!(worker.answer(&pending(worker), Answer::refused(Protocol::Http)));
        }),
        ("the token endpoint refused", |_, worker| {
            let answer = Answer::http(401).body(r#"{"error":"invalid_client"}"#);
            assert!(worker.answer(&pending(worker), answer));
        }),
        ("the token endpoint's answer has no usable token", |_, worker| {
            assert!(worker.answer(&pending(worker), Answer::http(200).body("<html>")));
        }),
        // A body over the limit is cut, and then is no JSON.
        ("the token endpoint's answer has no usable token", |_, worker| {
            let body = token(&"x".repeat(70_000), 300);
            assert!(worker.answer(&pending(worker), Answer::http(200).body(body)));
        }),
    ];
    for (detail, fault) in faults {
        let (host, worker) = host();
        let waiting = [worker.request(request()), worker.request(request())];
        fault(&host, &worker);
        let expected = (500, "backend authentication failed".to_owned());
        for stream in waiting {
            assert_eq!(stream.step(), Step::Replied, "{detail}");
            assert_eq!(refused(stream), expected);
        }
        let at_once = worker.request(request());
        assert_eq!((at_once.step(), worker.calls().len()), (Step::Replied, 0), "{detail}");
        assert_eq!(refused(at_once), expected);
        assert_eq!(details(&worker), [detail; 3]);
        host.advance(Duration::from_secs(1));
        fetch(&worker, "again", 300);
        assert_eq!(worker.vm().failure(), None, "{detail}");
    }
}

#[test]
fn a_cluster_that_is_missing_is_told_once_with_the_ways_to_get_one() {
    let (host, worker) = host();
    host.clusters().remove(CLUSTER);
    for _ in 0..3 {
        let stream = worker.request(request());
        assert_eq!(stream.step(), Step::Replied);
        assert_eq!(refused(stream).0, 500);
        host.advance(Duration::from_secs(40));
    }
    assert_eq!(details(&worker), ["the token endpoint cannot be called"; 3]);
    let logs = worker.vm().logs();
    let told = logs.iter().filter(|log| log.text.contains("extensionProviders"));
    let told: Vec<&str> = told.map(|log| log.text.as_str()).collect();
    let [line] = told[..] else { panic!("{told:?}") };
    assert!(line.contains("policy `token`") && line.contains(CLUSTER), "{line}");
    host.clusters().add(CLUSTER);
    fetch(&worker, "one", 300);
}

#[test]
fn a_token_is_renewed_in_the_background_before_it_expires() {
    let (host, worker) = host();
    fetch(&worker, "one", 300);
    host.advance(Duration::from_secs(239));
    let stream = worker.request(request());
    assert_eq!((stream.step(), worker.calls().len()), (Step::Continue, 0));
    host.advance(Duration::from_secs(2));
    for _ in 0..3 {
        let stream = worker.request(request());
        assert_eq!(stream.step(), Step::Continue, "it goes on with the old one");
        assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer one"));
        assert_eq!(worker.calls().len(), 1, "one fetch at a time");
    }
    assert!(worker.answer(&pending(&worker), good("two", 300)));
    let stream = worker.request(request());
    assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer two"));

    // A failed renewal is no failure as long as the old one is valid.
    host.advance(Duration::from_secs(270));
    assert_eq!(worker.request(request()).step(), Step::Continue);
    assert!(worker.answer(&pending(&worker), Answer::http(500)));
    let stream = worker.request(request());
    assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer two"));
    host.advance(Duration::from_secs(26));
    assert_eq!(worker.request(request()).step(), Step::Paused, "it has expired");
}

/// Any caller can have an origin answer 401. If that fetched tokens, a caller could have the
/// authorization server called for each of its requests.
#[test]
fn a_401_of_the_origin_is_the_callers_answer_and_nothing_else() {
    let (_host, worker) = host();
    fetch(&worker, "one", 300);
    let mut stream = worker.request(request());
    stream.on_response(Response::new(401));
    let result = stream.finish();
    assert_eq!(result.response_headers.and_then(|of| of.text(":status")).as_deref(), Some("401"));
    let next = worker.request(request());
    assert_eq!(sent(&next, "authorization").as_deref(), Some("Bearer one"));
    assert!(worker.calls().is_empty());
}

#[test]
fn a_request_gets_the_token_of_the_configuration_that_it_waited_under() {
    let (_host, worker) = host();
    let old = worker.request(request());
    let of_old = pending(&worker);
    assert!(worker.configure(fetching("new").to_string()).accepted);
    let new = worker.request(request());
    let calls = worker.calls();
    assert_eq!(calls.len(), 2, "each configuration has tokens of its own");
    let of_new = calls.into_iter().find(|call| call.token != of_old.token).expect("another");
    assert!(worker.answer(&of_new, good("new", 300)));
    assert_eq!((old.step(), new.step()), (Step::Paused, Step::Continue));
    assert!(worker.answer(&of_old, good("old", 300)));
    for (stream, mark) in [(&old, "old"), (&new, "new")] {
        assert_eq!(sent(stream, "x-mark").as_deref(), Some(mark));
        assert_eq!(sent(stream, "authorization"), Some(format!("Bearer {mark}")));
    }
}

#[test]
fn a_refused_configuration_leaves_fetches_and_tokens_as_they_are() {
    let (_host, worker) = host();
    let stream = worker.request(request());
    let call = pending(&worker);
    let mut broken = fetching("broken");
    broken["policies"][3]["backend"]["auth"]["oauthClientCredentials"]["clientSecretEnv"] =
        "NOT_THERE".into();
    let configured = worker.configure(broken.to_string());
    assert!(!configured.accepted);
    let said = |what: &str| configured.logs.iter().any(|log| log.text.contains(what));
    assert!(said("the waypoint has no environment variable `NOT_THERE`"), "{:?}", configured.logs);
    assert!(!said(SECRET.1));
    assert!(worker.answer(&call, good("one", 300)));
    assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer one"));
}

#[test]
fn each_worker_has_tokens_of_its_own() {
    let (host, first) = host();
    let second = host.worker().expect("it starts");
    assert!(second.configure(fetching("second").to_string()).accepted);
    fetch(&first, "one", 300);
    fetch(&second, "two", 300);
}

#[test]
fn a_vm_that_starts_again_fetches_again() {
    let (_host, worker) = host();
    fetch(&worker, "one", 300);
    worker.reload().expect("it starts again");
    fetch(&worker, "two", 300);
}

#[test]
fn answers_that_nobody_waits_for_are_counted() {
    let (host, worker) = host();
    let stream = worker.request(request());
    let call = pending(&worker);
    assert!(worker.answer(&call, good("one", 300)));
    worker.vm().misdeliver(Protocol::Http, call.token, good("evil", 300));
    assert_eq!(sent(&stream, "authorization").as_deref(), Some("Bearer one"));
    let next = worker.request(request());
    assert_eq!(sent(&next, "authorization").as_deref(), Some("Bearer one"));
    host.advance(Duration::from_secs(60));
    assert_eq!(host.shared().value(MetricKind::Counter, "egress_ignored_answers"), 1);
}

/// Whichever host call fails: no request goes on without its token, none hangs, nothing traps.
#[test]
fn a_host_call_that_fails_lets_nothing_through() {
    let healthy = {
        let (_host, worker) = host();
        let before = worker.vm().usage();
        let stream = worker.request(request());
        assert!(worker.answer(&pending(&worker), good("one", 300)));
        assert_eq!(stream.step(), Step::Continue);
        worker.vm().usage().since(&before)
    };
    let mut tried = 0;
    for (function, calls) in &healthy.calls {
        if matches!(function.as_str(), "proxy_log" | "proxy_set_property") {
            continue;
        }
        for number in 0..*calls {
            let (_host, worker) = host();
            let failure = Failure::nth(function, number, Status::InternalFailure);
            worker.vm().fail_calls([failure]);
            let stream = worker.request(request());
            if stream.step() == Step::Paused {
                let call = pending(&worker);
                assert!(worker.answer(&call, good("one", 300)));
            }
            let shown = format!("call {number} of {function}");
            assert_eq!(worker.vm().failure(), None, "{shown}");
            match stream.step() {
                Step::Replied => assert_eq!(stream.to_origin().headers, None, "{shown}"),
                Step::Continue => {
                    let value = sent(&stream, "authorization");
                    assert_eq!(value.as_deref(), Some("Bearer one"), "{shown}");
                }
                // The stream cannot be reached any more: it is held until its caller leaves.
                Step::Paused => assert_eq!(function, "proxy_set_effective_context", "{shown}"),
                step => panic!("{shown}: {step:?}"),
            }
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn nothing_that_is_logged_has_a_secret() {
    let (host, worker) = host();
    fetch(&worker, "hush-token", 1);
    host.advance(Duration::from_secs(5));
    let stream = worker.request(request());
    assert!(worker.answer(&pending(&worker), Answer::http(403).body("hush-token")));
    let result = stream.finish();
    let logs = worker.vm().logs();
    for log in logs.iter().chain(&result.logs) {
        assert!(!log.text.contains("hush"), "{}", log.text);
    }
    assert!(logs.iter().any(|log| log.level == LogLevel::Error));
}
