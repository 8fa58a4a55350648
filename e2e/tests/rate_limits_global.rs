//! Global rate limits in a real Envoy, with a real gRPC server as the service: what it is asked,
//! and what becomes of a request by what it does.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use e2e::stand_ins::{RateLimitService, Reaction, admitted, over_limit};
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::RateLimit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use serde_json::json;
use tokio::net::TcpSocket;
use tonic::Code;

/// How long the filter waits for the service.
const TIMEOUT: Duration = Duration::from_millis(400);

/// The service, as Istio names its cluster.
const CLUSTER: &str = "outbound|8081||ratelimit.infra.svc.cluster.local";
/// One that nobody listens for.
const REFUSING: &str = "outbound|8081||gone.infra.svc.cluster.local";

/// What the service does, by the domain that it is asked about. A host of `<domain>-closed.example`
/// or `<domain>-open.example` is asked about in its domain, with that failure mode.
const DOMAINS: [&str; 9] =
    ["ok", "over", "mute", "error", "cut-off", "unknown", "unusable", "refusing", "missing"];
/// A host whose requests two policies ask about.
const TWICE: &str = "twice.example";

fn limit(name: &str, requests: u32) -> RateLimit {
    RateLimit { name: name.to_owned(), requests_per_unit: requests, unit: Unit::Minute.into() }
}

fn header(name: &str, value: &str) -> HeaderValue {
    HeaderValue { key: name.to_owned(), value: value.to_owned(), ..HeaderValue::default() }
}

fn react(request: &RateLimitRequest) -> Reaction<RateLimitResponse> {
    let ok = admitted(&limit("usual", 10), &[7, 4]);
    Reaction::answer(match request.domain.as_str() {
        "over" => RateLimitResponse {
            raw_body: b"too many of you".to_vec(),
            response_headers_to_add: vec![header("x-why", "quota")],
            ..over_limit(&limit("strict", 3))
        },
        "mute" => return Reaction::never(),
        // `INTERNAL` is what Envoy says of an answer that is cut off.
        "error" => return Reaction::status(Code::ResourceExhausted),
        "cut-off" => return Reaction::cut_off(ok, 40),
        "unknown" => RateLimitResponse { overall_code: 0, ..ok },
        "unusable" => {
            let headers = vec![header(":path", "/elsewhere")];
            RateLimitResponse { request_headers_to_add: headers, ..ok }
        }
        _ => RateLimitResponse {
            request_headers_to_add: vec![header("X-Tier", "gold")],
            response_headers_to_add: vec![header("x-quota-of", "team-a")],
            ..ok
        },
    })
}

struct Setting {
    waypoint: Waypoint,
    origin: Origin,
    service: RateLimitService,
    /// Holds the port on which nobody listens.
    _refusing: TcpSocket,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let service = RateLimitService::start(react).expect("the service starts");
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let refusing_port = refusing.local_addr().expect("an address").port();

    let descriptors = json!([{"entries": [
        {"name": "caller", "expression": "source.identity.namespace"},
        {"name": "path", "expression": "request.path"},
    ]}]);
    let policy = |name: &str, host: &str, domain: &str, mode: &str| {
        let service = match domain {
            "refusing" => "gone",
            "missing" => "nowhere",
            _ => "ratelimit",
        };
        let global = json!({
            "backendRef": {"name": service, "namespace": "infra", "port": 8081},
            "failureMode": mode, "timeout": format!("{}ms", TIMEOUT.as_millis()),
            "domain": domain, "descriptors": descriptors,
        });
        json!({"name": name, "hosts": [host],
            "traffic": {"rateLimit": {"headers": "All", "global": global}}})
    };
    let mut policies = Vec::new();
    let mut hosts = vec![TWICE.to_owned()];
    for domain in DOMAINS {
        for (end, mode) in [("closed", "FailClosed"), ("open", "FailOpen")] {
            let (name, host) = (format!("{domain}-{end}"), format!("{domain}-{end}.example"));
            policies.push(policy(&name, &host, domain, mode));
            hosts.push(host);
        }
    }
    policies.push(policy("first", TWICE, "ok", "FailClosed"));
    policies.push(policy("second", TWICE, "ok", "FailClosed"));
    let configuration = json!({"policies": policies, "audit": {"log": "All"}});
    let mut options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(configuration.to_string())
        .grpc_cluster(CLUSTER, Some(service.port()))
        .grpc_cluster(REFUSING, Some(refusing_port));
    for host in &hosts {
        options = options.service(host);
    }
    let waypoint = Waypoint::start(options);
    let waypoint = waypoint.unwrap_or_else(|error| panic!("{error}"));
    Setting { waypoint, origin, service, _refusing: refusing }
});

impl Setting {
    async fn ask(&self, host: &str, id: &str, request: Request) -> Response {
        let vip = self.waypoint.vip(host);
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
        let request = request.header("x-request-id", id);
        client.request(&vip, &request).await.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    fn arrived(&self, id: &str) -> Vec<Received> {
        self.origin.requests_where(|request| request.values("x-request-id") == [id])
    }
}

fn value<'r>(response: &'r Response, name: &'r str) -> Option<&'r str> {
    response.headers.get(name).and_then(|value| std::str::from_utf8(value).ok())
}

/// The headers that tell of limits.
fn told(response: &Response) -> [Option<&str>; 4] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"]
        .map(|name| value(response, name))
}

