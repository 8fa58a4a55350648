//! The filter's configuration by extension discovery (ECDS), as istiod delivers it to a waypoint,
//! here from a file.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::envoy::{Configuration, ConfigurationError, workspace_root};

/// The name under which a waypoint looks the plugin up, as Istio makes it of a `WasmPlugin`'s
/// namespace and name.
pub const PLUGIN: &str = "extensions.istio.io/wasmplugin/egress-direct.egress-filter";

/// Pairs of names that Istio gives: the filter's, which is also its resource's, and the plugin's
/// own. The first pair is for a `WasmPlugin` before Istio 1.30, the second for one since, the third
/// for a `TrafficExtension`.
pub const NAMES: [(&str, &str); 3] = [
    (PLUGIN, "egress-direct.egress-filter"),
    (
        "extensions.istio.io/trafficextension/\
         egress-direct.egress-filter~istio-translated-wasmplugin",
        "egress-direct.egress-filter~istio-translated-wasmplugin",
    ),
    (
        "extensions.istio.io/trafficextension/egress-direct.egress-filter",
        "egress-direct.egress-filter",
    ),
];

/// A plugin in a file that Envoy watches; the file is removed on drop.
#[derive(Debug)]
pub struct PluginFile {
    path: PathBuf,
    filter: String,
    plugin: Value,
    version: u64,
    _folder: tempfile::TempDir,
}

impl PluginFile {
    /// A file with `envoy.yaml`'s own wasm filter, but with this module.
    ///
    /// Nothing is in the file until something is published.
    ///
    /// # Errors
    /// When `envoy.yaml` has no such filter, or no folder can be made.
    pub fn new(module: &Path) -> Result<Self, ConfigurationError> {
        let parent = workspace_root().join("target/e2e");
        let made = std::fs::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix("ecds-").tempdir_in(&parent));
        let folder = made.map_err(|source| ConfigurationError::File { path: parent, source })?;
        let mut configuration = Configuration::load(&workspace_root().join("envoy.yaml"))?;
        configuration.set_wasm(module)?;
        let mut plugin = Value::Null;
        each_filter(configuration.value_mut(), &mut |filter| {
            plugin = filter["typed_config"].clone()
        });
        if plugin.is_null() {
            return Err(ConfigurationError::Missing(format!("filter `{PLUGIN}`")));
        }
        Ok(Self {
            path: folder.path().join("plugin.json"),
            filter: PLUGIN.to_owned(),
            plugin,
            version: 0,
            _folder: folder,
        })
    }

    /// Sets what Envoy does when a VM fails, such as `FAIL_CLOSED`, in place of `envoy.yaml`'s
    /// policy.
    #[must_use]
    pub fn failure_policy(mut self, policy: &str) -> Self {
        self.plugin["config"]["failure_policy"] = json!(policy);
        self
    }

    /// Gives the filter and the plugin other names, such as one of [`NAMES`].
    #[must_use]
    pub fn called(mut self, (filter, plugin): (&str, &str)) -> Self {
        filter.clone_into(&mut self.filter);
        self.plugin["config"]["name"] = json!(plugin);
        self
    }

    /// Publishes the plugin with this configuration, be it JSON or not.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish(&mut self, configuration: &str) -> io::Result<()> {
        self.plugin["config"]["configuration"]["value"] = json!(configuration);
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": self.filter,
            "typed_config": self.plugin,
        });
        self.publish_resources(&[resource])
    }

    /// Publishes these resources, or none, in the plugin's place.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish_resources(&mut self, resources: &[Value]) -> io::Result<()> {
        self.version += 1;
        self.replace(
            &json!({"version_info": self.version.to_string(), "resources": resources}).to_string(),
        )
    }

    /// Names another module from the next publication on, as another image does.
    pub fn set_module(&mut self, module: &Path) {
        self.plugin["config"]["vm_config"]["code"]["local"]["filename"] = json!(module);
    }

    /// Gives the plugin's VM these variables of Envoy's environment from the next publication on.
    pub fn set_environment<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        let names: Vec<&String> = names.collect();
        self.plugin["config"]["vm_config"]["environment_variables"] =
            json!({"host_env_keys": names});
    }

    /// Puts any text into the file. Envoy watches for a file that is moved into place.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn replace(&self, text: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &self.path)
    }

    /// The entry of an HTTP filter chain that makes Envoy look the plugin up in this file, as Istio
    /// makes a waypoint look it up in istiod.
    pub fn filter(&self) -> Value {
        json!({
            "name": self.filter,
            "config_discovery": {
                "config_source": {
                    "path_config_source": {"path": self.path},
                    "initial_fetch_timeout": "0s",
                    "resource_api_version": "V3",
                },
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            },
        })
    }

    /// The change of Envoy's configuration by which every chain looks its plugin up in this file.
    pub fn attach(&self) -> impl FnOnce(&mut Value) + Send + use<> {
        let discovered = self.filter();
        move |envoy| each_filter(envoy, &mut |filter| *filter = discovered.clone())
    }
}

/// Visits every filter of the plugin's name.
fn each_filter(value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(fields) if fields.get("name").is_some_and(|name| name == PLUGIN) => {
            visit(value)
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| each_filter(value, visit)),
        Value::Array(items) => items.iter_mut().for_each(|value| each_filter(value, visit)),
        _ => {}
    }
}
