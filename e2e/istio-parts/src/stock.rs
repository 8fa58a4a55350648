//! istiod's resources as an Envoy without Istio's extensions runs them, on loopback. All that is
//! changed is in two lists.
//!
//! [`TAKEN_OUT`] is what the stock Envoy lacks. What differs because no pod runs:
//!
//! - ADS and the agent's SDS are files, in [`Local::folder`];
//! - the waypoint's port 15008 on all addresses is one of 127.0.0.1;
//! - an origin's name and port are the stand-in's, and so are the authorities that Istio takes from
//!   the system;
//! - Envoy's admin interface has a port of its own; Istio's static listeners and clusters, for its
//!   statistics and its agent, are left out.

use std::path::PathBuf;

use serde_json::{Value, json};

/// What an Envoy without Istio's extensions cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenOut {
    /// The name in Envoy's configuration.
    pub name: &'static str,
    /// What is done with it.
    pub done: &'static str,
    /// What it is for, and so what these tests do not show.
    pub purpose: &'static str,
}

/// The whole list.
pub const TAKEN_OUT: &[TakenOut] = &[
    TakenOut {
        name: "waypoint_downstream_peer_metadata",
        done: "the HTTP filter is removed",
        purpose: "labels of the caller's workload, for Istio's metrics",
    },
    TakenOut {
        name: "waypoint_upstream_peer_metadata",
        done: "the HTTP filter is removed",
        purpose: "labels of the destination's workload, for Istio's metrics",
    },
    TakenOut {
        name: "istio.stats",
        done: "the HTTP filter is removed",
        purpose: "Istio's metrics, such as istio_requests_total",
    },
    TakenOut {
        name: "istio.metadata_exchange",
        done: "the network filter of the chain direct-tcp is removed",
        purpose: "the same for bytes that are not HTTP",
    },
    TakenOut {
        name: "metadata_discovery",
        done: "the bootstrap extension is removed",
        purpose: "the workloads that those labels are of",
    },
    TakenOut {
        name: "istio.hashable_string",
        done: "is envoy.hashable_string, which is the same by another name",
        purpose: "the principals in filter state, by which connections to origins are kept apart",
    },
];

/// Where things are on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where the files of updates are.
    pub folder: PathBuf,
    /// The port at which HBONE is terminated.
    pub hbone: u16,
    /// The port of Envoy's admin interface.
    pub admin: u16,
    /// The port of the stand-in for all origins.
    pub origin: u16,
}

impl Local {
    /// The file by which a resource or kind of resource comes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.folder.join(format!("{name}.json"))
    }

    fn subscription(&self, name: &str) -> Value {
        json!({
            "path_config_source": {"path": self.file(name)},
            "initial_fetch_timeout": "0s",
            "resource_api_version": "V3",
        })
    }

    /// Makes a resource of istiod's one that runs here.
    pub(crate) fn adapt(&self, resource: &mut Value) {
        match resource {
            Value::Array(items) => {
                items.retain(|item| !is_taken_out(item));
                items.iter_mut().for_each(|item| self.adapt(item));
            }
            Value::Object(fields) => {
                let name = fields.get("name").and_then(Value::as_str).map(str::to_owned);
                for source in ["sds_config", "config_source"] {
                    // A plugin's name is that of the filter, around its `config_discovery`.
                    if let (Some(name), true) = (&name, fields.contains_key(source)) {
                        fields.insert(source.to_owned(), self.subscription(name));
                    }
                }
                if let (Some(name), Some(discovery)) = (&name, fields.get_mut("config_discovery")) {
                    discovery["config_source"] = self.subscription(name);
                }
                for (field, value) in fields.iter_mut() {
                    match (field.as_str(), &*value) {
                        ("socket_address", address) => *value = self.address(address),
                        ("factory_key", Value::String(key)) if key == "istio.hashable_string" => {
                            *value = json!("envoy.hashable_string");
                        }
                        _ => self.adapt(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn address(&self, address: &Value) -> Value {
        let port = if address["port_value"] == 15_008 { self.hbone } else { self.origin };
        json!({"address": "127.0.0.1", "port_value": port})
    }

    /// Makes of Istio's bootstrap one that starts here.
    pub(crate) fn bootstrap(&self, bootstrap: &mut Value) {
        bootstrap["admin"] = json!({"address": {"socket_address": self.address(&json!({}))}});
        bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(self.admin);
        bootstrap["static_resources"] = json!({});
        bootstrap["dynamic_resources"] = json!({
            "lds_config": self.subscription("listeners"),
            "cds_config": self.subscription("clusters"),
        });
        if let Some(extensions) = bootstrap["bootstrap_extensions"].as_array_mut() {
            extensions.retain(|extension| !is_taken_out(extension));
        }
    }
}

fn is_taken_out(item: &Value) -> bool {
    TAKEN_OUT.iter().any(|out| item["name"] == out.name)
}