#[tokio::test]
async fn a_request_that_the_service_admits_goes_on_with_what_it_says() {
    let setting = &*SETTING;
    let host = "ok-closed.example";
    let request = Request::get(host, "/admitted?q").header("x-tier", "platinum");
    let response = setting.ask(host, "admitted", request).await;
    assert_eq!(response.status, 200);
    // The limit with the fewest requests left.
    assert_eq!(told(&response), [Some("10"), Some("4"), Some("30"), None]);
    assert_eq!(value(&response, "x-quota-of"), Some("team-a"));
    let arrived = setting.arrived("admitted");
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].values("x-tier"), ["gold"], "the caller's own is gone");

    let calls = setting.service.calls();
    let call = calls.iter().find(|call| {
        let mut entries = call.message.descriptors.iter().flat_map(|one| &one.entries);
        entries.any(|entry| entry.value == "/admitted")
    });
    let call = call.expect("a call about it");
    assert_eq!(call.authority, "ratelimit.infra.svc.cluster.local");
    assert_eq!(call.message.domain, "ok");
    let entries: Vec<(&str, &str)> = call.message.descriptors[0]
        .entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_str()))
        .collect();
    assert_eq!(entries, [("caller", "team-a"), ("path", "/admitted")]);
    assert_eq!((call.message.descriptors.len(), call.message.hits_addend), (1, 0));
}

#[tokio::test]
async fn a_request_over_the_limit_gets_the_services_answer() {
    let setting = &*SETTING;
    for end in ["closed", "open"] {
        let (host, id) = (format!("over-{end}.example"), format!("over-{end}"));
        let response = setting.ask(&host, &id, Request::get(&host, "/")).await;
        assert_eq!((response.status, &*response.text()), (429, "too many of you"), "{end}");
        assert_eq!(told(&response), [Some("3"), Some("0"), Some("30"), Some("30")], "{end}");
        assert_eq!(value(&response, "x-why"), Some("quota"), "{end}");
        assert_eq!(setting.arrived(&id).len(), 0, "{end}");
        let record = setting.waypoint.record(&id).await;
        assert_eq!(record["reason"], "rate-limited", "{record}");
        assert_eq!(record["policy"], id.as_str(), "{record}");
    }
}

#[tokio::test]
async fn callers_of_grpc_get_a_status_of_grpc() {
    let setting = &*SETTING;
    for (name, status) in [("over", "14"), ("missing", "2")] {
        let (host, id) = (format!("{name}-closed.example"), format!("grpc-{name}"));
        let request = Request::get(&host, "/a.B/C").header("content-type", "application/grpc");
        let response = setting.ask(&host, &id, request).await;
        assert_eq!((response.status, value(&response, "grpc-status")), (200, Some(status)), "{id}");
    }
}

#[tokio::test]
async fn without_an_answer_that_can_be_used_the_failure_mode_decides() {
    let setting = &*SETTING;
    for (domain, outcome) in [
        ("mute", "timeout"),
        ("error", "error"),
        ("cut-off", "cut-off"),
        ("unknown", "unusable"),
        ("unusable", "unusable"),
        ("refusing", "unreachable"),
        ("missing", "not-sent"),
    ] {
        for (end, status, reason) in [("closed", 500, "no-answer"), ("open", 200, "no-allow-rule")]
        {
            let (host, id) = (format!("{domain}-{end}.example"), format!("fails-{domain}-{end}"));
            let begin = Instant::now();
            let response = setting.ask(&host, &id, Request::get(&host, "/")).await;
            assert_eq!(response.status, status, "{id}");
            if domain == "mute" {
                // Envoy counts from when its worker last looked at the clock.
                assert!(begin.elapsed() >= TIMEOUT.mul_f64(0.9), "{id}: {:?}", begin.elapsed());
            }
            let record = setting.waypoint.record(&id).await;
            assert_eq!(record["reason"], reason, "{id}: {record}");
            let call = &record["calls"][0];
            // Envoy may see that the connection is gone before it has read the answer's head.
            let is_cut = domain == "cut-off" && call["outcome"] == "unreachable";
            assert!(is_cut || call["outcome"] == outcome, "{id}: {record}");
            let arrived = setting.arrived(&id);
            if end == "closed" {
                assert_eq!(response.text(), "rate limit failed", "{id}");
                assert_eq!(arrived.len(), 0, "{id}");
            } else {
                assert_eq!(arrived.len(), 1, "{id}");
                assert_eq!(arrived[0].target, "/", "{id}: nothing of the answer is used");
            }
        }
    }
}

#[tokio::test]
async fn what_goes_to_one_service_in_one_domain_is_one_call() {
    let setting = &*SETTING;
    let response = setting.ask(TWICE, "twice", Request::get(TWICE, "/twice")).await;
    assert_eq!(response.status, 200);
    let calls = setting.service.calls();
    let about: Vec<usize> = calls
        .iter()
        .map(|call| &call.message.descriptors)
        .filter(|all| all.iter().any(|one| one.entries.iter().any(|own| own.value == "/twice")))
        .map(Vec::len)
        .collect();
    assert_eq!(about, [2]);
}
