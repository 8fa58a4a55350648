//! Updates as files that Envoy watches, and the signs that it has taken them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::MeshError;
use crate::envoy::EnvoyProcess;
use crate::istio::envoy::Resources;
use crate::istio::local::Local;

/// How long Envoy may take for an update: it compiles the filter in one, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// One subscription: a file and what is in it.
#[derive(Debug)]
struct Subscription {
    /// What its statistics are called in Envoy.
    statistics: String,
    version: u64,
    resources: Vec<Value>,
    /// Whether the last version still has to be taken.
    pending: bool,
}

/// The files that Envoy watches.
#[derive(Debug)]
pub(super) struct Updates {
    local: Local,
    files: BTreeMap<PathBuf, Subscription>,
    /// Envoy's statistics before the last update.
    before: BTreeMap<String, u64>,
}

impl Updates {
    pub(super) fn new(local: &Local) -> io::Result<Self> {
        // What a former run left would be taken for the first version.
        match std::fs::remove_dir_all(local.updates("")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(local.updates(""))?,
        }
        Ok(Self { local: local.clone(), files: BTreeMap::new(), before: BTreeMap::new() })
    }

    /// Notes what Envoy has counted, to see what an update adds.
    pub(super) fn observe(&mut self, process: &EnvoyProcess) -> io::Result<()> {
        self.before = process.stats("")?;
        Ok(())
    }

    /// Writes what has changed, in the order in which istiod sends it: what is referred to before what refers to it.
    pub(super) fn publish(&mut self, resources: &Resources) -> io::Result<()> {
        let typed = |kind: &str, list: &[Value]| {
            let typed = list.iter().map(|resource| {
                let mut resource = resource.clone();
                resource["@type"] = json!(kind);
                resource
            });
            typed.collect()
        };
        self.write("clusters.json", "cluster_manager.cds", typed(CLUSTER, &resources.clusters))?;
        for (filter, name, config) in &resources.extensions {
            let extension = json!({"@type": EXTENSION, "name": filter, "typed_config": config});
            let statistics = format!("extension_config_discovery.http_filter.{filter}");
            self.write(&format!("{name}.json"), &statistics, vec![extension])?;
        }
        self.write("listeners.json", "listener_manager.lds", typed(LISTENER, &resources.listeners))
    }

    fn write(&mut self, name: &str, statistics: &str, resources: Vec<Value>) -> io::Result<()> {
        let file = self.local.updates(name);
        let known = self.files.entry(file.clone()).or_insert_with(|| Subscription {
            statistics: statistics.to_owned(),
            version: 0,
            resources: Vec::new(),
            pending: false,
        });
        if known.version > 0 && known.resources == resources {
            return Ok(());
        }
        (known.version, known.resources, known.pending) = (known.version + 1, resources, true);
        let text = json!({"version_info": known.version.to_string(), "resources": known.resources}).to_string();
        // Envoy reads when a file is moved into place.
        let new = file.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &file)
    }

    /// Waits until Envoy has taken the last versions and all of its listeners serve.
    pub(super) fn await_taken(&mut self, process: &EnvoyProcess) -> Result<(), MeshError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let now = process.stats("")?;
            for subscription in self.files.values_mut().filter(|subscription| subscription.pending) {
                let value = |statistics: &BTreeMap<String, u64>, counter: &str| {
                    statistics.get(&format!("{}.{counter}", subscription.statistics)).copied().unwrap_or_default()
                };
                if value(&now, "update_rejected") > value(&self.before, "update_rejected") {
                    return Err(MeshError::Refused { what: subscription.statistics.clone(), log: tail(process) });
                }
                // A hash of the version, written once the version is in force; zero before the first.
                subscription.pending = value(&now, "version") == value(&self.before, "version");
            }
            let waiting: Vec<&str> = self
                .files
                .values()
                .filter(|subscription| subscription.pending)
                .map(|subscription| subscription.statistics.as_str())
                .collect();
            if waiting.is_empty() && now.get("listener_manager.total_listeners_warming") == Some(&0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(MeshError::NotTaken { what: waiting.join(", "), limit: LIMIT, log: tail(process) });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn tail(process: &EnvoyProcess) -> String {
    let lines = process.log_lines();
    let lines: Vec<&String> = lines.iter().filter(|line| !line.contains("work-in-progress")).collect();
    lines[lines.len().saturating_sub(15)..].iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
}
