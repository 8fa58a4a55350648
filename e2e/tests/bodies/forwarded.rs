//! An authorization service of gRPC that gets the request's body, in a real Envoy: what it sees,
//! and what reaches the origin while it is asked, and after.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, bodies_wasm};
use e2e::http1::Request;
use e2e::origin::Wait;
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use e2e::stand_ins::{AuthorizationService, Reaction, allowed, denied};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::early::withheld;
use super::envoy::{HOST, REWRITTEN, RawOrigin, Setting, contains, speak_plainly, split};
use super::http2::{Came, End};

const CLUSTER: &str = "outbound|9000||auth.default.svc.cluster.local";

struct Forwarding {
    setting: Setting,
    service: AuthorizationService,
}

fn http(request: &CheckRequest) -> HttpRequest {
    let attributes = request.attributes.clone().unwrap_or_default();
    attributes.request.and_then(|request| request.http).unwrap_or_default()
}

static FORWARDING: LazyLock<Forwarding> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = RawOrigin::start();
    // What it answers depends on the body alone.
    let service = AuthorizationService::start(|request| {
        let body = http(request).body;
        match () {
            () if body.contains("secret") => Reaction::answer(denied(403, &[], "not that")),
            () if body.contains("hang") => Reaction::answer(allowed(&[])).after(Wait::Forever),
            () if body.contains("header") => Reaction::answer(allowed(&[("x-user", "mallory")])),
            () => Reaction::answer(allowed(&[])),
        }
    });
    let service = service.expect("the service starts");
    let config = json!({"policies": [{"name": "ask", "hosts": [HOST], "traffic": {"extAuth": {
        "backendRef": {"name": "auth", "namespace": "default", "port": 9000},
        "timeout": "2s",
        "grpc": {},
        "forwardBody": {"maxSize": 16},
    }}}], "audit": {"log": "All"}});
    let (port, service_port) = (origin.port, service.port());
    let options = WaypointOptions::new(&pki, port)
        .wasm(bodies_wasm())
        .plugin_configuration(config.to_string())
        .service(HOST)
        .service(REWRITTEN)
        .grpc_cluster(CLUSTER, Some(service_port))
        .edit(move |envoy| speak_plainly(envoy, port));
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    Forwarding { setting: Setting { origin, waypoint, runtime }, service }
});

