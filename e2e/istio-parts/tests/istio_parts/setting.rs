//! What the tests share: a mesh with an image in its registry, and the manifests that name it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use e2e::envoy::{filter_wasm, workspace_root};
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use istio_parts::{Agent, Cluster, ControlPlane, Registry, Waypoint};
use serde_json::{Value, json};

/// The name of the image, without the registry.
const IMAGE: &str = "platform/egress-filter:0.1.0";

/// A mesh without a waypoint, and all that is applied to it.
pub(crate) struct Setting {
    pub(crate) control_plane: ControlPlane,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    pub(crate) pki: Arc<Pki>,
    pub(crate) origin: Origin,
    /// The digest of the image.
    pub(crate) sha256: String,
    folder: tempfile::TempDir,
}

impl Setting {
    pub(crate) fn start() -> Self {
        let cluster = Cluster::start().expect("Kubernetes starts");
        let pki = Arc::new(Pki::new());
        let settings = json!({"meshConfig": mesh_settings()});
        let control_plane = ControlPlane::start(&cluster, &pki, &settings).expect("istiod starts");
        let registry = Registry::start().expect("a registry starts");
        let folder = tempfile::tempdir().expect("a folder");
        let module = fs::read(filter_wasm()).expect("the compiled filter");
        let from = workspace_root().join("filter-config");
        let to = folder.path().join("filter-config");
        let sha256 = registry.publish(&module, IMAGE, &from, &to).expect("an image");
        let origin = Origin::start(&pki, Mode::Workshop, 0).expect("the origin starts");
        Self { control_plane, cluster, registry, pki, origin, sha256, folder }
    }

    /// A file of `filter-config/` with the image in its place, as `make image` writes it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("filter-config").join(name)
    }

    /// Applies a file of `filter-config/`, by the server and strictly.
    pub(crate) fn apply(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file(name)).expect("a file");
        self.cluster.apply(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::start(&self.cluster, &self.control_plane, &self.registry).expect("an agent")
    }

    pub(crate) fn waypoint(&self, agent: &Agent) -> Waypoint {
        Waypoint::start(agent, &self.pki, self.origin.port()).expect("a waypoint")
    }

    /// The address that istiod has given to a ServiceEntry, with port 80.
    pub(crate) fn vip(&self, service_entry: &str) -> String {
        let found = self.cluster.wait_for("a virtual address", |cluster| {
            let entry = cluster.get("egress-direct", "serviceentry", service_entry).ok()?;
            entry["status"]["addresses"].as_array()?.iter().find_map(|address| {
                address["value"].as_str().filter(|value| value.contains('.')).map(str::to_owned)
            })
        });
        format!("{}:80", found.expect("a virtual address"))
    }
}

/// The name of the ServiceEntry of a host of the workshop.
pub(crate) fn service_entry(host: &str) -> &'static str {
    match host {
        "api.github.com" => "github-api",
        "httpbingo.org" => "httpbingo",
        other => panic!("no ServiceEntry of the workshop has the host `{other}`"),
    }
}

/// The names of the policies in the waypoint's plugin; none where the plugin is a refusal.
pub(crate) fn policies(extensions: &Value) -> Vec<String> {
    let text =
        extensions["resources"][0]["typed_config"]["config"]["configuration"]["value"].as_str();
    let configuration: Value =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let policies = configuration["policies"].as_array().into_iter().flatten();
    policies.filter_map(|policy| Some(policy["name"].as_str()?.to_owned())).collect()
}

/// What docs/operations.md has put into the mesh's own configuration.
fn mesh_settings() -> Value {
    let text = fs::read_to_string(workspace_root().join("docs/operations.md")).expect("a document");
    let (_, section) = text.split_once("\n## Access log\n").expect("the section");
    let (_, block) = section.split_once("```yaml\n").expect("its first block");
    let (block, _) = block.split_once("```").expect("its end");
    let values: Value = serde_yaml_ng::from_str(block).expect("YAML");
    values["meshConfig"].clone()
}
