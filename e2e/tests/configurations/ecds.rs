//! The filter's configuration by extension discovery (ECDS), as Istio delivers it, here from a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::envoy::{Pod, Waypoint, WaypointOptions, workspace_root};
use e2e::http1::Request;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use serde_json::{Value, json};

const HOST: &str = "api.github.com";
const NAME: &str = "extensions.istio.io/wasmplugin/egress-direct.egress-filter";

const BROKEN: &str =
    r#"{"policies": [{"name": "p", "traffic": {"authorization": {"action": "Allow", "policy": {"matchExpressions": ["nope"]}}}}]}"#;
const BROKEN_ERROR: &str =
    "policy `p`: policies[0].traffic.authorization.policy.matchExpressions[0]: line 1, column 1: unknown attribute `nope`";

/// A policy that lets nobody but this namespace through.
fn only(namespace: &str) -> String {
    let rule = format!("source.identity.namespace == '{namespace}'");
    json!({"policies": [{"name": "p", "traffic": {"authorization": {"action": "Allow", "policy": {"matchExpressions": [rule]}}}}]})
        .to_string()
}

/// A waypoint that reads its plugin from a file, and that file.
struct Discovery {
    waypoint: Waypoint,
    _origin: Origin,
    file: PathBuf,
    plugin: Value,
    version: u32,
    _folder: tempfile::TempDir,
}

impl Discovery {
    fn start(first: &str) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
        let parent = workspace_root().join("target/e2e");
        std::fs::create_dir_all(&parent).expect("a folder");
        let folder = tempfile::Builder::new().prefix("ecds-").tempdir_in(parent).expect("a folder");
        let file = folder.path().join("plugin.json");
        let plugin = plugin();
        publish(&file, &plugin, 1, first);
        let path = file.clone();
        let options = WaypointOptions::new(&pki, origin.port()).workers(2).edit(move |envoy| discover(envoy, &path));
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, _origin: origin, file, plugin, version: 1, _folder: folder }
    }

    fn update(&mut self, configuration: &str) {
        self.version += 1;
        publish(&self.file, &self.plugin, self.version, configuration);
    }

    async fn status(&self, pod: Pod) -> u16 {
        self.waypoint.pod_request(pod, HOST, &Request::get(HOST, "/zen")).await.expect("a response").status
    }

    /// Ten requests in a row, so that both workers are asked.
    async fn assert_statuses(&self, team_a: u16, team_b: u16) {
        for _ in 0..10 {
            assert_eq!((self.status(Pod::TeamA).await, self.status(Pod::TeamB).await), (team_a, team_b), "{}", self.log());
        }
    }

    async fn await_statuses(&self, team_a: u16, team_b: u16) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while (self.status(Pod::TeamA).await, self.status(Pod::TeamB).await) != (team_a, team_b) {
            assert!(Instant::now() < deadline, "no {team_a} and {team_b}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.assert_statuses(team_a, team_b).await;
    }

    /// Waits until the log has so many lines with this part.
    async fn await_log(&self, part: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.waypoint.log_lines().iter().filter(|line| line.contains(part)).count() < count {
            assert!(Instant::now() < deadline, "the log lacks `{part}` {count} times: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The statistics with this in their names.
    fn statistics(&self, part: &str) -> Vec<(String, u64)> {
        let stats = self.waypoint.stats("").expect("Envoy's statistics");
        stats.into_iter().filter(|(name, _)| name.contains(part)).collect()
    }

    /// One of Envoy's own counters of the updates of this filter.
    fn updates(&self, counter: &str) -> u64 {
        let name = format!("extension_config_discovery.http_filter.{NAME}.{counter}");
        let [(_, count)] = self.statistics(&name)[..] else { panic!("no statistic `{name}`") };
        count
    }

    fn log(&self) -> String {
        let lines = self.waypoint.log_lines().into_iter().filter(|line| line.contains("egress filter") || line.contains("[warning]"));
        lines.filter(|line| !line.contains("work-in-progress")).collect::<Vec<_>>().join("\n")
    }
}

/// `envoy.yaml`'s own wasm filter.
fn plugin() -> Value {
    let mut configuration = e2e::envoy::Configuration::load(&workspace_root().join("envoy.yaml")).expect("envoy.yaml");
    configuration.set_wasm(&e2e::envoy::filter_wasm()).expect("a wasm filter");
    let mut plugin = Value::Null;
    each_plugin(configuration.value_mut(), &mut |filter| plugin = filter["typed_config"].clone());
    assert!(plugin.is_object(), "envoy.yaml has no filter `{NAME}`");
    plugin
}

fn each_plugin(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(fields) if fields.get("name").is_some_and(|name| name == NAME) => change(value),
        Value::Object(fields) => fields.values_mut().for_each(|value| each_plugin(value, change)),
        Value::Array(items) => items.iter_mut().for_each(|value| each_plugin(value, change)),
        _ => {}
    }
}

/// Makes every chain look its filter up in the file, as Istio makes a waypoint look it up in istiod.
fn discover(envoy: &mut Value, file: &Path) {
    each_plugin(envoy, &mut |filter| {
        *filter = json!({
            "name": NAME,
            "config_discovery": {
                "config_source": {"path_config_source": {"path": file}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            },
        });
    });
}

/// Envoy watches the folder for a file that is moved into place.
fn publish(file: &Path, plugin: &Value, version: u32, configuration: &str) {
    let mut plugin = plugin.clone();
    plugin["config"]["configuration"]["value"] = json!(configuration);
    let resource = json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": NAME, "typed_config": plugin});
    let new = file.with_extension("new");
    std::fs::write(&new, json!({"version_info": version.to_string(), "resources": [resource]}).to_string()).expect("a file");
    std::fs::rename(&new, file).expect("a file");
}

const FIRST: &str = "egress filter: configuration refused, errors: 1; every request is refused until a good one comes";
const UPDATE: &str = "egress filter: configuration refused, errors: 1; the last good configuration stays in force";

#[tokio::test]
async fn a_broken_first_load_refuses_everything_and_a_broken_update_nothing() {
    let mut discovery = Discovery::start(BROKEN);
    discovery.await_log(BROKEN_ERROR, 1).await;
    discovery.await_log(FIRST, 1).await;
    discovery.assert_statuses(500, 500).await;
    // Envoy drops the statistics of a plugin that never came to be, the filter's own counter among them; its own tell.
    assert_eq!(discovery.statistics("egress_config_refused"), []);
    assert_eq!((discovery.updates("update_rejected"), discovery.updates("update_success")), (1, 0));

    discovery.update(&only("team-a"));
    discovery.await_statuses(200, 403).await;

    discovery.update(BROKEN);
    discovery.await_log(UPDATE, 1).await;
    discovery.assert_statuses(200, 403).await;

    discovery.update("{");
    discovery.await_log(UPDATE, 2).await;
    discovery.assert_statuses(200, 403).await;

    discovery.update(&only("team-b"));
    discovery.await_statuses(403, 200).await;
    assert_eq!(discovery.statistics("egress_config_refused"), [("wasmcustom.egress_config_refused_update".to_owned(), 2)]);
    assert_eq!((discovery.updates("update_rejected"), discovery.updates("update_success")), (3, 2));
    assert_eq!(discovery.waypoint.log_lines().iter().filter(|line| line.contains(FIRST)).count(), 1, "{}", discovery.log());
}
