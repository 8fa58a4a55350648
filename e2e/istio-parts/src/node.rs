//! The part of a scheduler and a kubelet: a pod gets a node, an address, and is said to run.

use std::io;

use serde_json::{Value, json};

use crate::Cluster;

/// The one node.
const NODE: &str = "node";
/// Its address, which nothing has.
const ADDRESS: &str = "10.244.0.1";

/// Says that a pod runs, with this address.
pub(crate) fn run(cluster: &Cluster, pod: &Value, address: &str) -> io::Result<Value> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
    cluster.apply(&node.to_string())?;
    if pod["spec"]["nodeName"].is_null() {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": NODE},
        });
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
        cluster.kubectl(&["create", "--raw", &path, "-f", "-"], &binding.to_string())?.output()?;
    }
    let status = json!({"status": {
        "phase": "Running",
        "hostIP": ADDRESS,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "ContainersReady", "status": "True"},
        ],
    }})
    .to_string();
    let arguments =
        ["-n", namespace, "patch", "pod", name, "--subresource=status", "--type=merge", "-p"];
    cluster.kubectl(&[&arguments[..], &[&status]].concat(), "")?.output()?;
    cluster.get(namespace, "pod", name)
}

/// The environment of a pod's first container, as the kubelet makes it.
pub(crate) fn environment(pod: &Value) -> Vec<(String, String)> {
    let variables = pod["spec"]["containers"][0]["env"].as_array().into_iter().flatten();
    variables
        .filter_map(|variable| {
            let name = variable["name"].as_str()?.to_owned();
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some(path) => pod.pointer(&format!("/{}", path.replace('.', "/")))?.as_str()?,
                // A limit of resources, of which this machine has none.
                None => variable["value"].as_str()?,
            };
            Some((name, value.to_owned()))
        })
        .collect()
}
