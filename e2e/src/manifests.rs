//! The resources of `filter-config/`, read as `kubectl` reads them: several documents a file,
//! JSON's data model.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use crate::envoy::workspace_root;

/// One resource of `filter-config/`.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file it is in, from `filter-config/` on.
    pub file: String,
    /// What it says.
    pub value: Value,
}

impl Manifest {
    /// Its kind, such as `WasmPlugin`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace, empty for what has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// The filter's configuration, if this is a `WasmPlugin` or a `TrafficExtension`.
    #[must_use]
    pub fn plugin_configuration(&self) -> Option<&Value> {
        match self.kind() {
            "WasmPlugin" => self.value.pointer("/spec/pluginConfig"),
            "TrafficExtension" => self.value.pointer("/spec/wasm/pluginConfig"),
            _ => None,
        }
    }
}

/// Every resource of `filter-config/` and its sub-folders, in the order of the files' names; but
/// `tests`, which has cases for `egressctl test`, and `install`, which kustomize builds of them:
/// `make test-istio` applies that.
#[must_use]
pub fn all() -> Vec<Manifest> {
    let root = workspace_root().join("filter-config");
    files(&root).iter().flat_map(|path| documents(&root, path)).collect()
}

/// Every file below `folder` whose name ends in `.yaml`, in order.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder's entry").path()).collect();
    let others = ["filter-config/tests", "filter-config/install"];
    paths.retain(|path| !others.iter().any(|other| path.ends_with(other)));
    paths.sort();
    let below =
        |path: &std::path::PathBuf| if path.is_dir() { files(path) } else { vec![path.clone()] };
    paths
        .iter()
        .flat_map(below)
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect()
}

fn documents(root: &Path, path: &Path) -> Vec<Manifest> {
    let file = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
    parse(&text)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .into_iter()
        .map(|value| Manifest { file: file.clone(), value })
        .collect()
}

/// The documents of a YAML text.
///
/// # Errors
/// The text is no YAML, gives a key twice, or has what JSON has not.
pub fn parse(text: &str) -> Result<Vec<Value>, serde_yaml_ng::Error> {
    // By way of YAML's own values, which refuse a key that is given twice.
    let documents =
        serde_yaml_ng::Deserializer::from_str(text).map(serde_yaml_ng::Value::deserialize);
    documents.map(|document| serde_yaml_ng::from_value(document?)).collect()
}
