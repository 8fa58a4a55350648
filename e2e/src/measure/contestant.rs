//! The Envoys that are compared: the same chain of a waypoint, with one filter or another in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MeasureError, load, workshop};
use crate::envoy::{Waypoint, WaypointOptions, filter_wasm, workspace_root};
use crate::pki::{Pki, TEAM_A_SPIFFE_ID};
use crate::ports;

/// What runs in an Envoy, what it is asked, and what it must answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) status: u16,
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    None,
    Empty,
    /// The workshop's policies, with this audit log.
    Workshop(&'static str),
}

/// The path that the workshop's policies deny.
const DENIED: &str = "/users/torvalds";

const SERIES: [Series; 5] = [
    Series { name: "no filter", path: "/zen", status: 200, filter: Filter::None },
    Series { name: "empty filter", path: "/zen", status: 200, filter: Filter::Empty },
    Series { name: "workshop", path: "/zen", status: 200, filter: Filter::Workshop("None") },
    Series { name: "workshop, every decision logged", path: "/zen", status: 200, filter: Filter::Workshop("All") },
    Series { name: "workshop, denied", path: DENIED, status: 403, filter: Filter::Workshop("None") },
];

/// A running Envoy.
#[derive(Debug)]
pub(super) struct Contestant {
    pub(super) series: Series,
    pub(super) waypoint: Waypoint,
    pub(super) address: SocketAddr,
    /// From its start until it served.
    pub(super) start: Duration,
}

impl Contestant {
    /// The time that its threads have had a processor, to the nanosecond where the kernel keeps it, else to a tick.
    pub(super) fn processor_time(&self) -> std::io::Result<Duration> {
        let tasks = format!("/proc/{}/task", self.waypoint.process().pid());
        let mut sum = Duration::ZERO;
        for task in std::fs::read_dir(tasks)? {
            let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            match text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()) {
                Some(nanoseconds) => sum += Duration::from_nanos(nanoseconds),
                None => return self.waypoint.cpu_time(),
            }
        }
        Ok(sum)
    }
}

/// Starts all, and sees that each answers as it must: an allowed request, and one that only the policies deny.
pub(super) async fn start_all() -> Result<Vec<Contestant>, MeasureError> {
    let empty = build_empty()?;
    let pki = Arc::new(Pki::new());
    let mut contestants = Vec::new();
    for series in SERIES {
        let port = ports::free(1)?[0];
        // No origin: the chain answers by itself, so that no other process's work is in the figures.
        let options = WaypointOptions::new(&pki, 1).edit(move |envoy| shorten(envoy, port));
        let options = match series.filter {
            Filter::None => options.without_filter(),
            Filter::Empty => options.wasm(&empty),
            Filter::Workshop(audit) => options.wasm(filter_wasm()).plugin_configuration(workshop(audit)?),
        };
        let before = Instant::now();
        let waypoint = Waypoint::start(options).map_err(|source| MeasureError::Start { name: series.name, source })?;
        let start = before.elapsed();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let denied = if matches!(series.filter, Filter::Workshop(_)) { 403 } else { 200 };
        for (path, expected) in [("/zen", 200), (DENIED, denied)] {
            let got = load::status(address, path).await?;
            if got != expected {
                return Err(MeasureError::Status { name: series.name, expected, got });
            }
        }
        contestants.push(Contestant { series, waypoint, address, start });
    }
    Ok(contestants)
}

/// Puts a plain listener before api.github.com's chain, whose route answers by itself: encrypting HBONE would cost several
/// times what is to be measured. The caller's identity is put where HBONE would put it, by the same filter in all.
fn shorten(envoy: &mut Value, port: u16) {
    let Some(listeners) = envoy["static_resources"]["listeners"].as_array_mut() else { return };
    let mut chain = listeners
        .iter()
        .find(|listener| listener["name"] == "main_internal")
        .map_or(Value::Null, |listener| listener["filter_chains"][0].clone());
    let manager = &mut chain["filters"][0]["typed_config"];
    if let Some(fields) = manager.as_object_mut() {
        fields.remove("access_log");
    }
    let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0];
    *route = json!({"name": "default", "match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}});
    let identity = json!({
        "name": "connect_authority",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": "io.istio.peer_principal",
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": TEAM_A_SPIFFE_ID}},
            }],
        },
    });
    if let Some(filters) = manager["http_filters"].as_array_mut() {
        filters.insert(0, identity);
    }
    listeners.push(json!({
        "name": "measured",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }));
}

/// Builds the empty filter and gives its path.
fn build_empty() -> Result<PathBuf, MeasureError> {
    let root = workspace_root();
    let mut command = Command::new(root.join("e2e/setup/cargo-wasm"));
    command
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip1"])
        .args(["--manifest-path", "e2e/guests/empty/Cargo.toml", "--target-dir", "target/guests"])
        .current_dir(&root);
    if !command.status()?.success() {
        return Err(MeasureError::Build(format!("{command:?}")));
    }
    Ok(root.join("target/guests/wasm32-wasip1/release/empty_filter.wasm"))
}
