//! Updates as files that Envoy watches, and the signs that it has taken them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::MeshError;
use crate::envoy::EnvoyProcess;
use crate::istio::envoy::{Resources, secrets};
use crate::istio::local::Local;

/// How long Envoy may take for an update: it compiles the filter in one, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// What Envoy's statistics of plugins begin with.
const PLUGINS: &str = "extension_config_discovery.http_filter";

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
        // Envoy would take what a former run left for the first version.
        match std::fs::remove_dir_all(local.updates("")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(local.updates(""))?,
        }
        Ok(Self { local: local.clone(), files: BTreeMap::new(), before: BTreeMap::new() })
    }

    /// Writes what Envoy is to start with: it reads all clusters before any listener.
    pub(super) fn prepare(&mut self, resources: &Resources) -> io::Result<()> {
        self.write_clusters(resources)?;
        self.write_listeners(resources)
    }

    /// Waits until Envoy has taken what it started with.
    pub(super) fn await_start(&mut self, process: &EnvoyProcess) -> Result<(), MeshError> {
        self.await_taken(process)
    }

    /// Sends what has changed in istiod's order, what is referred to before what refers to it, and
    /// waits until it is in force.
    pub(super) fn publish(
        &mut self,
        resources: &Resources,
        process: &EnvoyProcess,
    ) -> Result<(), MeshError> {
        self.before = process.stats("")?;
        // An earlier update's refusal does not concern this one.
        self.files.values_mut().for_each(|subscription| subscription.pending = false);
        self.write_clusters(resources)?;
        self.await_taken(process)?;
        self.write_listeners(resources)?;
        self.await_taken(process)
    }

    /// The Secrets come first, since Envoy asks for one when a cluster names it.
    fn write_clusters(&mut self, resources: &Resources) -> io::Result<()> {
        for (name, secret) in &resources.secrets {
            let typed = typed(SECRET, std::slice::from_ref(secret));
            self.write(&secrets::file(name), &secrets::statistics(name), typed)?;
        }
        self.write("clusters.json", "cluster_manager.cds", typed(CLUSTER, &resources.clusters))
    }

    /// The plugins go with them, since Envoy asks for one when a listener names it.
    fn write_listeners(&mut self, resources: &Resources) -> io::Result<()> {
        for (filter, name, config) in &resources.extensions {
            let extension = json!({"@type": EXTENSION, "name": filter, "typed_config": config});
            let statistics = format!("{PLUGINS}.{filter}");
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
        let text = json!({"version_info": known.version.to_string(), "resources": known.resources})
            .to_string();
        // Envoy reads when a file is moved into place.
        let new = file.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &file)
    }

    /// Waits until the last versions are in force on Envoy's worker.
    fn await_taken(&mut self, process: &EnvoyProcess) -> Result<(), MeshError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match process.stats("") {
                Ok(now) => {
                    self.check(&now, process)?;
                    if self.files.values().all(|subscription| !subscription.pending)
                        && all_serve(&now)
                    {
                        return Ok(());
                    }
                }
                // Envoy answers no request while it compiles a module.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(MeshError::Ended { error, log: process.log_tail() }),
            }
            if Instant::now() > deadline {
                let pending = self.files.values().filter(|subscription| subscription.pending);
                let what = pending
                    .map(|subscription| subscription.statistics.clone())
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(MeshError::NotTaken { what, limit: LIMIT, log: process.log_tail() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Notes which subscriptions have taken their last version.
    fn check(
        &mut self,
        now: &BTreeMap<String, u64>,
        process: &EnvoyProcess,
    ) -> Result<(), MeshError> {
        for subscription in self.files.values_mut().filter(|subscription| subscription.pending) {
            let value = |statistics: &BTreeMap<String, u64>, counter: &str| {
                statistics
                    .get(&format!("{}.{counter}", subscription.statistics))
                    .copied()
                    .unwrap_or_default()
            };
            if value(now, "update_rejected") > value(&self.before, "update_rejected") {
                // Not sent again as it is: Envoy would count it as taken, and go on with what it
                // had.
                subscription.pending = false;
                return Err(MeshError::Refused {
                    what: subscription.statistics.clone(),
                    log: process.log_tail(),
                });
            }
            // A hash of the version, written once the version is taken; zero before the first. A
            // plugin's is then still to reach the worker, which is counted as its reload. That of
            // clusters is counted only where one was added or changed.
            let taken = value(now, "version") != value(&self.before, "version");
            let counted = subscription.statistics.starts_with(PLUGINS);
            subscription.pending =
                !taken || counted && value(now, "config_reload") < value(now, "update_success");
        }
        Ok(())
    }
}

/// Whether every cluster's addresses are known and the worker has every listener in its last
/// version.
fn all_serve(now: &BTreeMap<String, u64>) -> bool {
    let value = |name: &str| now.get(name).copied().unwrap_or_default();
    let listeners = |name: &str| value(&format!("listener_manager.{name}"));
    value("cluster_manager.warming_clusters") == 0
        && listeners("total_listeners_warming") == 0
        && listeners("listener_create_success")
            >= listeners("listener_added") + listeners("listener_modified")
}

fn typed(kind: &str, resources: &[Value]) -> Vec<Value> {
    let mut resources = resources.to_vec();
    for resource in &mut resources {
        resource["@type"] = json!(kind);
    }
    resources
}
