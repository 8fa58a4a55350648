//! `envoy.yaml` as data: read once, changed where a test or the demo needs it otherwise, written as
//! JSON.

mod tree;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use tree::{
    append_copy, append_copy_of, each_value, http_filters, http_manager, is_wasm, named, no_filter,
    renamed,
};

/// Why `envoy.yaml` could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("`{path}`: {source}")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: serde_yaml_ng::Error,
    },
    /// A part that is to be changed is missing.
    #[error(
        "`envoy.yaml` has no {0}: has it been renamed? then change \
         `e2e/src/envoy/configuration.rs` with it"
    )]
    Missing(
        /// What was looked for.
        String,
    ),
}

/// A pod of `envoy.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pod {
    /// The client of namespace team-a.
    TeamA,
    /// The client of namespace team-b.
    TeamB,
}

impl Pod {
    /// Both pods.
    pub const ALL: [Self; 2] = [Self::TeamA, Self::TeamB];

    /// The pod's name, which is also its namespace's and its service account's.
    pub fn name(self) -> &'static str {
        match self {
            Self::TeamA => "team-a",
            Self::TeamB => "team-b",
        }
    }
}

/// The ports of a waypoint and of the origin behind it, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Where HBONE is terminated.
    pub hbone: u16,
    /// Envoy's admin interface.
    pub admin: u16,
    /// The origin.
    pub origin: u16,
    /// Where team-a's pod reaches each service, in the order of the services.
    pub team_a: Vec<u16>,
    /// Where team-b's pod reaches each service, in the order of the services.
    pub team_b: Vec<u16>,
}

impl Ports {
    /// The ports that are written in `envoy.yaml`.
    pub fn of_envoy_yaml() -> Self {
        Self {
            hbone: 15_008,
            admin: 9_901,
            origin: 8_443,
            team_a: vec![8_080, 8_081],
            team_b: vec![8_090, 8_091],
        }
    }

    /// The ports on which a pod reaches the services.
    pub fn pod(&self, pod: Pod) -> &[u16] {
        match pod {
            Pod::TeamA => &self.team_a,
            Pod::TeamB => &self.team_b,
        }
    }
}

/// The service of `envoy.yaml` that further ones are copies of.
const MODEL: &str = "api.github.com";

/// The virtual address of a service by its place in the list of services.
pub(super) fn vip(index: usize) -> Ipv4Addr {
    let offset = u32::try_from(index + 1).unwrap_or(u32::MAX);
    Ipv4Addr::from(u32::from(Ipv4Addr::new(240, 240, 0, 0)).saturating_add(offset))
}

/// The cluster of a service on this port of 127.0.0.1, or of one that has no endpoint.
pub(super) fn service_cluster(name: &str, port: Option<u16>) -> Value {
    let endpoint = |port| {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        json!({"endpoint": {"address": address}})
    };
    let endpoints: Vec<Value> = port.into_iter().map(endpoint).collect();
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    })
}

/// Has a cluster spoken to in HTTP/2.
pub fn speak_http2(cluster: &mut Value) {
    const KIND: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = &mut cluster["typed_extension_protocol_options"][KIND];
    options["@type"] = json!(format!("type.googleapis.com/{KIND}"));
    options["explicit_http_config"] = json!({"http2_protocol_options": {}});
}

/// Gives the filter, in the chain of each service for which there is one, another configuration.
pub(super) fn configure_services(envoy: &mut Value, of: impl Fn(&str) -> Option<String>) {
    let listeners = envoy["static_resources"]["listeners"].as_array_mut().into_iter().flatten();
    for listener in listeners.filter(|listener| listener["name"] == "main_internal") {
        for chain in listener["filter_chains"].as_array_mut().into_iter().flatten() {
            let host = chain["name"].as_str().and_then(|name| name.rsplit('|').next());
            let Some(text) = host.and_then(&of) else { continue };
            let filters = &mut chain["filters"][0]["typed_config"]["http_filters"];
            filters[0]["typed_config"]["config"]["configuration"]["value"] = json!(text);
        }
    }
}

/// Envoy's configuration, for changing.
#[derive(Debug, Clone)]
pub struct Configuration(Value);