impl Forwarding {
    /// What the service was asked about the request with this mark, once it was.
    fn asked(&self, mark: &str) -> HttpRequest {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(call) = self.calls(mark).pop() {
                return call;
            }
            assert!(Instant::now() < deadline, "{mark}: the service was not asked");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn calls(&self, mark: &str) -> Vec<HttpRequest> {
        let all = self.service.calls().into_iter().map(|call| http(&call.message));
        all.filter(|http| http.path.contains(mark)).collect()
    }

    /// Whether the origin has got anything of a body.
    fn leaked(&self, mark: &str) -> bool {
        let arrived = self.setting.origin.of(mark);
        arrived.iter().any(|one| split(&one.bytes).is_some_and(|(_, body)| !body.is_empty()))
    }
}

#[test]
fn the_service_sees_the_body_and_what_it_allows_arrives() {
    let all = &*FORWARDING;
    let response = all.setting.post(HOST, "forward-text", b"order 4111");
    assert_eq!(response.status, 200);
    let asked = all.asked("forward-text");
    assert_eq!((asked.body.as_str(), asked.size), ("order 4111", 10));
    let arrived = all.setting.origin.of("forward-text");
    assert!(contains(&arrived[0].bytes, b"order 4111"));

    let response = all.setting.post(HOST, "forward-binary", b"\x00\xff\xfe");
    assert_eq!(response.status, 200);
    let asked = all.asked("forward-binary");
    assert_eq!((asked.raw_body.as_slice(), asked.size), (&b"\x00\xff\xfe"[..], 3));

    let response = all.setting.send(HOST, &[&Request::get(HOST, "/forward-none").to_bytes()]);
    assert_eq!(response.status, 200);
    assert_eq!(all.asked("forward-none").size, 0);
}

#[test]
fn of_a_body_that_the_service_denies_nothing_arrives() {
    let all = &*FORWARDING;
    let response = all.setting.post(HOST, "forward-denied", b"a secret");
    assert_eq!((response.status, response.text().as_str()), (403, "not that"));
    assert_eq!(all.setting.reason("forward-denied"), "external-denied");
    assert!(!all.leaked("forward-denied"));
}

#[test]
fn an_answer_that_changes_a_header_cannot_be_used() {
    let all = &*FORWARDING;
    let response = all.setting.post(HOST, "forward-header", b"a header");
    assert_eq!(response.status, 403);
    assert!(!all.leaked("forward-header"));
}

#[test]
fn a_body_over_the_size_asks_nobody() {
    let all = &*FORWARDING;
    let stated = all.setting.post(HOST, "forward-stated-long", b"0123456789abcdefg");
    assert_eq!(stated.status, 413);
    let head = format!(
        "POST /forward-chunks-long HTTP/1.1\r\nHost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let pieces: [&[u8]; 3] =
        [head.as_bytes(), b"a\r\n0123456789\r\n", b"7\r\nabcdefg\r\n0\r\n\r\n"];
    assert_eq!(all.setting.send(HOST, &pieces).status, 413);
    for mark in ["forward-stated-long", "forward-chunks-long"] {
        assert_eq!(all.setting.reason(mark), "body-too-large");
        assert_eq!(all.calls(mark).len(), 0, "{mark}");
        assert!(!all.leaked(mark), "{mark}");
    }
}

#[test]
fn a_body_in_pieces_is_asked_about_once_and_whole() {
    let all = &*FORWARDING;
    let head = format!(
        "POST /forward-pieces HTTP/1.1\r\nHost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let pieces: [&[u8]; 4] =
        [head.as_bytes(), b"2\r\na \r\n", b"3\r\nsec\r\n3\r\nret\r\n", b"0\r\nx-late: 1\r\n\r\n"];
    assert_eq!(all.setting.send(HOST, &pieces).status, 403);
    let [call] = &all.calls("forward-pieces")[..] else { panic!("one call") };
    assert_eq!(call.body, "a secret");
    assert!(!all.leaked("forward-pieces"));
}

#[test]
fn an_answer_of_the_origin_that_comes_before_the_service_was_asked_does_not_pass() {
    let all = &*FORWARDING;
    for (mark, sent) in withheld("forward") {
        let (came, is_closed) = all.setting.read_after(&sent, PATIENCE);
        assert_eq!(String::from_utf8_lossy(&came), "", "{mark}: the caller gets no byte");
        assert!(is_closed, "{mark}: its connection is closed");
        assert_eq!(all.calls(&mark).len(), 0, "{mark}");
        assert!(!all.leaked(&mark), "{mark}");
    }
    // The service has the body, and does not answer.
    let request = Request::new("POST", "/early-forward-asked").header("Host", HOST).body(b"hang");
    let (came, is_closed) = all.setting.read_after(&request.to_bytes(), PATIENCE);
    assert_eq!(String::from_utf8_lossy(&came), "");
    assert!(is_closed && !all.leaked("early-forward-asked"));
}

#[test]
fn a_service_that_does_not_answer_and_a_caller_that_goes_let_nothing_by() {
    let all = &*FORWARDING;
    let response = all.setting.post(HOST, "forward-mute", b"hang");
    assert_eq!(response.status, 403);
    assert!(!all.leaked("forward-mute"));

    let request = Request::new("POST", "/forward-gone").header("Host", HOST).body(b"hang");
    let caller = all.setting.waypoint.caller(TEAM_A_SPIFFE_ID);
    all.setting.runtime.block_on(async {
        let tunnel = caller.tunnel(&all.setting.waypoint.vip(HOST)).await.expect("a tunnel");
        let mut stream = tunnel.into_stream();
        stream.write_all(&request.to_bytes()).await.expect("it is sent");
        stream.flush().await.expect("it is sent");
        tokio::task::block_in_place(|| all.asked("forward-gone"));
        drop(stream);
    });
    assert_eq!(all.setting.reason("forward-gone"), "gone");
    assert!(!all.leaked("forward-gone"));
}

#[test]
fn frames_of_http2_are_held_as_well() {
    let all = &*FORWARDING;
    for end in [End::WithTheLastFrame, End::WithTrailers] {
        let mark = format!("forward-h2-denied-{end:?}");
        let came = all.setting.send_http2(&mark, &[b"a s", b"ecret"], end);
        assert_eq!(came, Came::Answer(403, "not that".to_owned()), "{end:?}");
        assert_eq!(all.asked(&mark).body, "a secret");
        assert!(!all.leaked(&mark), "{end:?}");
        let mark = format!("forward-h2-allowed-{end:?}");
        let came = all.setting.send_http2(&mark, &[b"or", b"der"], end);
        assert_eq!(came, Came::Answer(200, "the secret".to_owned()), "{end:?}");
        assert_eq!(all.asked(&mark).body, "order");
    }
}
