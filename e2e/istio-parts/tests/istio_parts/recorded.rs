//! istiod's configuration after each step, as it is recorded in `e2e/recorded`, to which the
//! derivation of `e2e/src/istio` is held where there is no Go. `BLESS=1` records it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use e2e::envoy::workspace_root;
use istio_parts::Waypoint;
use serde_json::{Value, json};

/// The release whose commit `e2e/istio-parts/istio/go.mod` pins.
const RELEASE: &str = "istio-1.31";

/// What does not concern egress: pods' own addresses, and connections to other waypoints.
const OTHER: [&str; 7] = [
    "direct-http",
    "direct-tcp",
    "connect_originate",
    "inner_connect_originate",
    "outer_connect_originate",
    "encap",
    "main_internal",
];

/// What was recorded so far, each resource by its name.
pub(crate) struct Recorded(BTreeMap<String, Value>);

impl Recorded {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Holds what a step has changed to its file.
    pub(crate) fn hold(&mut self, step: &str, waypoint: &Waypoint) {
        let mut changed = BTreeMap::new();
        for (name, resource) in resources(waypoint) {
            if self.0.get(&name) != Some(&resource) {
                changed.insert(name, resource);
            }
        }
        self.0.extend(changed.clone());
        let file = file(step);
        let text = serde_yaml_ng::to_string(&changed).expect("YAML");
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(&file, text).expect("written");
            return;
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        assert!(known == text, "{}: istiod sends other than this; now:\n{text}", file.display());
    }
}

fn file(step: &str) -> PathBuf {
    workspace_root().join("e2e/recorded").join(RELEASE).join(step)
}

/// The listeners, each chain apart, the clusters and the plugins.
fn resources(waypoint: &Waypoint) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let name = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
    let known = |resource: &Value| !OTHER.contains(&&*name(resource));
    for listener in waypoint.istiods("listeners") {
        let mut listener = listener.clone();
        if name(&listener) == "main_internal" {
            let chains = listener["filter_chains"].take();
            for chain in chains.as_array().into_iter().flatten().filter(|chain| known(chain)) {
                found.push((format!("chain {}", name(chain)), chain.clone()));
            }
        } else if !known(&listener) {
            continue;
        }
        found.push((format!("listener {}", name(&listener)), listener));
    }
    for cluster in waypoint.istiods("clusters").iter().filter(|cluster| known(cluster)) {
        found.push((format!("cluster {}", name(cluster)), cluster.clone()));
    }
    for plugin in waypoint.istiods("extensions") {
        let mut plugin = plugin.clone();
        let config = &mut plugin["typed_config"]["config"];
        // The agent's own file.
        config["vm_config"]["code"]["local"]["filename"] = json!("plugin.wasm");
        // As data, since in text the order of fields says nothing.
        let text = config["configuration"]["value"].as_str().unwrap_or_default();
        config["configuration"]["value"] = serde_json::from_str(text).expect("JSON");
        found.push((format!("plugin {}", name(&plugin)), plugin));
    }
    found
}
