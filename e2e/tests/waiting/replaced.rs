//! In a real Envoy: requests that are held while their configuration is replaced, or while their VM
//! dies. Each test has an Envoy of its own.

use std::sync::Arc;
use std::time::Duration;

use e2e::ecds::PluginFile;
use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions};
use e2e::hbone::HboneClient;
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::policies::asking;
use crate::setting::{CLUSTER, built, get, react};

const HOST: &str = "api.github.com";
/// Longer than any test holds a request.
const LONG: Duration = Duration::from_secs(60);

fn marking(mark: &str) -> String {
    asking(CLUSTER, LONG, false, mark)
}

/// An Envoy with one worker that looks its plugin up in a file.
struct Setting {
    waypoint: Waypoint,
    origin: Origin,
    service: Service,
    plugin: PluginFile,
}

impl Setting {
    fn start() -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
        let service = Service::start(react).expect("the service starts");
        let mut plugin = PluginFile::new(&built()).expect("a plugin");
        plugin.publish(&marking("old")).expect("a file");
        let options = WaypointOptions::new(&pki, origin.port())
            .cluster(CLUSTER, Some(service.port()))
            .edit(plugin.attach());
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, service, plugin }
    }

    fn client(&self) -> HboneClient {
        self.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE)
    }

    async fn ask(&self, id: &str, request: Request) -> Response {
        let request = request.header("x-request-id", id);
        let response = self.client().request(&self.waypoint.vip(HOST), &request).await;
        response.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// Sends a request that is held.
    async fn hold(&self, id: &str) -> JoinHandle<Response> {
        let before = self.held();
        let (client, vip) = (self.client(), self.waypoint.vip(HOST));
        let request = get(HOST, "/slow", "/held").header("x-request-id", id);
        let held = tokio::spawn(async move {
            client.request(&vip, &request).await.unwrap_or_else(|error| panic!("{error}"))
        });
        self.waypoint.until("the call", || self.held() > before).await;
        held
    }

    fn held(&self) -> usize {
        self.service.calls_where(|call| call.target == "/held").len()
    }

    fn arrived(&self, id: &str) -> Vec<Received> {
        self.origin.requests_where(|request| request.values("x-request-id") == [id])
    }

    fn marks(&self, id: &str) -> Vec<String> {
        self.arrived(id).iter().flat_map(|request| request.values("x-mark")).collect()
    }

    /// Asks about one request after another until one is answered so.
    async fn ask_until(&self, id: &str, is_so: impl Fn(&Self, &str, &Response) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        for attempt in 0.. {
            let id = format!("{id}-{attempt}");
            let response = self.ask(&id, get(HOST, "/zen", "/ok")).await;
            if is_so(self, &id, &response) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{id}: {response:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn statistic(&self, name: &str) -> u64 {
        self.waypoint.stats(name).expect("statistics").get(name).copied().unwrap_or(0)
    }
}

/// The response of a request that was held.
async fn ended(held: JoinHandle<Response>) -> Response {
    let response = tokio::time::timeout(PATIENCE, held).await.expect("no request hangs");
    response.expect("a response")
}

#[tokio::test]
async fn a_held_request_ends_under_the_configuration_that_it_was_held_under() {
    let mut setting = Setting::start();
    let first = setting.hold("first").await;
    for mark in ["between", "new"] {
        setting.plugin.publish(&marking(mark)).expect("a file");
        setting.ask_until(mark, |setting, id, _| setting.marks(id) == [mark]).await;
    }
    let second = setting.hold("second").await;
    assert_eq!((setting.arrived("first"), setting.arrived("second")), (vec![], vec![]));
    setting.service.release();
    assert_eq!((ended(first).await.status, ended(second).await.status), (200, 200));
    assert_eq!(
        (setting.marks("first"), setting.marks("second")),
        (vec!["old".to_owned()], vec!["new".to_owned()],)
    );
    assert_eq!(setting.statistic("wasmcustom.egress_ignored_answers"), 0);
}

/// Envoy answers a request of a dead VM when the filter is next to be called about it. There is
/// nothing to call it about while the request is held: neither the answer of the service nor the
/// body reaches the filter. So the request waits until its caller leaves, and none of it goes on.
#[tokio::test]
async fn a_request_that_is_held_when_its_vm_dies_never_goes_on_and_later_ones_are_asked_about() {
    let setting = Setting::start();
    let held = setting.hold("held").await;
    let trap = get(HOST, "/zen", "/ok").header("x-trap-for-tests", "request");
    assert_eq!(setting.ask("trap", trap).await.status, 503);
    setting.ask_until("again", |_, _, response| response.status == 200).await;
    setting.service.release();
    let next = setting.hold("next").await;
    assert_eq!(setting.arrived("next"), []);
    setting.service.release();
    assert_eq!(ended(next).await.status, 200);
    assert_eq!(setting.marks("next"), ["old"]);

    assert!(!held.is_finished(), "{:?}", held.await);
    held.abort();
    let is_over = |entry: &Value| entry["path"] == "/slow" && entry["response_code"] == 0;
    setting.waypoint.until("its end", || setting.waypoint.access_log().iter().any(is_over)).await;
    assert_eq!(setting.arrived("held"), [], "nothing of it went on");
    let records = setting.waypoint.audit_records();
    assert!(!records.iter().any(|record| record["requestId"] == "held"), "{records:#?}");
    let reloads = "wasm.egress-direct.egress-filter.vm_reload_success";
    assert_eq!(setting.statistic(reloads), 1);
}
