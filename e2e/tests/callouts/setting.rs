//! An Envoy whose filter asks services, and what can be seen of it.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use e2e::envoy::{Waypoint, WaypointOptions, filter_wasm};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::{Mutex, MutexGuard};

use crate::columns::{Asking, Cluster, Column, TIMEOUT};
use crate::fault::Fault;
use crate::grpc::GrpcService;

/// How long anything may take on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A little more than the period in which the filter tells its counters.
const TOLD: Duration = Duration::from_millis(350);
/// When a late answer comes: once the filter has given up, and while the test still looks.
const LATE: Duration = TIMEOUT.saturating_mul(2);

/// An Envoy with one worker, the origin behind it, and the services beside it.
pub(crate) struct Setting {
    pub(crate) waypoint: Waypoint,
    pub(crate) origin: Origin,
    pub(crate) http: Service,
    pub(crate) grpc: GrpcService,
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
        let http = Service::start(|call| Fault::of_http(call, LATE)).expect("the service starts");
        let grpc = GrpcService::start(LATE);
        let refusing = TcpSocket::new_v4().expect("a socket");
        refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let refusing_port = refusing.local_addr().expect("an address").port();

        let mut options = WaypointOptions::new(&pki, origin.port()).wasm(filter_wasm());
        for column in [Column::Http, Column::Grpc] {
            let served = if column.is_grpc() { grpc.port() } else { http.port() };
            for (cluster, port) in [
                (Cluster::Served, Some(served)),
                (Cluster::Refused, Some(refusing_port)),
                (Cluster::Empty, None),
            ] {
                options = options.cluster(&cluster.name(column), port);
            }
        }
        for asking in Asking::all() {
            options = options.service(&asking.host());
        }
        let waypoint = Waypoint::start(options.edit(configure).edit(speak_http2))
            .unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, http, grpc, _refusing: refusing }
    }

    /// Sends a request as team-a, by whose id its record can be found, and reads the response.
    pub(crate) async fn ask(&self, asking: Asking, fault: Fault, id: &str) -> Response {
        let host = asking.host();
        let path = fault.path();
        let request = Request::get(&host, &path).header("x-request-id", id);
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
        let response = client.request(&self.waypoint.vip(&host), &request).await;
        response.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// What reached the origin of a request.
    pub(crate) fn arrived(&self, id: &str) -> Vec<Received> {
        self.origin.requests_where(|request| request.values("x-request-id") == [id])
    }

    /// The one record of a request.
    pub(crate) async fn record(&self, id: &str) -> Value {
        let find = || {
            let records = self.waypoint.audit_records().into_iter();
            records.filter(|record| record["requestId"] == id).collect::<Vec<_>>()
        };
        self.until(&format!("the record of {id}"), |_| !find().is_empty()).await;
        let [record] = &find()[..] else { panic!("several records of {id}") };
        record.clone()
    }

    /// A counter of the filter's, as it stands in Envoy; 0 where it was never told.
    fn counter(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.{name}");
        self.waypoint.stats(&name).expect("statistics").get(&name).copied().unwrap_or(0)
    }

    /// Counters of the filter's, once it has told what it counted.
    pub(crate) async fn settled(&self, names: &[&str]) -> Vec<u64> {
        let read = || names.iter().map(|name| self.counter(name)).collect::<Vec<u64>>();
        let mut last = read();
        loop {
            tokio::time::sleep(TOLD).await;
            let now = read();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Waits until counters have these values, and checks that they keep them.
    pub(crate) async fn until_settled(&self, names: &[&str], wanted: &[u64]) {
        let read = |setting: &Self| -> Vec<u64> {
            names.iter().map(|name| setting.counter(name)).collect()
        };
        self.until(&format!("{names:?} are {wanted:?}"), |setting| read(setting) == wanted).await;
        assert_eq!(self.settled(names).await, wanted, "{names:?}");
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let log = self.waypoint.process().log_tail();
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}\n{log}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Gives each chain its own configuration.
fn configure(envoy: &mut Value) {
    let listeners = envoy["static_resources"]["listeners"].as_array_mut().into_iter().flatten();
    for listener in listeners.filter(|listener| listener["name"] == "main_internal") {
        for chain in listener["filter_chains"].as_array_mut().into_iter().flatten() {
            let host = chain["name"].as_str().and_then(|name| name.rsplit('|').next());
            let all = Asking::all();
            let asking = all.iter().find(|asking| Some(&*asking.host()) == host);
            let Some(asking) = asking else { continue };
            let text = asking.configuration().to_string();
            let filters = &mut chain["filters"][0]["typed_config"]["http_filters"];
            filters[0]["typed_config"]["config"]["configuration"]["value"] = json!(text);
        }
    }
}

/// Has the clusters of gRPC spoken to in HTTP/2.
pub(crate) fn speak_http2(envoy: &mut Value) {
    for cluster in envoy["static_resources"]["clusters"].as_array_mut().into_iter().flatten() {
        if cluster["name"].as_str().is_some_and(|name| name.contains("-grpc.")) {
            let options = &mut cluster["typed_extension_protocol_options"];
            options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"] = json!({
                "@type": "type.googleapis.com/\
                          envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            });
        }
    }
}
