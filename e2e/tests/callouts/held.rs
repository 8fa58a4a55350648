//! Calls that are under way when something happens to the stream, the configuration or the VM.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use e2e::ecds::PluginFile;
use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, filter_wasm, trapping_wasm};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::columns::{Asking, Cluster, Column, Times};
use crate::fault::Fault;
use crate::grpc::GrpcService;
use crate::setting::enter;

const HOST: &str = "api.github.com";

fn patient(column: Column) -> Asking {
    Asking { column, cluster: Cluster::Served, fails_open: true, times: Times::Patient }
}

/// Envoy does not cancel a call of HTTP when its stream goes. One of gRPC is given up, so that the
/// service need not answer it.
#[tokio::test]
async fn a_caller_who_leaves_is_recorded_and_a_call_of_grpc_is_given_up() {
    let (_turn, setting) = enter().await;
    let names = ["egress_allowed", "egress_denied", "egress_ignored_answers"];
    for column in Column::ALL {
        let before = setting.waypoint.settled(&names).await;
        let canceled = setting.grpc.canceled();
        let calls = |column: Column| match column {
            Column::Http => setting.http.calls_where(|call| call.target == "/fault/held").len(),
            Column::Grpc | Column::RateLimit => setting.grpc.received(Fault::Held).len(),
        };
        let made = calls(column);
        let id = format!("leaves {}", column.word());
        let asked = setting.ask(patient(column), Fault::Held, &id);
        tokio::select! {
            response = asked => panic!("{id}: {response:?}"),
            () = setting.waypoint.until("the call", || calls(column) > made) => {}
        }
        let record = setting.waypoint.record(&id).await;
        assert_eq!((&record["verdict"], &record["reason"]), (&json!("deny"), &json!("gone")));
        if column.is_grpc() {
            setting
                .waypoint
                .until("the end of the call", || setting.grpc.canceled() > canceled)
                .await;
        }
        setting.http.release();
        setting.grpc.release();
        let ignored = u64::from(!column.is_grpc());
        let wanted = [before[0], before[1] + 1, before[2] + ignored];
        setting.waypoint.until_settled(&names, &wanted).await;
        assert_eq!(setting.arrived(&id), [], "{id}");
    }
}

/// An Envoy with one worker that looks its plugin up in a file.
struct Replaceable {
    waypoint: Waypoint,
    origin: Origin,
    http: Service,
    grpc: GrpcService,
    plugin: PluginFile,
}

/// What asks about every request, and marks what goes on.
fn marking(column: Column, mark: &str) -> String {
    let mut configuration = patient(column).configuration();
    configuration["policies"][0]["traffic"]["transformation"] =
        json!({"request": {"set": [{"name": "x-mark", "value": format!("'{mark}'")}]}});
    configuration.to_string()
}

impl Replaceable {
    fn start(column: Column, module: &Path) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
        let http = Service::start(|call| Fault::of_http(call, Duration::ZERO));
        let http = http.expect("the service starts");
        let grpc = GrpcService::start(Duration::ZERO);
        let mut plugin = PluginFile::new(module).expect("a plugin");
        plugin.publish(&marking(column, "old")).expect("a file");
        let port = if column.is_grpc() { grpc.port() } else { http.port() };
        let options = WaypointOptions::new(&pki, origin.port()).edit(plugin.attach());
        let cluster = Cluster::Served.name(column);
        let options = match column.is_grpc() {
            true => options.grpc_cluster(&cluster, Some(port)),
            false => options.cluster(&cluster, Some(port)),
        };
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, http, grpc, plugin }
    }

    fn send(&self, id: &str, request: Request) -> JoinHandle<Response> {
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
        let vip = self.waypoint.vip(HOST);
        let (id, request) = (id.to_owned(), request.header("x-request-id", id));
        tokio::spawn(async move {
            client.request(&vip, &request).await.unwrap_or_else(|error| panic!("{id}: {error}"))
        })
    }

    /// Sends a request that is held.
    async fn hold(&self, id: &str) -> JoinHandle<Response> {
        let before = self.calls();
        let held = self.send(id, Request::get(HOST, Fault::Held.path()));
        self.waypoint.until("the call", || self.calls() > before).await;
        held
    }

    fn calls(&self) -> usize {
        let of_http = self.http.calls_where(|call| call.target == "/fault/held").len();
        of_http + self.grpc.received(Fault::Held).len()
    }

    fn release(&self) {
        self.http.release();
        self.grpc.release();
    }

    fn marks(&self, id: &str) -> Vec<String> {
        let arrived = self.origin.requests_where(|request| request.values("x-request-id") == [id]);
        arrived.iter().flat_map(|request| request.values("x-mark")).collect()
    }

    /// Sends requests until one goes on with this mark.
    async fn until_marked(&self, mark: &str) {
        let deadline = std::time::Instant::now() + PATIENCE;
        for attempt in 0.. {
            let id = format!("{mark}-{attempt}");
            let response = self.send(&id, Request::get(HOST, "/zen")).await.expect("a response");
            if response.status == 200 && self.marks(&id) == [mark] {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{id}: {response:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The response to a request that was held.
async fn ended(held: JoinHandle<Response>) -> Response {
    tokio::time::timeout(PATIENCE, held).await.expect("no request hangs").expect("a response")
}

#[tokio::test]
async fn a_held_request_ends_under_the_configuration_that_it_was_held_under() {
    for column in Column::ALL {
        let mut setting = Replaceable::start(column, &filter_wasm());
        let first = setting.hold("first").await;
        setting.plugin.publish(&marking(column, "new")).expect("a file");
        setting.until_marked("new").await;
        let second = setting.hold("second").await;
        setting.release();
        assert_eq!((ended(first).await.status, ended(second).await.status), (200, 200));
        assert_eq!(
            (setting.marks("first"), setting.marks("second")),
            (vec!["old".to_owned()], vec!["new".to_owned()],)
        );
    }
}

fn trapping() -> PathBuf {
    let path = trapping_wasm();
    assert!(path.exists(), "`{}` is not there: run `make build-trapping` first", path.display());
    path
}

/// Nothing calls the filter of a dead VM about a request that is held there, so that Envoy does not
/// answer it: it waits until its caller leaves.
#[tokio::test]
async fn a_request_that_is_held_when_its_vm_dies_never_goes_on() {
    for column in Column::ALL {
        let setting = Replaceable::start(column, &trapping());
        let held = setting.hold("held").await;
        let trap = Request::get(HOST, "/zen").header("x-trap-for-tests", "request");
        assert_eq!(setting.send("trap", trap).await.expect("a response").status, 503);
        setting.until_marked("old").await;
        setting.release();
        let next = setting.hold("next").await;
        setting.release();
        assert_eq!(ended(next).await.status, 200);
        assert!(!held.is_finished(), "{column:?}: {:?}", held.await);
        held.abort();
        let path = Fault::Held.path();
        let is_over = |entry: &Value| entry["path"] == *path && entry["response_code"] == 0;
        let is_logged = || setting.waypoint.access_log().iter().any(is_over);
        setting.waypoint.until("the end of the stream", is_logged).await;
        assert_eq!(setting.marks("held"), Vec::<String>::new(), "nothing of it went on");
    }
}