impl Configuration {
    /// Reads a configuration in YAML.
    ///
    /// # Errors
    /// When the file cannot be read or is no YAML.
    pub fn load(path: &Path) -> Result<Self, ConfigurationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigurationError::File { path: path.to_path_buf(), source })?;
        let value = serde_yaml_ng::from_str(&text)
            .map_err(|source| ConfigurationError::Yaml { path: path.to_path_buf(), source })?;
        Ok(Self(value))
    }

    /// Writes the configuration as JSON, which Envoy reads from a file with that ending.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ConfigurationError> {
        std::fs::write(path, format!("{:#}", self.0))
            .map_err(|source| ConfigurationError::File { path: path.to_path_buf(), source })
    }

    /// The whole configuration.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Moves the files below a folder that the configuration names (certificates, the access log)
    /// to another folder.
    ///
    /// # Errors
    /// When no file is named below that folder.
    pub fn move_files(&mut self, from: &str, to: &Path) -> Result<(), ConfigurationError> {
        let mut moved = 0;
        each_value(&mut self.0, &mut |_, value| {
            if let Some(rest) = value.as_str().and_then(|text| text.strip_prefix(from)) {
                *value = json!(to.join(rest));
                moved += 1;
            }
        });
        if moved == 0 {
            Err(ConfigurationError::Missing(format!("file below `{from}`")))
        } else {
            Ok(())
        }
    }

    /// Replaces all ports; `services` of [`Configuration::add_services`] must have been added
    /// before.
    ///
    /// # Errors
    /// When a listener or a default port is not there.
    pub fn set_ports(&mut self, ports: &Ports) -> Result<(), ConfigurationError> {
        let old = Ports::of_envoy_yaml();
        for (default, port) in
            [(old.hbone, ports.hbone), (old.admin, ports.admin), (old.origin, ports.origin)]
        {
            let mut set = 0;
            each_value(&mut self.0, &mut |key, value| {
                if key == "port_value" && *value == default {
                    *value = json!(port);
                    set += 1;
                }
            });
            if set == 0 {
                return Err(ConfigurationError::Missing(format!("port {default}")));
            }
        }
        for pod in Pod::ALL {
            let listener = self.listener(&format!("pod-{}", pod.name()))?;
            for (index, &port) in ports.pod(pod).iter().enumerate() {
                let address = match index.checked_sub(1) {
                    None => &mut listener["address"],
                    Some(index) => &mut listener["additional_addresses"][index]["address"],
                };
                address["socket_address"]["port_value"] = json!(port);
                listener["filter_chains"][index]["filter_chain_match"]["destination_port"] =
                    json!(port);
            }
        }
        Ok(())
    }

    /// Adds what is missing of the services' listeners, chains and clusters, as copies of
    /// api.github.com's.
    ///
    /// # Errors
    /// When a part of that model is not there.
    pub fn add_services(&mut self, hosts: &[String]) -> Result<(), ConfigurationError> {
        let model_vip = vip(0).to_string();
        for (index, host) in hosts.iter().enumerate() {
            let name = format!("inbound-vip|80|http|{host}");
            if named(&mut self.0["static_resources"]["clusters"], &name).is_ok() {
                continue;
            }
            let vip = vip(index).to_string();
            let renamed = |model: &Value| renamed(model, &[(MODEL, host), (&model_vip, &vip)]);
            for pod in Pod::ALL {
                let listener = self.listener(&format!("pod-{}", pod.name()))?;
                append_copy(
                    &mut listener["additional_addresses"],
                    "additional address",
                    Value::clone,
                )?;
                append_copy(&mut listener["filter_chains"], "pod filter chain", renamed)?;
            }
            let internal = self.listener("main_internal")?;
            let tree = &mut internal["filter_chain_matcher"]["matcher_tree"];
            let matcher = &mut tree["custom_match"]["typed_config"];
            append_copy(&mut matcher["range_matchers"], "range matcher", renamed)?;
            // The filters are the same in every chain: the policies' own host names must not be
            // renamed.
            append_copy(&mut internal["filter_chains"], "filter chain", |model| {
                let mut chain = renamed(model);
                *http_filters(&mut chain) = http_filters(&mut model.clone()).take();
                chain
            })?;
            append_copy_of(
                &mut self.0["static_resources"]["clusters"],
                &format!("inbound-vip|80|http|{MODEL}"),
                renamed,
            )?;
        }
        Ok(())
    }

    /// Leaves the wasm filter out of every chain.
    ///
    /// # Errors
    /// When there is no such filter.
    pub fn remove_filter(&mut self) -> Result<(), ConfigurationError> {
        for chain in self.chains()? {
            let filters = http_filters(chain).as_array_mut().ok_or_else(no_filter)?;
            let before = filters.len();
            filters.retain(|filter| !is_wasm(filter));
            if filters.len() == before {
                return Err(no_filter());
            }
        }
        Ok(())
    }

    /// Sets the path of the compiled filter.
    ///
    /// # Errors
    /// When there is no wasm filter.
    pub fn set_wasm(&mut self, path: &Path) -> Result<(), ConfigurationError> {
        self.each_plugin(&mut |plugin| {
            plugin["vm_config"]["code"]["local"]["filename"] = json!(path)
        })
    }

    /// The filter's configuration as it stands.
    ///
    /// # Errors
    /// When there is no wasm filter or it has none.
    pub fn plugin_configuration(&mut self) -> Result<String, ConfigurationError> {
        let mut text = None;
        self.each_plugin(&mut |plugin| {
            text = plugin["configuration"]["value"].as_str().map(str::to_owned)
        })?;
        text.ok_or_else(|| ConfigurationError::Missing("plugin configuration".to_owned()))
    }

    /// Sets the filter's configuration, be it JSON or not.
    ///
    /// # Errors
    /// When there is no wasm filter.
    pub fn set_plugin_configuration(&mut self, text: &str) -> Result<(), ConfigurationError> {
        self.each_plugin(&mut |plugin| plugin["configuration"]["value"] = json!(text))
    }

    /// Gives the filter's VM these variables of Envoy's environment, as Istio does for
    /// `vmConfig.env` with `valueFrom: HOST`.
    ///
    /// # Errors
    /// When there is no wasm filter.
    pub fn set_environment(&mut self, names: &[&str]) -> Result<(), ConfigurationError> {
        self.each_plugin(&mut |plugin| {
            plugin["vm_config"]["environment_variables"] = json!({"host_env_keys": names});
        })
    }

    /// Switches Envoy's path normalization on or off in every chain.
    ///
    /// # Errors
    /// When there is no chain.
    pub fn set_normalize_path(&mut self, on: bool) -> Result<(), ConfigurationError> {
        for chain in self.chains()? {
            http_manager(chain)["normalize_path"] = json!(on);
        }
        Ok(())
    }

    /// Sends each service's requests to the real host on port 443, whose certificate is checked
    /// against these authorities.
    ///
    /// # Errors
    /// When there is no service's cluster.
    pub fn use_real_origins(&mut self, authorities: &Path) -> Result<(), ConfigurationError> {
        let clusters = self.0["static_resources"]["clusters"].as_array_mut();
        let mut found = false;
        for cluster in clusters.into_iter().flatten() {
            let name = cluster["name"].as_str().unwrap_or_default().to_owned();
            let Some(host) = name.strip_prefix("inbound-vip|80|http|") else { continue };
            found = true;
            cluster["dns_lookup_family"] = json!("V4_PREFERRED");
            let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
            tls["validation_context"]["trusted_ca"]["filename"] = json!(authorities);
            let endpoint =
                &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"] = json!({ "address": host, "port_value": 443 });
        }
        if found {
            Ok(())
        } else {
            Err(ConfigurationError::Missing("cluster of a service".to_owned()))
        }
    }

    fn listener(&mut self, name: &str) -> Result<&mut Value, ConfigurationError> {
        named(&mut self.0["static_resources"]["listeners"], name)
    }

    fn chains(&mut self) -> Result<&mut Vec<Value>, ConfigurationError> {
        self.listener("main_internal")?["filter_chains"].as_array_mut().ok_or_else(|| {
            ConfigurationError::Missing("filter chain in `main_internal`".to_owned())
        })
    }

    fn each_plugin(
        &mut self,
        change: &mut dyn FnMut(&mut Value),
    ) -> Result<(), ConfigurationError> {
        for chain in self.chains()? {
            let filters = http_filters(chain).as_array_mut();
            let filter = filters
                .into_iter()
                .flatten()
                .find(|filter| is_wasm(filter))
                .ok_or_else(no_filter)?;
            change(&mut filter["typed_config"]["config"]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
