//! Global limits by this filter: Envoy's rate limit service, which counts in Redis.

use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use serde_json::{Value, json};
use services::{Native, RateLimit, Redis, Stage};

use crate::setting::{CLOSED, OPEN, RATE_LIMIT, configuration, get, grpc, record_of};

/// A host whose calls count three each.
const COSTLY: &str = "costly.example";
/// A host whose limit comes from the filter.
const OVERRIDDEN: &str = "overridden.example";
/// A host with a second descriptor, the path.
const PATHS: &str = "paths.example";

/// A policy with descriptors for the requests for one host.
fn limit(host: &str, failure_mode: &str, descriptors: &Value) -> Value {
    let global = json!({
        "backendRef": {"name": "ratelimit", "namespace": "default", "port": 8081},
        "domain": "egress",
        "failureMode": failure_mode,
        "timeout": "5s",
        "descriptors": descriptors,
    });
    let traffic = json!({"rateLimit": {"global": global, "headers": "All"}});
    json!({"name": format!("limit-{host}"), "hosts": [host], "traffic": traffic})
}

fn limits() -> Value {
    let caller = json!({"entries": [{"name": "caller", "expression": "source.spiffeId"}]});
    let path = json!({"entries": [{"name": "path", "expression": "request.path"}]});
    let with = |name: &str, expression: &str| {
        let mut descriptor = caller.clone();
        descriptor[name] = json!(expression);
        json!([descriptor])
    };
    configuration(&[
        limit(CLOSED, "FailClosed", &json!([caller])),
        limit(OPEN, "FailOpen", &json!([caller])),
        limit(COSTLY, "FailClosed", &with("cost", "3")),
        limit(
            OVERRIDDEN,
            "FailClosed",
            &with("limitOverride", r#"{"unit": "year", "requestsPerUnit": 2}"#),
        ),
        limit(PATHS, "FailClosed", &json!([caller, path])),
    ])
}

fn ask_for_limits(service: &RateLimit) -> Stage {
    let hosts = [CLOSED, OPEN, COSTLY, OVERRIDDEN, PATHS];
    Stage::ours(&limits(), &hosts, &[grpc(RATE_LIMIT, service.port())])
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn the_sixth_call_of_a_caller_is_refused_and_anothers_is_not() {
    let redis = Redis::start().expect("Redis starts");
    let service = RateLimit::start(&redis).expect("the service starts");
    let stage = ask_for_limits(&service);
    for call in 1..=6_i32 {
        let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await;
        let header = |name| seen.response.header(name);
        assert_eq!(header("x-ratelimit-limit").as_deref(), Some("5"), "call {call}: {seen:?}");
        let left = (5 - call).max(0).to_string();
        assert_eq!(header("x-ratelimit-remaining"), Some(left), "call {call}");
        let reset: u64 = header("x-ratelimit-reset").expect("a time").parse().expect("seconds");
        assert!(reset <= 366 * 24 * 3600, "call {call}: {reset}");
        if call <= 5 {
            assert_eq!(seen.response.status, 200, "call {call}: {seen:?}");
            assert_eq!(header("retry-after"), None, "call {call}");
        } else {
            let answer = (seen.response.status, &*seen.response.text());
            assert_eq!(answer, (429, "rate limit exceeded"), "{seen:?}");
            assert!(seen.arrived.is_none());
            assert_eq!(header("retry-after"), header("x-ratelimit-reset"));
        }
    }
    let seen = get(&stage, TEAM_B_SPIFFE_ID, CLOSED, "/zen").await;
    assert_eq!(seen.response.status, 200, "{seen:?}");

    let mut expected = vec![format!("(caller={TEAM_A_SPIFFE_ID})"); 6];
    expected.push(format!("(caller={TEAM_B_SPIFFE_ID})"));
    assert_eq!(service.descriptors(), expected);
}

#[tokio::test]
async fn the_calls_left_are_those_that_envoys_filter_tells() {
    let theirs = count_down(|service| {
        let native = Native::rate_limit(RATE_LIMIT, false);
        Stage::native(&[(CLOSED, native)], &[grpc(RATE_LIMIT, service.port())])
            .expect("Envoy starts")
    });
    let ours = count_down(ask_for_limits);
    let (theirs, ours) = (theirs.await, ours.await);
    assert_eq!(theirs, ours);
    assert_eq!(ours.last(), Some(&(429, Some("0".to_owned()))));
}

/// Status and calls left, of seven calls.
async fn count_down(stage: impl Fn(&RateLimit) -> Stage) -> Vec<(u16, Option<String>)> {
    let redis = Redis::start().expect("Redis starts");
    let service = RateLimit::start(&redis).expect("the service starts");
    let stage = stage(&service);
    let mut counted = Vec::new();
    for _ in 1..=7 {
        let response = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await.response;
        counted.push((response.status, response.header("x-ratelimit-remaining")));
    }
    counted
}

#[tokio::test]
async fn costs_overrides_and_several_descriptors_count_as_the_service_has_them() {
    let redis = Redis::start().expect("Redis starts");
    let service = RateLimit::start(&redis).expect("the service starts");
    let stage = ask_for_limits(&service);
    let caller = |name: &str| format!("spiffe://cluster.local/ns/{name}/sa/{name}");
    let costly = caller("costly");
    // Three of five, and then six.
    for (call, status) in [(1, 200), (2, 429)] {
        let seen = get(&stage, &costly, COSTLY, "/zen").await;
        assert_eq!(seen.response.status, status, "call {call}: {seen:?}");
    }
    let overridden = caller("overridden");
    for (call, status) in [(1, 200), (2, 200), (3, 429)] {
        let seen = get(&stage, &overridden, OVERRIDDEN, "/zen").await;
        assert_eq!(seen.response.status, status, "call {call}: {seen:?}");
        assert_eq!(seen.response.header("x-ratelimit-limit").as_deref(), Some("2"));
    }
    let paths = caller("paths");
    for (path, status) in [("/zen", 200), ("/forbidden", 429), ("/zen", 200)] {
        let seen = get(&stage, &paths, PATHS, path).await;
        assert_eq!(seen.response.status, status, "{path}: {seen:?}");
    }
}

#[tokio::test]
async fn a_service_that_errs_or_is_gone_is_answered_by_the_failure_mode() {
    let mut redis = Redis::start().expect("Redis starts");
    let mut service = RateLimit::start(&redis).expect("the service starts");
    let stage = ask_for_limits(&service);
    for (path, outcome) in [("/no-redis", "error"), ("/no-service", "unreachable")] {
        redis.stop();
        if outcome == "unreachable" {
            service.stop();
        }
        let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, path).await;
        let answer = (seen.response.status, &*seen.response.text());
        assert_eq!(answer, (500, "rate limit failed"), "{path}");
        assert!(seen.arrived.is_none(), "{path}");
        let seen = get(&stage, TEAM_A_SPIFFE_ID, OPEN, path).await;
        assert_eq!(seen.response.status, 200, "{path}: {seen:?}");
        for (index, open) in [(0, Value::Null), (1, json!(true))] {
            let record = record_of(&stage, path, index).await;
            let call = &record["calls"][0];
            assert_eq!(
                (&call["outcome"], &call["failedOpen"]),
                (&json!(outcome), &open),
                "{record}"
            );
        }
    }
}
