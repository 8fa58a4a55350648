//! What the dashboard and the alerts of step 8 ask for is what a waypoint tells, with no more statistics than Istio lets it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::envoy::{Pod, Waypoint, WaypointOptions};
use e2e::http1::Request;
use e2e::manifests;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use egress_filter::outcome::Counter;
use regex_lite::Regex;
use serde_json::{Value, json};

const FILTER: &str = "extensions.istio.io/wasmplugin/egress-direct.egress-filter";

/// Metrics of Istio's own filter, which Envoy as such has not.
const ISTIOS_OWN: [&str; 2] = ["istio_requests_total", "istio_request_duration_milliseconds_bucket"];

/// A waypoint that takes the plugin's configuration from a file, as Istio's takes it from the agent.
struct Setting {
    _origin: Origin,
    waypoint: Waypoint,
    file: PathBuf,
    plugin: Value,
    _folder: tempfile::TempDir,
}

impl Setting {
    fn start(configuration: &Value) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plugin.json");
        let (sender, plugins) = std::sync::mpsc::channel();
        let (path, text) = (file.clone(), configuration.to_string());
        let options = WaypointOptions::new(&pki, origin.port()).plugin_configuration(text).edit(move |envoy| {
            envoy["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"] = included();
            discover(envoy, &path, &mut |plugin| {
                write_update(&path, plugin, 0);
                sender.send(plugin.clone()).expect("someone waits for the plugin");
            });
        });
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        let plugin = plugins.try_iter().next().expect("a plugin in envoy.yaml");
        Setting { _origin: origin, waypoint, file, plugin, _folder: folder }
    }

    fn update(&self, configuration: &str) {
        let mut plugin = self.plugin.clone();
        plugin["config"]["configuration"]["value"] = json!(configuration);
        write_update(&self.file, &plugin, 1);
    }

    async fn status(&self, pod: Pod, target: &str) -> u16 {
        let request = Request::get("api.github.com", target);
        self.waypoint.pod_request(pod, "api.github.com", &request).await.unwrap_or_else(|error| panic!("{target}: {error}")).status
    }

    /// Each metric with its value, once there is one of this name and value.
    fn metrics_with(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = self.waypoint.process().admin("/stats/prometheus").expect("Envoy's statistics");
            let metrics: Vec<(String, String)> = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| Some((line.split(['{', ' ']).next()?.to_owned(), line.rsplit_once(' ')?.1.to_owned())))
                .collect();
            if metrics.iter().any(|metric| *metric == (name.to_owned(), value.to_owned())) {
                return metrics;
            }
            assert!(Instant::now() < deadline, "no {name} {value} in\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What Istio's bootstrap always lets through, as far as it begins with a word; and what the waypoint's annotation adds.
fn included() -> Value {
    let gateway = manifests::all().into_iter().find(|manifest| manifest.kind() == "Gateway").expect("the waypoint");
    let added = gateway.value["metadata"]["annotations"]["sidecar.istio.io/statsInclusionPrefixes"].as_str().expect("prefixes").to_owned();
    let always = ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"];
    always.into_iter().chain(added.split(',')).map(|prefix| json!({"prefix": prefix})).collect()
}

/// Has each chain's plugin come from a file.
fn discover(value: &mut Value, file: &Path, found: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) if fields.get("name").is_some_and(|name| name == FILTER) => {
            found(&fields.remove("typed_config").expect("a filter's configuration"));
            let source = json!({"path_config_source": {"path": file}, "initial_fetch_timeout": "0s"});
            let kinds = json!(["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"]);
            fields.insert("config_discovery".to_owned(), json!({"config_source": source, "type_urls": kinds}));
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| discover(value, file, found)),
        Value::Array(items) => items.iter_mut().for_each(|value| discover(value, file, found)),
        _ => {}
    }
}

/// Puts a version of the plugin where Envoy looks for it; moved, so that it sees all of it at once.
fn write_update(file: &Path, plugin: &Value, version: u32) {
    let resource =
        json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": FILTER, "typed_config": plugin});
    let beside = file.with_extension(version.to_string());
    std::fs::write(&beside, json!({"version_info": version.to_string(), "resources": [resource]}).to_string()).expect("a file");
    std::fs::rename(&beside, file).expect("a moved file");
}

