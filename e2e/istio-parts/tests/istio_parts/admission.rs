//! What step 7's admission policies refuse, and what a person is told.

use serde_json::{Value, json};

use crate::setting::Setting;

#[test]
fn what_would_go_round_the_waypoint_is_refused_with_a_word() {
    let setting = Setting::start();
    for file in ["01-setup.yaml", "02-egress-direct.yaml", "07-no-bypass.yaml"] {
        setting.apply(file);
    }
    // Kubernetes' own admission, which `restricted` turns on, would say some of it first.
    let label = "pod-security.kubernetes.io/enforce=privileged";
    for namespace in ["team-a", "team-b"] {
        let arguments = ["label", "--overwrite", "namespace", namespace, label];
        setting.cluster.kubectl(&arguments, "").and_then(|said| said.output()).expect("labelled");
    }
    // The API server compiles a policy some time after it is there.
    setting
        .cluster
        .wait_for("the policies in force", |cluster| {
            let arguments = ["-n", "team-a", "label", "pod", "client", "a=b", "--dry-run=server"];
            let with = [&arguments[..], &["istio.io/dataplane-mode=none"]].concat();
            (!cluster.kubectl(&with, "").ok()?.succeeded).then_some(())
        })
        .expect("the policies are in force");
    for (what, object, message) in refused() {
        let said = setting.cluster.apply(&object.to_string());
        let refusal = said.expect_err(what).to_string();
        assert!(refusal.contains(message), "{what}: {refusal}");
    }
    for (what, object) in accepted() {
        let said = setting.cluster.apply(&object.to_string());
        said.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

fn pod(namespace: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": namespace},
        "spec": {
            "serviceAccountName": namespace,
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "a",
                "image": "a",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    change(&mut pod);
    pod
}

fn service_entry(namespace: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {
            "name": "tried",
            "namespace": namespace,
            "labels": {
                "istio.io/use-waypoint": "egress",
                "istio.io/use-waypoint-namespace": "egress-direct",
            },
        },
        "spec": {
            "hosts": ["tried.example"],
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443}],
        },
    });
    change(&mut entry);
    entry
}

fn refused() -> Vec<(&'static str, Value, &'static str)> {
    let label = |name: &'static str, value: &'static str| {
        move |object: &mut Value| object["metadata"]["labels"][name] = json!(value)
    };
    vec![
        (
            "a pod that leaves the mesh",
            pod("team-a", label("istio.io/dataplane-mode", "none")),
            "pods of this namespace leave the cluster through the mesh only: remove the label \
             istio.io/dataplane-mode",
        ),
        (
            "a pod with a sidecar",
            pod("team-b", |pod| {
                pod["metadata"]["annotations"] = json!({"sidecar.istio.io/status": "{}"});
            }),
            "a pod with a sidecar is not in the ambient mesh",
        ),
        (
            "a pod without ztunnel's DNS",
            pod("team-a", |pod| {
                pod["metadata"]["annotations"] = json!({"ambient.istio.io/dns-capture": "false"});
            }),
            "without ztunnel's DNS the pod finds the origins",
        ),
        (
            "a pod whose probe the kubelet sends elsewhere",
            pod("team-a", |pod| {
                pod["spec"]["containers"][0]["livenessProbe"] =
                    json!({"httpGet": {"host": "example.com", "port": 80}});
            }),
            "the kubelet calls it from the node, past the mesh",
        ),
        (
            "a pod in the host's network",
            pod("team-a", |pod| pod["spec"]["hostNetwork"] = json!(true)),
            "a pod in the host network is in no mesh and under no NetworkPolicy: remove \
             hostNetwork",
        ),
        (
            "a team's own ServiceEntry",
            service_entry("team-a", |_| {}),
            "ServiceEntries for what is outside of the cluster belong in the namespace \
             egress-direct",
        ),
        (
            "a ServiceEntry past the waypoint",
            service_entry("egress-direct", |entry| {
                entry["metadata"]["labels"] = json!({});
            }),
            "without the label istio.io/use-waypoint: egress pods go past the waypoint",
        ),
        (
            "a ServiceEntry through another namespace's waypoint",
            service_entry("egress-direct", label("istio.io/use-waypoint-namespace", "team-a")),
            "another namespace's waypoint has no policies of this one: remove the label \
             istio.io/use-waypoint-namespace",
        ),
        (
            "a ServiceEntry with a second waypoint",
            service_entry("egress-direct", label("istio.io/use-waypoint-canary", "other")),
            "a share of the calls would go to another waypoint: remove the label \
             istio.io/use-waypoint-canary",
        ),
        (
            "a ServiceEntry of bytes",
            service_entry("egress-direct", |entry| {
                entry["spec"]["ports"][0]["protocol"] = json!("TLS");
            }),
            "each port needs protocol: HTTP (or HTTP2, GRPC)",
        ),
    ]
}

fn accepted() -> Vec<(&'static str, Value)> {
    vec![
        ("a pod as step 1 has it", pod("team-a", |_| {})),
        ("a service as step 2 has it", service_entry("egress-direct", |_| {})),
    ]
}
