//! Four workers of a real Envoy, each with connections that send as fast as they can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::hbone::Tunnel;
use e2e::http1::Request;
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use serde_json::json;

const HOST: &str = "api.github.com";
const WORKERS: u32 = 4;
const LINES: usize = 16;
const CAPACITY: u64 = 400;
/// How many come back in a second.
const RATE: f64 = 5.0;
/// How many refusals each connection gets until it stops, so that none stops before the bucket is
/// empty.
const REFUSALS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);

/// What one connection saw.
#[derive(Debug, Default)]
struct Seen {
    admitted: u64,
    refused: usize,
}

/// Sends until the bucket is known to be empty.
async fn hammer(mut tunnel: Tunnel) -> Seen {
    let mut seen = Seen::default();
    let deadline = Instant::now() + PATIENCE;
    while seen.refused < REFUSALS {
        assert!(Instant::now() < deadline, "still admitted after {PATIENCE:?}: {seen:?}");
        let response = tunnel.request(&Request::get(HOST, "/")).await.expect("an answer");
        match response.status {
            200 => seen.admitted += 1,
            429 => {
                assert_eq!(response.header("x-ratelimit-limit"), Some(CAPACITY.to_string()));
                assert_eq!(response.header("x-ratelimit-remaining").as_deref(), Some("0"));
                assert_eq!(response.header("retry-after").as_deref(), Some("1"));
                seen.refused += 1;
            }
            other => panic!("status {other}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_together_admit_what_the_limit_gives_and_no_more() {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let limit = json!({"requests": 300, "burst": 100, "unit": "Minutes"});
    let policies = json!({"policies": [
        {"name": "limit", "traffic": {"rateLimit": {"local": [limit]}}},
    ]});
    let options = WaypointOptions::new(&pki, origin.port())
        .workers(WORKERS)
        .plugin_configuration(policies.to_string());
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let client = waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
    let mut tunnels = Vec::new();
    for _ in 0..LINES {
        // A connection each, as it is connections that are spread over workers.
        let connection = client.connect().await.expect("a connection");
        tunnels.push(connection.tunnel(&waypoint.vip(HOST)).await.expect("a tunnel"));
    }
    let each = waypoint.connections(WORKERS as usize);
    assert!(each.iter().all(|count| *count > 0), "a worker has no connection: {each:?}");

    let began = Instant::now();
    let lines: Vec<_> = tunnels.into_iter().map(|tunnel| tokio::spawn(hammer(tunnel))).collect();
    let mut admitted = 0;
    for line in lines {
        admitted += line.await.expect("the task ends").admitted;
    }
    let took = began.elapsed();
    let most = CAPACITY + (took.as_secs_f64() * RATE) as u64 + 1;
    println!("{admitted} admitted in {took:?} by {each:?}, the limit gives {most}");
    assert!(admitted <= most, "{admitted} of {most} in {took:?}");
    // All that a full bucket has was given: what one worker takes and does not spend is little.
    assert!(admitted >= CAPACITY, "{admitted} of {CAPACITY}");
    assert_eq!(origin.requests_where(|_| true).len() as u64, admitted);

    // Another caller's bucket is full.
    let other = waypoint.caller(TEAM_B_SPIFFE_ID).timeout(PATIENCE);
    let answer = other.request(&waypoint.vip(HOST), &Request::get(HOST, "/")).await;
    assert_eq!(answer.expect("an answer").status, 200);
}
