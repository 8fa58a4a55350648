//! In the emulated host, which shows each piece of a body, and counts.

use std::sync::LazyLock;

use e2e::envoy::{bodies_wasm, filter_wasm};
use e2e::host::{Host, HostOptions, Module, Request, Response, Step, StreamResult, Worker};
use e2e::pki::TEAM_A_SPIFFE_ID;
use serde_json::{Value, json};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(bodies_wasm()).unwrap_or_else(|error| panic!("{error}; `make build-bodies`"))
});
static SHIPPED: LazyLock<Module> =
    LazyLock::new(|| Module::load(filter_wasm()).unwrap_or_else(|error| panic!("{error}")));

/// `bodies.maxSize`, where it is left out.
const LIMIT: usize = 64 * 1024;

fn policies() -> Value {
    let rule = |action: &str, expression: &str| json!({"action": action, "policy": {"matchExpressions": [expression]}});
    json!({"policies": [
        {"name": "guarded", "hosts": ["api.github.com"], "traffic": {
            "authorization": rule("Deny", r#"string(request.body).contains("secret")"#),
            "transformation": {"request": {
                "set": [{"name": "x-mark", "value": "\"marked\""}], "remove": ["x-internal"],
            }},
        }},
        {"name": "plain", "hosts": ["plain.example"], "traffic": {
            "authorization": rule("Allow", r#"source.identity.namespace == "team-a""#),
            "transformation": {"request": {"set": [{"name": "x-mark", "value": "\"marked\""}]}},
        }},
        {"name": "rewritten", "hosts": ["rewritten.example"], "traffic": {"transformation": {
            "request": {"body": r#"{"was": json(request.body), "by": source.identity.namespace}"#},
            "response": {"body": r#"string(response.body).replace("secret", "***")"#},
        }}},
    ], "audit": {"log": "All"}})
}

fn worker_of(module: &Module, configuration: &Value) -> Worker {
    let host = Host::new(module, HostOptions { canary: false, ..HostOptions::default() });
    let worker = host.worker().expect("it starts");
    let configured = worker.configure(configuration.to_string());
    assert!(configured.accepted, "{:?}", configured.logs);
    worker
}

fn worker() -> Worker {
    worker_of(&MODULE, &policies())
}

fn post(host: &str, body: impl AsRef<[u8]>) -> Request {
    Request::new("POST", host, "/a").peer_principal(TEAM_A_SPIFFE_ID).body(body)
}

fn records(result: &StreamResult) -> Vec<Value> {
    let lines = result.logs.iter().filter_map(|log| log.text.get(log.text.find('{')?..));
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn reason(result: &StreamResult) -> String {
    let records = records(result);
    assert_eq!(records.len(), 1, "one record a request: {records:?}");
    records[0]["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_head_goes_on_and_the_body_waits_until_it_is_whole() {
    let worker = worker();
    let mut stream = worker.request(post("api.github.com", "begin ").more_to_come());
    let sent = stream.to_origin();
    let head = sent.headers.expect("the head has gone on");
    assert_eq!(head.text("x-mark").as_deref(), Some("marked"), "with its changes");
    assert_eq!(sent.body, b"", "nothing of the body has");
    stream.on_request_piece("and ", false);
    assert_eq!(stream.to_origin().body, b"");
    stream.on_request_piece("end", true);
    let sent = stream.to_origin();
    assert_eq!((&sent.body[..], sent.complete), (&b"begin and end"[..], true));
    stream.on_response(Response::new(200));
    let result = stream.finish();
    assert_eq!(reason(&result), "no-allow-rule");
    assert_eq!(result.usage.calls_of("proxy_get_buffer_bytes"), 1, "it is read once");
}

#[test]
fn of_a_body_that_is_denied_nothing_goes_on() {
    let worker = worker();
    for piece in [1, 3, 4096] {
        let body = "a secret is told";
        let stream = worker.request(post("api.github.com", body).in_pieces_of(piece));
        assert_eq!(stream.step(), Step::Replied);
        assert_eq!(stream.to_origin().body, b"");
        let result = stream.finish();
        assert_eq!(result.local_response.as_ref().map(|reply| reply.status), Some(403));
        assert_eq!(reason(&result), "deny-matched");
    }
}

#[test]
fn a_request_without_a_body_is_judged_before_its_head_goes_on() {
    let configuration = json!({"policies": [{"name": "p", "traffic": {"authorization": {
        "action": "Deny", "policy": {"matchExpressions": ["request.body == b''"]}}}}]});
    let worker = worker_of(&MODULE, &configuration);
    let stream = worker.request(Request::new("GET", "api.github.com", "/"));
    assert_eq!((stream.step(), stream.to_origin().headers), (Step::Replied, None));
    let stream = worker.request(post("api.github.com", "x"));
    assert_eq!(stream.step(), Step::Continue);
}

#[test]
fn trailers_end_a_body() {
    let worker = worker();
    for (body, passes) in [("fine", true), ("a secret", false)] {
        let request = post("api.github.com", body).in_pieces_of(2);
        let request = request.trailer("x-internal", "1").trailer("x-kept", "2");
        let stream = worker.request(request);
        let sent = stream.to_origin();
        assert_eq!(sent.body == body.as_bytes(), passes, "{body}");
        assert_eq!(stream.step(), if passes { Step::Continue } else { Step::Replied });
        if passes {
            let trailers = sent.trailers.expect("they have gone on");
            assert_eq!(trailers.text("x-internal"), None, "those of changed headers are dropped");
            assert_eq!(trailers.text("x-kept").as_deref(), Some("2"));
        }
        drop(stream.finish());
    }
}

#[test]
fn a_body_over_the_limit_is_refused_and_never_cut() {
    let worker = worker();
    for (length, is_stated, passes) in [
        (LIMIT, false, true),
        (LIMIT, true, true),
        (LIMIT + 1, false, false),
        (LIMIT + 1, true, false),
        (4 * LIMIT, false, false),
    ] {
        let mut request = post("api.github.com", vec![b'a'; length]).in_pieces_of(16_384);
        if is_stated {
            request = request.header("content-length", length.to_string());
        }
        let stream = worker.request(request);
        let sent = stream.to_origin();
        assert_eq!(sent.headers.is_some(), passes || !is_stated, "{length} {is_stated}");
        assert_eq!(sent.body.len(), if passes { length } else { 0 });
        let result = stream.finish();
        let status = result.local_response.as_ref().map(|reply| reply.status);
        assert_eq!(status, (!passes).then_some(413), "{length} {is_stated}");
        if !passes {
            assert_eq!(reason(&result), "body-too-large");
            assert_eq!(result.usage.calls_of("proxy_get_buffer_bytes"), 0, "it is not read");
        }
    }
}

#[test]
fn a_caller_that_leaves_before_its_body_is_there_is_reported() {
    let worker = worker();
    let stream = worker.request(post("api.github.com", "begin").more_to_come());
    assert_eq!(reason(&stream.gone()), "gone");
}

#[test]
fn bodies_are_replaced() {
    let worker = worker();
    let request = post("rewritten.example", r#"{"a": 1}"#)
        .header("content-type", "application/json")
        .header("content-length", "8")
        .in_pieces_of(3);
    let mut stream = worker.request(request);
    let sent = stream.to_origin();
    let new: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(new, json!({"was": {"a": 1}, "by": "team-a"}));
    let head = sent.headers.expect("the head");
    assert_eq!(head.text("content-length"), None, "the length is another");
    let response = Response::new(200).header("content-length", "12").body("the secret!!");
    stream.on_response(response.in_pieces_of(5));
    let answer = stream.to_client();
    assert_eq!(answer.headers.expect("its head").text("content-length"), None);
    assert_eq!(String::from_utf8_lossy(&answer.body), "the ***!!");
    assert!(answer.complete);
}

#[test]
fn a_body_that_cannot_be_replaced_does_not_pass() {
    let worker = worker();
    let stream = worker.request(post("rewritten.example", "no JSON"));
    assert_eq!((stream.step(), stream.to_origin().body), (Step::Replied, Vec::new()));
    let result = stream.finish();
    assert_eq!(result.local_response.as_ref().map(|reply| reply.status), Some(403));
    assert_eq!(reason(&result), "rewrite-error");
    for response in [
        Response::new(200).header("content-encoding", "gzip").body("secret"),
        Response::new(200).body(vec![b'a'; LIMIT + 1]),
    ] {
        let mut stream = worker.request(post("rewritten.example", "{}"));
        stream.on_response(response);
        assert_eq!(stream.step(), Step::Closed);
        assert_eq!(stream.to_client().body, b"");
        drop(stream.finish());
    }
    // Nothing is put in the place of a body that is not there.
    let mut stream = worker.request(Request::new("GET", "rewritten.example", "/"));
    assert_eq!(stream.step(), Step::Continue);
    assert_eq!(stream.to_origin().body, b"");
    stream.on_response(Response::new(204));
    assert_eq!(stream.step(), Step::Continue);
}

#[test]
fn the_shipped_module_refuses_what_it_cannot_do() {
    let host = Host::new(&SHIPPED, HostOptions { canary: false, ..HostOptions::default() });
    let worker = host.worker().expect("it starts");
    let configured = worker.configure(policies().to_string());
    assert!(!configured.accepted);
    let logs: Vec<&str> = configured.logs.iter().map(|log| log.text.as_str()).collect();
    let logs = logs.join("\n");
    for place in [
        "policy `guarded`: policies[0].traffic.authorization.policy.matchExpressions[0]: this reads",
        "policy `rewritten`: policies[2].traffic.transformation.request.body: this reads bodies",
    ] {
        assert!(logs.contains(place), "{logs}");
    }
    assert!(logs.contains("`-bodies`"), "it names the other image: {logs}");
}

/// Why there are two modules: Envoy calls every callback that a module exports.
#[test]
fn the_shipped_module_has_no_callback_for_bodies() {
    let exports = |module: &Module| {
        let mut names = module.exports();
        names.retain(|name| name.ends_with("_body"));
        names.sort();
        names
    };
    assert_eq!(exports(&SHIPPED), Vec::<String>::new());
    assert_eq!(exports(&MODULE), ["proxy_on_request_body", "proxy_on_response_body"]);

    let cost = |module: &Module| {
        let mut policies = policies();
        policies["policies"].as_array_mut().expect("policies").retain(|one| one["name"] == "plain");
        let worker = worker_of(module, &policies);
        let mut last = 0;
        // The first requests set up what later ones use.
        for _ in 0..3 {
            let request = post("plain.example", vec![b'a'; 160_000]).in_pieces_of(16_000);
            let response = Response::new(200).body(vec![b'b'; 160_000]).in_pieces_of(16_000);
            let result = worker.request(request).run(response);
            assert_eq!(result.usage.calls_of("proxy_get_buffer_bytes"), 0, "nothing is read");
            last = result.usage.fuel;
        }
        last
    };
    let (shipped, with_bodies) = (cost(&SHIPPED), cost(&MODULE));
    println!("instructions of a request with ten pieces of body each way: {shipped} {with_bodies}");
    assert!(shipped < with_bodies, "{shipped} {with_bodies}");
}
