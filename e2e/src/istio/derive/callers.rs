//! The pods of the mesh, each with the identity that its certificate carries.

use super::{Caller, DeriveError, Finding, finding, spiffe_id};
use crate::istio::resources::{Object, Resources};
use crate::istio::spec;

pub(super) fn derive(
    resources: &Resources,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Caller>, DeriveError> {
    let mut callers = Vec::new();
    for pod in resources.of_kind("", "Pod") {
        if resources.label(pod, "istio.io/dataplane-mode") != Some("ambient") {
            let message = "not in the ambient mesh, so its connections go past the waypoint: \
                           label it or its namespace \
                           `istio.io/dataplane-mode: ambient`";
            findings.push(finding(pod, message));
            continue;
        }
        let spec: spec::Pod = pod.spec()?;
        if spec.host_network {
            findings.push(finding(
                pod,
                "in its node's network, so ztunnel never meets its \
                                        connections; they go past the waypoint",
            ));
            continue;
        }
        let account = spec.service_account_name;
        // Kubernetes makes the account `default` of each namespace by itself.
        if account != "default" && !exists(resources, pod, &account) {
            findings.push(finding(
                pod,
                format!("never starts: its namespace has no ServiceAccount `{account}`"),
            ));
            continue;
        }
        callers.push(Caller {
            name: name(resources, pod),
            namespace: pod.namespace.clone(),
            spiffe_id: spiffe_id(&pod.namespace, &account),
        });
    }
    Ok(callers)
}

fn exists(resources: &Resources, pod: &Object, account: &str) -> bool {
    resources
        .of_kind("", "ServiceAccount")
        .any(|known| known.namespace == pod.namespace && known.name == account)
}

fn name(resources: &Resources, pod: &Object) -> String {
    let alone =
        resources.of_kind("", "Pod").filter(|other| other.namespace == pod.namespace).count() == 1;
    if alone { pod.namespace.clone() } else { format!("{}-{}", pod.namespace, pod.name) }
}
