//! A real Envoy whose filter asks services, and what can be seen of it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, trapping_wasm};
use e2e::http1::{ReceivedRequest, Request, Response};
use e2e::origin::{Mode, Origin, Reaction, Received, Service, Wait};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::sync::{Mutex, MutexGuard};

use crate::policies::{TIMEOUT, asking};

/// How long anything may take on the slowest machine; a condition is checked again and again until
/// Longer than any test holds a request.
const LONG: Duration = Duration::from_secs(60);

/// The cluster of the service.
pub(crate) const CLUSTER: &str = "outbound|8080||probe.default.svc.cluster.local";
const REFUSING: &str = "outbound|8080||refusing.default.svc.cluster.local";
const EMPTY: &str = "outbound|8080||empty.default.svc.cluster.local";
const MISSING: &str = "outbound|8080||missing.default.svc.cluster.local";

/// A host whose requests are asked about for as long as a test needs.
pub(crate) const PATIENT: &str = "patient.example";
/// The same, with an origin that speaks HTTP/2.
pub(crate) const HTTP2: &str = "http2.example";

/// The beginnings of the names of hosts, and what their requests are asked about. Each is there
/// twice, with the ends `-closed.example` and `-open.example` for the two failure modes.
const ASKED: [(&str, &str); 4] =
    [("served", CLUSTER), ("refused", REFUSING), ("empty", EMPTY), ("missing", MISSING)];

/// How many bytes the service's largest answer has.
pub(crate) const LARGE: usize = 1_000_000;

/// How the service answers, by the path that is called.
pub(crate) fn react(call: &ReceivedRequest) -> Reaction {
    let text = |status, body: &str| Reaction::answer(status, &[], body);
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n";
    match call.target.as_str() {
        "/late" => text(200, "").after(Wait::For(TIMEOUT / 4)),
        "/never" => Reaction::never(),
        "/cut-in-headers" => Reaction::cut_off(part),
        "/cut-in-body" => Reaction::cut_off(format!("{part}\r\nbegin")),
        "/no-answer" => Reaction::cut_off(""),
        "/error" => text(500, "oops"),
        "/refusal" => text(418, "short"),
        "/large-refusal" => Reaction::answer(418, &[], large()),
        "/large" => Reaction::answer(200, &[], large()),
        "/held" => text(200, "").after(Wait::Release),
        target => match target.strip_prefix("/own/").map(str::parse::<usize>) {
            Some(Ok(number)) if number % 2 == 1 => text(418, target).after(Wait::Release),
            Some(_) => text(200, "").after(Wait::Release),
            None => text(200, ""),
        },
    }
}

/// A body whose parts differ.
pub(crate) fn large() -> Vec<u8> {
    (0_u32..).flat_map(u32::to_be_bytes).take(LARGE).collect()
}

/// An Envoy with one worker, the origin behind it, and the service beside it.
pub(crate) struct Setting {
    pub(crate) waypoint: Waypoint,
    pub(crate) origin: Origin,
    pub(crate) service: Service,
    /// Holds the port on which nobody listens.
    _refusing: TcpSocket,
}

static SETTING: LazyLock<Setting> = LazyLock::new(Setting::start);
static TURN: Mutex<()> = Mutex::const_new(());

/// The shared Envoy, for one test at a time: its counters are those of all its requests.
pub(crate) async fn enter() -> (MutexGuard<'static, ()>, &'static Setting) {
    (TURN.lock().await, &*SETTING)
}

impl Setting {
    fn start() -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
        let service = Service::start(react).expect("the service starts");
        let refusing = TcpSocket::new_v4().expect("a socket");
        refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let refusing_port = refusing.local_addr().expect("an address").port();

        let mut configurations = BTreeMap::from([
            (PATIENT.to_owned(), asking(CLUSTER, LONG, false, "audited")),
            (HTTP2.to_owned(), asking(CLUSTER, LONG, false, "audited")),
        ]);
        for (name, cluster) in ASKED {
            for (end, fail_open) in [("closed", false), ("open", true)] {
                let configuration = asking(cluster, TIMEOUT, fail_open, "audited");
                configurations.insert(format!("{name}-{end}.example"), configuration);
            }
        }
        let mut options = WaypointOptions::new(&pki, origin.port())
            .wasm(built())
            .cluster(CLUSTER, Some(service.port()))
            .cluster(REFUSING, Some(refusing_port))
            .cluster(EMPTY, None);
        for host in configurations.keys() {
            options = options.service(host);
        }
        let options = options
            .configurations(move |host| configurations.get(host).cloned())
            .http2_origins(|name| name.ends_with(HTTP2));
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, service, _refusing: refusing }
    }

    /// Sends a request as team-a, by which its record can be found, and reads the response.
    pub(crate) async fn ask(&self, host: &str, id: &str, request: Request) -> Response {
        let vip = self.waypoint.vip(host);
        let request = request.header("x-request-id", id);
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
        client.request(&vip, &request).await.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// What reached the origin of a request.
    pub(crate) fn arrived(&self, id: &str) -> Vec<Received> {
        self.origin.requests_where(|request| request.values("x-request-id") == [id])
    }

    /// The calls of this path that the service got.
    pub(crate) fn calls(&self, target: &str) -> Vec<ReceivedRequest> {
        self.service.calls_where(|call| call.target == target)
    }

    /// The entry of Envoy's access log for the request of this path.
    pub(crate) async fn logged_access(&self, path: &str) -> Value {
        let find = || self.waypoint.access_log().into_iter().find(|entry| entry["path"] == path);
        self.waypoint
            .until(&format!("the access log's entry of {path}"), || find().is_some())
            .await;
        find().unwrap_or_default()
    }

    /// Checks by how much counters have gone up since they were read.
    pub(crate) async fn assert_grown(&self, names: &[&str], before: &[u64], expected: &[u64]) {
        let grown = || -> Vec<u64> {
            names
                .iter()
                .zip(before)
                .map(|(name, before)| self.waypoint.counter(name) - before)
                .collect()
        };
        let what = format!("{names:?} go up by {expected:?}");
        self.waypoint.until(&what, || grown() == expected).await;
        self.waypoint.settled(names).await;
        assert_eq!(grown(), expected, "{names:?}");
    }

    /// Checks that no VM died, and that nothing failed that must not.
    pub(crate) async fn assert_unharmed(&self) {
        assert_eq!(self.waypoint.settled(&["egress_internal_errors"]).await, [0]);
        let lines = self.waypoint.log_lines();
        let is_bad = |line: &&String| line.contains("RuntimeError") || line.contains("panicked");
        let bad = lines.iter().find(is_bad);
        assert_eq!(bad, None);
    }
}

/// The module for tests.
pub(crate) fn built() -> std::path::PathBuf {
    let path = trapping_wasm();
    assert!(path.exists(), "`{}` is not there: run `make build-trapping` first", path.display());
    path
}

/// A GET that the service is to be asked about.
pub(crate) fn get(host: &str, path: &str, probe: &str) -> Request {
    Request::get(host, path).header("x-probe", probe)
}
