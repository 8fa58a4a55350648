//! Requests that a waypoint proxies from end to end: HBONE to it, TLS to the origin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::envoys::processor_time;
use super::policies::Audit;
use super::subject::Contestants;
use super::{BenchError, Options, load, say};
use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::hbone::Tunnel;
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};

/// How many tunnels there are, on one connection as ztunnel's.
const TUNNELS: usize = 8;

const HOST: &str = "api.github.com";

/// What one waypoint took.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) name: &'static str,
    /// Microseconds of the waypoint's processor time a request, one for each round.
    pub(super) samples: Vec<f64>,
    /// Milliseconds from a request to its response, one for each round.
    pub(super) latencies: Vec<f64>,
}

/// Asks waypoints in turn: without a filter, with the floor, and with ours. The first is the one
/// without.
pub(super) async fn measure(
    contestants: &Contestants,
    options: &Options,
) -> Result<Vec<Proxied>, BenchError> {
    say("proxied from end to end");
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0)?;
    let new = || WaypointOptions::new(&pki, origin.port());
    let ours = contestants.workshop.audit(Audit::None).text();
    let mut waypoints = Vec::new();
    for (name, options) in [
        ("no filter", new().without_filter()),
        ("floor, host bound", new().wasm(&contestants.guests.floor_binding)),
        ("ours, nothing logged", new().plugin_configuration(ours)),
    ] {
        let waypoint = Waypoint::start(options)
            .map_err(|source| BenchError::Start { name: name.to_owned(), source })?;
        let tunnels = tunnels(&waypoint).await?;
        let row = Proxied { name, samples: Vec::new(), latencies: Vec::new() };
        waypoints.push((waypoint, tunnels, row));
    }
    for round in 0..=options.rounds {
        for turn in 0..waypoints.len() {
            let at = (turn + round) % waypoints.len();
            let (waypoint, tunnels, row) = &mut waypoints[at];
            let before = processor_time(waypoint.process())?;
            let requests = ask(tunnels, options.round).await?;
            let used = processor_time(waypoint.process())?.saturating_sub(before);
            // The first round warms up.
            if round > 0 {
                row.samples.push(used.as_secs_f64() * 1e6 / requests.max(1) as f64);
                let waited = options.round.as_secs_f64() * 1e3 * TUNNELS as f64;
                row.latencies.push(waited / requests.max(1) as f64);
            }
            origin.take_requests();
        }
    }
    Ok(waypoints.into_iter().map(|(_, _, row)| row).collect())
}

/// What a waypoint takes beyond the one without a filter, round by round.
pub(super) fn added(rows: &[Proxied], row: &Proxied) -> Vec<f64> {
    let none = rows.first().map_or(&[][..], |none| &none.samples);
    row.samples.iter().zip(none).map(|(own, none)| own - none).collect()
}

async fn tunnels(waypoint: &Waypoint) -> Result<Vec<Tunnel>, BenchError> {
    let client = waypoint.caller(TEAM_A_SPIFFE_ID);
    let authority = waypoint.vip(HOST);
    let mut tunnels = Vec::new();
    for _ in 0..TUNNELS {
        let tunnel = client.tunnel(&authority).await;
        tunnels.push(tunnel.map_err(|error| BenchError::other("a tunnel", error))?);
    }
    Ok(tunnels)
}

/// Sends requests on all tunnels for a while, and returns how many were answered.
async fn ask(tunnels: &mut Vec<Tunnel>, round: Duration) -> Result<u64, BenchError> {
    let bytes = load::request("/zen").to_bytes();
    let end = Instant::now() + round;
    let mut clients = JoinSet::new();
    for mut tunnel in tunnels.drain(..) {
        let bytes = bytes.clone();
        clients.spawn(async move {
            let mut answered = 0;
            while Instant::now() < end {
                let response = tunnel
                    .send_raw(&bytes)
                    .await
                    .map_err(|error| BenchError::other("a proxied request", error))?;
                BenchError::check("a proxied request", "status", &200, &response.status)?;
                answered += 1;
            }
            Ok::<_, BenchError>((tunnel, answered))
        });
    }
    let mut sum = 0;
    while let Some(client) = clients.join_next().await {
        let (tunnel, answered) = client.map_err(|error| BenchError::other("a client", error))??;
        tunnels.push(tunnel);
        sum += answered;
    }
    Ok(sum)
}
