//! The servers themselves, asked by Envoy's own filters: what the filter's answers are held to.

use e2e::http1::Request;
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use services::{ExtAuthz, Native, Opa, RateLimit, Redis, Stage};

use crate::setting::{CLOSED, EXT_AUTHZ, OPA, OPEN, RATE_LIMIT, get, grpc, send};

#[tokio::test]
async fn opa_decides_for_envoys_filter_which_knows_no_caller() {
    let mut opa = Opa::start().expect("OPA starts");
    let hosts = [(CLOSED, Native::ext_authz(OPA, false)), (OPEN, Native::ext_authz(OPA, true))];
    let stage = Stage::native(&hosts, &[grpc(OPA, opa.port())]).expect("Envoy starts");

    let request =
        Request::get(CLOSED, "/zen").header("x-dropped", "1").header("x-overwritten", "1");
    let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
    assert_eq!(seen.response.status, 200, "{seen:?}");
    assert_eq!(seen.response.header("x-decided-by").as_deref(), Some("opa"));
    assert_eq!(seen.arrived_with("x-overwritten"), ["by OPA"]);
    assert_eq!(seen.arrived_with("x-dropped"), [""; 0]);

    let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/legal").await;
    assert_eq!((seen.response.status, &*seen.response.text()), (451, r#"{"reason":"legal"}"#));
    assert_eq!(seen.response.header("x-denied-by").as_deref(), Some("opa"));
    assert!(seen.arrived.is_none());

    // Behind the internal listener there is no TLS, from which Envoy's filter takes the caller.
    let decisions = opa.decisions();
    assert_eq!(decisions.len(), 2, "{decisions:?}");
    for decision in decisions {
        let attributes = &decision["input"]["attributes"];
        assert!(attributes["request"]["http"]["path"].is_string(), "{decision}");
        assert!(attributes["source"]["principal"].is_null(), "{decision}");
    }

    opa.stop();
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await.response.status, 403);
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, OPEN, "/zen").await.response.status, 200);
}

#[tokio::test]
async fn istios_server_decides_for_envoys_filter() {
    let server = ExtAuthz::start("team-a").expect("the server starts");
    let hosts = [(CLOSED, Native::ext_authz(EXT_AUTHZ, false))];
    let stage = Stage::native(&hosts, &[grpc(EXT_AUTHZ, server.grpc_port())]).expect("starts");
    for (value, status) in [("allow", 200), ("deny", 403)] {
        let request = Request::get(CLOSED, "/zen").header("x-ext-authz", value);
        let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
        assert_eq!(seen.response.status, status, "{seen:?}");
    }
    // It would allow team-a, but is not told who calls.
    let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await;
    assert_eq!(seen.response.status, 403, "{seen:?}");
}

#[tokio::test]
async fn envoys_filter_counts_in_redis() {
    let mut redis = Redis::start().expect("Redis starts");
    let mut service = RateLimit::start(&redis).expect("the service starts");
    let closed = Native::rate_limit(RATE_LIMIT, false);
    let hosts = [(CLOSED, closed), (OPEN, Native::rate_limit(RATE_LIMIT, true))];
    let stage = Stage::native(&hosts, &[grpc(RATE_LIMIT, service.port())]).expect("starts");

    for call in 1..=6 {
        let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await;
        let expected = if call <= 5 { 200 } else { 429 };
        assert_eq!(seen.response.status, expected, "call {call}: {seen:?}");
        let left = seen.response.header("x-ratelimit-remaining");
        assert_eq!(left, Some(5_i32.saturating_sub(call).max(0).to_string()), "call {call}");
    }
    assert_eq!(get(&stage, TEAM_B_SPIFFE_ID, CLOSED, "/zen").await.response.status, 200);
    assert_eq!(service.descriptors()[0], format!("(caller={TEAM_A_SPIFFE_ID})"));

    redis.stop();
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await.response.status, 500);
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, OPEN, "/zen").await.response.status, 200);
    service.stop();
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await.response.status, 500);
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, OPEN, "/zen").await.response.status, 200);
}
