//! A waypoint that reads its plugin from a file, and what can be seen of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ecds::{PLUGIN, PluginFile};
use e2e::envoy::{Waypoint, WaypointOptions, filter_wasm};
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use serde_json::{Value, json};

/// The service that is called.
pub(crate) const HOST: &str = "api.github.com";

/// Envoy's worker threads; each has a VM of its own.
pub(crate) const WORKERS: usize = 2;

/// How long anything may take on the slowest machine; a condition is checked again and again until
/// then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A waypoint with two workers, the origin behind it, and the file with its plugin.
pub(crate) struct Setting {
    pub(crate) waypoint: Waypoint,
    pub(crate) origin: Origin,
    pub(crate) plugin: PluginFile,
}

impl Setting {
    /// The filter as it is shipped, with this configuration first.
    pub(crate) fn start(first: &str) -> Self {
        Self::start_plugin(PluginFile::new(&filter_wasm()).expect("a plugin"), first)
    }

    pub(crate) fn start_plugin(mut plugin: PluginFile, first: &str) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
        plugin.publish(first).expect("a file");
        let workers = u32::try_from(WORKERS).expect("a few");
        let options = WaypointOptions::new(&pki, origin.port())
            .workers(workers)
            .edit(tell_decisions)
            .edit(plugin.attach());
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, plugin }
    }

    pub(crate) fn publish(&mut self, configuration: &str) {
        self.plugin.publish(configuration).expect("a file");
    }

    /// The statistics with this in their names.
    pub(crate) fn statistics(&self, part: &str) -> Vec<(String, u64)> {
        let stats = self.waypoint.stats("").expect("Envoy's statistics");
        stats.into_iter().filter(|(name, _)| name.contains(part)).collect()
    }

    /// One of Envoy's own counters of the updates of this filter.
    pub(crate) fn updates(&self, counter: &str) -> u64 {
        let name = format!("extension_config_discovery.http_filter.{PLUGIN}.{counter}");
        let [(_, count)] = self.statistics(&name)[..] else { panic!("no statistic `{name}`") };
        count
    }

    /// How many lines of Envoy's log have this in them.
    pub(crate) fn logged(&self, part: &str) -> usize {
        self.waypoint.log_lines().iter().filter(|line| line.contains(part)).count()
    }

    /// The log without the lines of every start.
    pub(crate) fn log(&self) -> String {
        let lines = self.waypoint.log_lines().into_iter();
        let telling = |line: &String| {
            line.contains("egress filter") || line.contains("[warning]") || line.contains("[error]")
        };
        lines
            .filter(|line| telling(line) && !line.contains("work-in-progress"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The module, if it has been built.
pub(crate) fn built(path: &Path, how: &str) -> PluginFile {
    assert!(path.exists(), "`{}` is not there: run `{how}` first", path.display());
    PluginFile::new(path).expect("a plugin")
}

/// Puts into each answer which policy decided, and into an answer of Envoy's own why it gave it.
fn tell_decisions(envoy: &mut Value) {
    let told = |name: &str, value: &str| {
        json!({
            "header": {"key": name, "value": value},
            "keep_empty_value": true,
        })
    };
    let policy = told("x-decided-by", "%FILTER_STATE(wasm.egress_policy:PLAIN)%");
    let listeners = envoy["static_resources"]["listeners"].as_array_mut().into_iter().flatten();
    let internal = listeners
        .into_iter()
        .find(|listener| listener["name"] == "main_internal")
        .expect("`main_internal`");
    for chain in internal["filter_chains"].as_array_mut().expect("filter chains") {
        let manager = &mut chain["filters"][0]["typed_config"];
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["response_headers_to_add"] =
            json!([policy]);
        manager["local_reply_config"] = json!({"mappers": [{
            "filter": {
                "status_code_filter": {
                    "comparison": {
                        "op": "GE",
                        "value": {"default_value": 400, "runtime_key": "none"},
                    },
                },
            },
            "headers_to_add": [policy, told("x-details", "%RESPONSE_CODE_DETAILS%")],
        }]});
    }
}
