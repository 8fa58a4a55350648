//! Tokens in a real Envoy: requests that wait together, and what becomes of their bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Reaction, Received, Service, Wait};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use tokio::task::JoinHandle;

use crate::policies::{CLUSTER, HOST, SECRET, fetching, token};

/// An Envoy, the origin behind it, and the authorization server beside it.
struct Setting {
    waypoint: Waypoint,
    origin: Origin,
    service: Service,
}

impl Setting {
    fn start(react: impl Fn(usize) -> Reaction + Send + Sync + 'static) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
        let calls = AtomicUsize::new(0);
        let service = Service::start(move |_| react(calls.fetch_add(1, Ordering::Relaxed)));
        let service = service.expect("the service starts");
        let options = WaypointOptions::new(&pki, origin.port())
            .plugin_configuration(fetching("audited").to_string())
            .environment(SECRET.0, SECRET.1)
            .cluster(CLUSTER, Some(service.port()));
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, service }
    }

    /// Sends a request as team-a.
    fn send(&self, id: &str, request: Request) -> JoinHandle<Response> {
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
        let vip = self.waypoint.vip(HOST);
        let request = request.header("x-request-id", id).header("authorization", "Bearer evil");
        tokio::spawn(async move {
            client.request(&vip, &request).await.unwrap_or_else(|error| panic!("{error}"))
        })
    }

    async fn ask(&self, id: &str) -> Response {
        ended(self.send(id, Request::get(HOST, "/zen"))).await
    }

    fn arrived(&self, id: &str) -> Vec<Received> {
        self.origin.requests_where(|request| request.values("x-request-id") == [id])
    }

    /// What the origin got as `authorization` of a request.
    fn authorization(&self, id: &str) -> Vec<String> {
        self.arrived(id).iter().flat_map(|request| request.values("authorization")).collect()
    }

    fn calls(&self) -> usize {
        self.service.calls_where(|_| true).len()
    }
}

async fn ended(held: JoinHandle<Response>) -> Response {
    let response = tokio::time::timeout(PATIENCE, held).await.expect("no request hangs");
    response.expect("a response")
}

/// With the settings that Istio gives a plugin, Envoy holds the body of a request that is held at
/// its headers: the filter need not be called for it.
#[tokio::test]
async fn twenty_requests_wait_for_one_token_and_their_bodies_follow() {
    let setting =
        Setting::start(|_| Reaction::answer(200, &[], token("one", 300)).after(Wait::Release));
    let held: Vec<(String, JoinHandle<Response>)> = (0..20)
        .map(|number| {
            let id = format!("held-{number}");
            let body = "x".repeat(number * 10_000);
            let request = Request::new("POST", "/zen").header("Host", HOST).body(body.as_str());
            let sent = setting.send(&id, request);
            (id, sent)
        })
        .collect();
    setting.waypoint.until("the call", || setting.calls() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(held.iter().all(|(id, _)| setting.arrived(id).is_empty()), "nothing goes on");
    setting.service.release();
    for (number, (id, sent)) in held.into_iter().enumerate() {
        assert_eq!(ended(sent).await.status, 200, "{id}");
        let arrived = setting.arrived(&id);
        assert_eq!(arrived.len(), 1, "{id}");
        assert_eq!(arrived[0].values("authorization"), ["Bearer one"], "{id}");
        assert_eq!(arrived[0].values("x-mark"), ["audited"], "{id}");
        assert_eq!(arrived[0].body_length, number * 10_000, "{id}");
    }
    assert_eq!(setting.ask("later").await.status, 200);
    assert_eq!((setting.calls(), setting.authorization("later")), (1, vec!["Bearer one".into()]));
    let record = setting.waypoint.record("later").await;
    assert_eq!(record["credentials"], serde_json::json!(["token"]));
    let call = setting.service.calls_where(|_| true).remove(0);
    assert_eq!((&*call.method, &*call.target), ("POST", "/oauth2/token"));
    assert_eq!(call.body, b"grant_type=client_credentials&scope=repo%3Aread");
}

#[tokio::test]
async fn a_server_that_refuses_costs_its_callers_500_and_one_that_recovers_nothing() {
    let setting = Setting::start(|call| match call {
        0 => Reaction::answer(401, &[], r#"{"error":"invalid_client"}"#),
        1 => Reaction::never(),
        2 => Reaction::cut_off("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin"),
        // A token that lives for seconds is renewed while it is used.
        number => Reaction::answer(200, &[], token(&format!("t{number}"), 2)),
    });
    let pauses = [0, 1_100, 2_100];
    let details = [
        "the token endpoint refused",
        "the token endpoint did not answer in time",
        "the token endpoint's answer broke off",
    ];
    for (number, (pause, detail)) in pauses.into_iter().zip(details).enumerate() {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let id = format!("failed-{number}");
        let response = setting.ask(&id).await;
        assert_eq!(response.status, 500, "{id}");
        assert_eq!(response.body, b"backend authentication failed", "{id}");
        let record = setting.waypoint.record(&id).await;
        assert_eq!(record["reason"], "credential-unavailable", "{id}");
        assert_eq!(record["detail"], detail, "{id}");
        assert!(setting.arrived(&id).is_empty(), "{id}");
        let calls = setting.calls();
        assert_eq!(setting.ask(&format!("{id}-at-once")).await.status, 500);
        assert_eq!(setting.calls(), calls, "a pause follows");
    }
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    for number in 0.. {
        let id = format!("good-{number}");
        assert_eq!(setting.ask(&id).await.status, 200, "{id}");
        let value = setting.authorization(&id).concat();
        if seen.last() != Some(&value) {
            seen.push(value);
        }
        if Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(seen.len() >= 2, "{seen:?}");
    assert!(seen.iter().all(|value| value.starts_with("Bearer t")), "{seen:?}");
}