/// The policies of the last step, with one more that is on trial and one that errs.
fn configuration() -> Value {
    let step = manifests::all().into_iter().find(|manifest| manifest.file == "05-policy-headers.yaml").expect("step 5");
    let mut configuration = step.plugin_configuration().expect("a plugin").clone();
    let rule = |name: &str, mode: &str, expression: &str| {
        let authorization = json!({"action": "Deny", "policy": {"matchExpressions": [expression]}});
        json!({"name": name, "mode": mode, "traffic": {"authorization": authorization}})
    };
    let policies = configuration["policies"].as_array_mut().expect("policies");
    policies.push(rule("on-trial", "Shadow", r#"request.path == "/zen""#));
    policies.push(rule("errs", "Enforce", r#"request.path == "/repos/a/b" && request.headers["x-none"] == "1""#));
    configuration
}

/// Every query of step 8: of the dashboard's panels, and of the alerts.
fn queries() -> Vec<String> {
    let files = manifests::all().into_iter().filter(|manifest| manifest.kind() == "ConfigMap");
    let mut found = Vec::new();
    for manifest in files {
        for (name, text) in manifest.value["data"].as_object().expect("data") {
            let text = text.as_str().expect("a text");
            let before = found.len();
            match name.rsplit_once('.').map(|(_, extension)| extension) {
                Some("json") => collect(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}")), &mut found),
                Some("yaml") => {
                    manifests::parse(text).unwrap_or_else(|error| panic!("{name}: {error}")).iter().for_each(|one| collect(one, &mut found))
                }
                _ => panic!("{name} is neither JSON nor YAML"),
            }
            assert!(found.len() > before, "{name} has no query");
        }
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_metrics_that_a_waypoint_has() {
    let setting = Setting::start(&configuration());
    assert_eq!(setting.status(Pod::TeamA, "/zen").await, 200);
    assert_eq!(setting.status(Pod::TeamA, "/users/x").await, 403);
    assert_eq!(setting.status(Pod::TeamA, "/repos/a/b").await, 403);
    setting.update("{}}");
    setting.metrics_with("egress_config_refused_update", "1");
    let metrics = setting.metrics_with("egress_evaluation_errors", "1");
    let told: BTreeSet<&str> = metrics.iter().map(|(name, _)| name.as_str()).collect();

    let pattern = Regex::new(r#"__name__=~"([^"]+)""#).expect("a pattern");
    let word = Regex::new(r"\b[a-z_]+_[a-z_]+\b").expect("a pattern");
    let quoted = Regex::new(r#""[^"]*""#).expect("a pattern");
    // Words that are no metrics: functions, labels, and Grafana's variables.
    let others = ["histogram_quantile", "label_replace", "__name__", "__rate_interval", "__range", "source_principal", "response_code"];
    // What nothing in a running waypoint brings forth.
    let never = Counter::InternalErrors.name(None);
    let mut asked = BTreeSet::new();
    for query in queries() {
        let mut names = BTreeSet::new();
        for captures in pattern.captures_iter(&query) {
            let wanted = Regex::new(&format!("^(?:{})$", &captures[1])).unwrap_or_else(|error| panic!("{query}: {error}"));
            assert!(told.iter().any(|name| wanted.is_match(name)), "no metric like {wanted} for {query}");
            names.insert(captures[1].to_owned());
        }
        for name in word.find_iter(&quoted.replace_all(&query, "")).map(|found| found.as_str()) {
            if !others.contains(&name) {
                assert!(told.contains(name) || ISTIOS_OWN.contains(&name) || name == never, "no metric {name} for {query}");
                names.insert(name.to_owned());
            }
        }
        assert!(!names.is_empty(), "{query} asks for nothing");
        asked.append(&mut names);
    }
    // All that is counted is shown.
    for counter in Counter::ALL {
        let name = counter.name(None);
        let of_policies = counter.name(Some("")) + ".+";
        assert!(asked.contains(&name) || asked.contains(&of_policies), "nothing asks for {name}");
    }
}

/// The alert for it looks at these two. What the filter counts itself is gone with its VM, soon.
#[test]
fn a_first_configuration_that_is_refused_shows_in_envoys_own_statistics() {
    let setting = Setting::start(&json!({"policies": 1}));
    let name = |what: &str| {
        format!("envoy_extension_config_discovery_http_filter_extensions_istio_io_wasmplugin_egress_direct_egress_filter_update_{what}")
    };
    let metrics = setting.metrics_with(&name("rejected"), "1");
    assert!(metrics.contains(&(name("success"), "0".to_owned())));
}
