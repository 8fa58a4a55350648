//! `timeouts` and `retry` in a real Envoy: what the caller gets, how often the origin is asked, and
//! what a caller's own headers for the router do.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use e2e::envoy::{Pod, Waypoint, WaypointOptions};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Reaction, Service};
use e2e::pki::Pki;
use serde_json::{Value, json};

/// Has a timeout of 300 ms.
const SLOW: &str = "slow.example";
/// Is tried three times where it answers 503, except for a POST without `x-safe: yes`.
const FLAKY: &str = "flaky.example";
/// Is tried twice; its origin speaks plain HTTP, and breaks connections.
const BROKEN: &str = "broken.example";
/// Has no such policy.
const PLAIN: &str = "plain.example";

struct Setting {
    origin: Origin,
    waypoint: Waypoint,
}

/// The origin that breaks connections: before the response, or within it where `/half` is asked.
static BREAKING: LazyLock<Service> = LazyLock::new(|| {
    let started = Service::start(|call| match call.target.as_str() {
        "/half" => Reaction {
            closes: false,
            ..Reaction::cut_off("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        },
        _ => Reaction::cut_off(""),
    });
    started.expect("the other origin starts")
});

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let precondition = r#"request.method != "POST" || request.headers["x-safe"] == "yes""#;
    let policies = json!({"policies": [
        {"name": "slow", "hosts": [SLOW], "traffic": {"timeouts": {"request": "300ms"}}},
        {"name": "flaky", "hosts": [FLAKY], "traffic": {"retry":
            {"attempts": 2, "codes": [503], "precondition": precondition}}},
        {"name": "broken", "hosts": [BROKEN], "traffic": {
            "timeouts": {"request": "500ms"}, "retry": {}}},
    ], "audit": {"log": "All"}});
    let port = BREAKING.port();
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(policies.to_string())
        .service(SLOW)
        .service(FLAKY)
        .service(BROKEN)
        .service(PLAIN)
        .edit(move |envoy| {
            let clusters = envoy["static_resources"]["clusters"].as_array_mut().expect("clusters");
            let name = format!("inbound-vip|80|http|{BROKEN}");
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name.as_str());
            let cluster = cluster.expect("its cluster").as_object_mut().expect("an object");
            cluster.remove("transport_socket");
            cluster.remove("typed_extension_protocol_options");
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                ["socket_address"]["port_value"] = json!(port);
        });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setting { origin, waypoint }
});

