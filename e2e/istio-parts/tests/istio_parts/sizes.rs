//! What Kubernetes says of a plugin that is too large for it, which `egressctl check` says before.

use serde_json::{Value, json};

use crate::setting::Setting;

/// A plugin of about so many bytes.
fn plugin(bytes: usize) -> Value {
    let policy = |index: usize| {
        json!({"name": format!("p{index}"), "traffic": {"authorization": {"policy": {
            "matchExpressions": [format!("request.path == '/{}'", "x".repeat(1_000))],
        }}}})
    };
    let policies: Vec<Value> = (0..bytes / 1_100).map(policy).collect();
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "large", "namespace": "egress-direct"},
        "spec": {
            "targetRefs":
                [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"}],
            "url": "oci://registry.example.com/egress-filter:0.1.0",
            "pluginConfig": {"policies": policies},
        },
    })
}

#[test]
fn kubernetes_has_the_limits_that_check_knows() {
    let setting = Setting::start();
    setting.apply("01-setup.yaml");
    let applied = |bytes: usize, server_side: &str| {
        let arguments = ["apply", server_side, "-f", "-"];
        setting.cluster.kubectl(&arguments, &plugin(bytes).to_string()).expect("kubectl runs")
    };
    assert!(applied(200_000, "--server-side=false").succeeded);
    let said = applied(300_000, "--server-side=false");
    assert!(said.err.contains("Too long: may not be more than 262144 bytes"), "{}", said.err);
    assert!(applied(300_000, "--server-side=true").succeeded);
    let said = applied(1_600_000, "--server-side=true");
    assert!(said.err.contains("etcdserver: request is too large"), "{}", said.err);
}
