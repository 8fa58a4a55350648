//! The waypoint under attack, derived from resources as istiod would, with a service for each
//! policy.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::rules::RULES;
use super::{AttackError, Options};
use crate::envoy::workspace_root;
use crate::istio::{Local, Mesh, Origins, Ports, Release};
use crate::pki::Pki;
use crate::ports;

const WORKERS: u32 = 2;

/// A running waypoint, and the folder that goes with it.
#[derive(Debug)]
pub(super) struct Stage {
    // The order matters: the folder goes last.
    pub(super) mesh: Mesh,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts it; this blocks until Envoy serves.
    pub(super) fn start(
        options: &Options,
        pki: &Arc<Pki>,
        origin: u16,
    ) -> Result<Self, AttackError> {
        let parent = workspace_root().join("target/e2e");
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("attack-").tempdir_in(parent)?;
        let attacked = folder.path().join("attacked.yaml");
        std::fs::write(&attacked, resources(options))?;
        let free = ports::free(2)?;
        let local = Local {
            folder: folder.path().to_path_buf(),
            wasm: options.wasm.clone(),
            origins: Origins::StandIn(origin),
            // The pods speak HBONE themselves.
            ports: Ports { hbone: free[0], admin: free[1], pods: Vec::new() },
            workers: WORKERS,
            logs_requests: false,
        };
        let files: [PathBuf; 2] = [workspace_root().join("filter-config/01-setup.yaml"), attacked];
        let mesh = Mesh::start_at(pki, Release::V1_30, local, &files).map_err(Box::new)?;
        Ok(Self { mesh, _folder: folder })
    }
}

/// The services, and the plugin with all policies, as YAML.
fn resources(options: &Options) -> String {
    let mut documents = Vec::new();
    for rule in &RULES {
        let host = rule.host();
        let port = |number: u16, protocol: &str| {
            json!({
                "number": number,
                "name": protocol.to_lowercase(),
                "protocol": protocol,
                "targetPort": 443,
            })
        };
        let labels = json!({"istio.io/use-waypoint": "egress"});
        let metadata = json!({"name": rule.name, "namespace": "egress-direct", "labels": labels});
        documents.push(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": metadata,
            "spec": {
                "hosts": [host],
                "location": "MESH_EXTERNAL",
                "resolution": "DNS",
                "ports": [port(80, "HTTP"), port(81, "HTTP2")],
            },
        }));
        documents.push(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": metadata,
            // A server name of its own: the origin is told which service it plays, whatever `Host`
            // says.
            "spec": {
                "host": host,
                "trafficPolicy": {
                    "tls": {"mode": "SIMPLE", "sni": host, "subjectAltNames": [host]},
                },
            },
        }));
    }
    documents.push(plugin(options));
    documents.iter().map(|document| format!("---\n{document}\n")).collect()
}

fn plugin(options: &Options) -> Value {
    let mut configuration = json!({
        "identity": {
            "sources": ["filterState", "peerCertificate"],
            "trustDomains": ["cluster.local"],
        },
        "audit": {"log": "None"},
        "policies": RULES.iter().map(super::rules::Rule::policy).collect::<Value>(),
    });
    if !options.unmended.is_empty() {
        configuration["unmended"] = json!(options.unmended);
    }
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "egress-filter", "namespace": "egress-direct"},
        "spec": {
            "targetRefs": [{
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "egress",
            }],
            "url": "oci://registry.example.com/platform/egress-filter:0.1.0",
            "phase": "AUTHZ",
            "failStrategy": "FAIL_RELOAD",
            "pluginConfig": configuration,
        },
    })
}