/// A waypoint that believes `x-forwarded-for`, so that a caller can control its router, and whose
/// routes have retries of their own.
static TRUSTING: LazyLock<Setting> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let policies = json!({"policies": [
        {"name": "slow", "hosts": [SLOW], "traffic": {"timeouts": {"request": "300ms"}}},
        {"name": "flaky", "hosts": [FLAKY], "traffic": {"retry":
            {"attempts": 2, "codes": [503], "precondition": r#"request.method == "GET""#}}},
    ]});
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(policies.to_string())
        .service(SLOW)
        .service(FLAKY)
        .service(PLAIN)
        .edit(|envoy| {
            each_object(envoy, &mut |object| {
                if object.contains_key("normalize_path") {
                    object.insert(
                        "internal_address_config".to_owned(),
                        json!({"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}),
                    );
                }
                if let Some(Value::Object(route)) = object.get_mut("route") {
                    let policy = json!({"retry_on": "retriable-status-codes", "num_retries": 4,
                        "retriable_status_codes": [502]});
                    route.insert("retry_policy".to_owned(), policy);
                }
            });
        });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setting { origin, waypoint }
});

fn each_object(value: &mut Value, change: &mut dyn FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object.values_mut().for_each(|value| each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}

impl Setting {
    async fn send(&self, host: &str, request: &Request) -> Response {
        self.waypoint.pod_request(Pod::TeamA, host, request).await.expect("an answer")
    }

    /// Sends a GET request with these headers, and returns the status and how often the origin was
    /// asked.
    async fn tried(&self, host: &str, target: &str, headers: &[(&str, &str)]) -> (u16, usize) {
        let request = headers
            .iter()
            .fold(Request::get(host, target), |request, (name, value)| request.header(name, value));
        let response = self.send(host, &request).await;
        (response.status, self.tries(target))
    }

    fn tries(&self, target: &str) -> usize {
        self.origin.requests_where(|request| request.target == target).len()
    }
}

#[tokio::test]
async fn an_origin_that_takes_too_long_is_a_504() {
    let begun = Instant::now();
    let response = SETTING.send(SLOW, &Request::get(SLOW, "/hang")).await;
    assert_eq!((response.status, response.text().as_ref()), (504, "upstream request timeout"));
    // Envoy counts whole milliseconds, and begins before this clock is read.
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    let entry = SETTING.waypoint.await_access_log(|entry| entry["path"] == "/hang").expect("entry");
    assert_eq!(entry["response_code_details"], "response_timeout");
    let requests = SETTING.origin.requests_where(|request| request.target == "/hang");
    let told: Vec<String> = requests[0]
        .headers
        .0
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .filter(|name| name.starts_with("x-envoy"))
        .collect();
    assert_eq!(told, ["x-envoy-expected-rq-timeout-ms"], "the router keeps the others");
    let quick = SETTING.tried(SLOW, "/status/200?quick", &[]).await;
    assert_eq!(quick, (200, 1));
}

#[tokio::test]
async fn a_grpc_caller_gets_unavailable() {
    let request = Request::new("POST", "/held/grpc")
        .header("Host", SLOW)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let response = SETTING.send(SLOW, &request).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers.get("grpc-status"), Some(&b"14"[..]));
    assert_eq!(response.headers.get("grpc-message"), Some(&b"upstream request timeout"[..]));
}

#[tokio::test]
async fn only_what_a_policy_says_is_tried_again() {
    for (host, status, expected) in
        [(FLAKY, 503, 3), (FLAKY, 500, 1), (FLAKY, 200, 1), (PLAIN, 503, 1), (SLOW, 503, 1)]
    {
        let target = format!("/status/{status}?{host}");
        assert_eq!(SETTING.tried(host, &target, &[]).await, (status, expected), "{target}");
    }
}

#[tokio::test]
async fn a_request_without_its_precondition_is_sent_once() {
    for (header, expected) in [(None, 1), (Some("no"), 1), (Some("yes"), 3)] {
        let target = format!("/status/503?safe={header:?}").replace('"', "");
        let mut request = Request::new("POST", &target).header("Host", FLAKY).body("x");
        if let Some(value) = header {
            request = request.header("x-safe", value);
        }
        assert_eq!(SETTING.send(FLAKY, &request).await.status, 503);
        assert_eq!(SETTING.tries(&target), expected, "{target}");
    }
    let failed = |record: &Value| {
        record["errors"][0]["message"] == "precondition of `retry`: no such key: x-safe"
    };
    assert_eq!(SETTING.waypoint.audit_records().iter().filter(|record| failed(record)).count(), 1);
}

/// Envoy keeps the body for a further try up to the limit of its buffers, 1 MiB unless set.
#[tokio::test]
async fn a_request_with_a_large_body_is_sent_once() {
    for (size, expected) in [(60_000, 3), (2_000_000, 1)] {
        let target = format!("/status/503?body={size}");
        let request = Request::new("PUT", &target).header("Host", FLAKY).body(vec![b'a'; size]);
        assert_eq!(SETTING.send(FLAKY, &request).await.status, 503);
        assert_eq!(SETTING.tries(&target), expected, "{target}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_response_is_tried_again() {
    let asked = |target: &str| BREAKING.calls_where(|call| call.target == target).len();
    let response = SETTING.send(BROKEN, &Request::get(BROKEN, "/breaks")).await;
    assert_eq!((response.status, asked("/breaks")), (503, 2), "one further try where none is said");

    // Once the response has begun, nothing is tried again, and the timeout breaks it off.
    let request = Request::get(BROKEN, "/half");
    let outcome = SETTING.waypoint.pod_request(Pod::TeamA, BROKEN, &request).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(asked("/half"), 1);
}

/// The headers by which a caller would have its own retries and timeout.
const OWN: [(&str, &str); 4] = [
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-max-retries", "6"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-upstream-rq-timeout-alt-response", "1"),
];
const INTERNAL: (&str, &str) = ("x-forwarded-for", "10.0.0.1");

#[tokio::test]
async fn a_callers_own_headers_for_the_router_do_nothing_with_istios_settings() {
    let own = [OWN[0], OWN[1], INTERNAL];
    for host in [PLAIN, SLOW, FLAKY] {
        let target = format!("/status/500?own={host}");
        assert_eq!(SETTING.tried(host, &target, &own).await, (500, 1), "{target}");
    }
}

#[tokio::test]
async fn where_envoy_trusts_the_caller_a_policy_does_not() {
    let own = [OWN[0], OWN[1], INTERNAL];
    let tried = TRUSTING.tried(PLAIN, "/status/500?trusted", &own).await;
    assert_eq!(tried, (500, 7), "without a policy, the caller decides");
    for host in [SLOW, FLAKY] {
        let target = format!("/status/500?own={host}");
        assert_eq!(TRUSTING.tried(host, &target, &own).await, (500, 1), "{target}");
    }
    let begun = Instant::now();
    let own = [OWN[2], OWN[3], INTERNAL];
    let (status, _) = TRUSTING.tried(SLOW, "/hang", &own).await;
    assert_eq!(status, 504, "and not the caller's 204");
    // Envoy counts whole milliseconds, and begins before this clock is read.
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn with_retries_of_the_route_both_conditions_count_and_the_policys_number() {
    assert_eq!(TRUSTING.tried(PLAIN, "/status/502?route", &[]).await, (502, 5));
    assert_eq!(TRUSTING.tried(FLAKY, "/status/502?both", &[]).await, (502, 3));
    assert_eq!(TRUSTING.tried(FLAKY, "/status/503?both", &[]).await, (503, 3));
    let target = "/status/502?put";
    let request = Request::new("PUT", target).header("Host", FLAKY);
    assert_eq!(TRUSTING.send(FLAKY, &request).await.status, 502);
    assert_eq!(TRUSTING.tries(target), 1, "without its precondition, not even the route's");
}
