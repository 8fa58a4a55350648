//! An Envoy whose filter asks services, and what can be seen of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, filter_wasm};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use tokio::net::TcpSocket;
use tokio::sync::{Mutex, MutexGuard};

use crate::columns::{Asking, Cluster, Column, TIMEOUT};
use crate::fault::Fault;
use crate::grpc::GrpcService;

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
                let name = cluster.name(column);
                options = match column.is_grpc() {
                    true => options.grpc_cluster(&name, port),
                    false => options.cluster(&name, port),
                };
            }
        }
        for asking in Asking::all() {
            options = options.service(&asking.host());
        }
        let options = options.configurations(|host| {
            let asking = Asking::all().into_iter().find(|asking| asking.host() == host)?;
            Some(asking.configuration().to_string())
        });
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
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
}
