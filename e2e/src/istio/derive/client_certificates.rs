//! The client certificates that istiod gives the waypoint from Secrets, over SDS.
//!
//! istiod looks for `credentialName` in the waypoint's own namespace, whichever namespace the
//! DestinationRule is in, and serves it only where the waypoint's service account can list the
//! Secrets there. It asks the API server that without a Secret's name, so a Role that names Secrets
//! does not do (pilot/pkg/xds/sds.go, pilot/pkg/credentials/kube/secrets.go).

use serde_json::Value;

use super::RBAC;
use crate::istio::resources::{Object, Resources};

/// A Secret that a DestinationRule names as `credentialName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name, in the waypoint's namespace.
    pub name: String,
    /// What istiod gives the waypoint of it. Without it the cluster never becomes ready, and
    /// requests get 503.
    pub served: Option<ClientCertificate>,
}

/// What is in such a Secret, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `tls.crt`.
    pub certificate: String,
    /// `tls.key`.
    pub key: String,
    /// `ca.crt`: the authorities that the origin's certificate is checked against.
    pub authorities: String,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// What istiod gives the waypoint of a Secret, if it gives anything.
pub(super) fn served(
    resources: &Resources,
    gateway: &Object,
    name: &str,
) -> Option<ClientCertificate> {
    if !can_list_secrets(resources, gateway) {
        return None;
    }
    let secret = secret(resources, gateway, name)?;
    let field = |key: &str| Some(secret.document["stringData"][key].as_str()?.to_owned());
    Some(ClientCertificate {
        certificate: field("tls.crt")?,
        key: field("tls.key")?,
        authorities: field("ca.crt")?,
    })
}

/// Why it gives nothing, in words.
pub(super) fn why_not_served(
    resources: &Resources,
    gateway: &Object,
    host: &str,
    name: &str,
) -> String {
    let namespace = &gateway.namespace;
    let why = if secret(resources, gateway, name).is_none() {
        format!("there is no Secret `{namespace}/{name}`")
    } else if can_list_secrets(resources, gateway) {
        format!("the Secret `{namespace}/{name}` lacks one of `tls.crt`, `tls.key`, `ca.crt`")
    } else {
        format!(
            "no Role lets the service account `{}` list the Secrets of `{namespace}`",
            gateway.name
        )
    };
    format!("requests to `{host}` get 503, as the waypoint has no client certificate: {why}")
}

fn secret<'a>(resources: &'a Resources, gateway: &'a Object, name: &'a str) -> Option<&'a Object> {
    let mut secrets = resources.of_kind("", "Secret");
    secrets.find(|one| one.namespace == gateway.namespace && one.name == name)
}

/// Whether a Role of its namespace lets the waypoint's service account list all Secrets there.
fn can_list_secrets(resources: &Resources, gateway: &Object) -> bool {
    let own = |object: &&Object| object.namespace == gateway.namespace;
    let mut bindings = resources.of_kind(RBAC, "RoleBinding").filter(own);
    bindings.any(|binding| {
        let is_bound = items(&binding.document["subjects"]).any(|subject| {
            subject["kind"] == "ServiceAccount"
                && subject["name"] == *gateway.name
                && subject["namespace"] == *gateway.namespace
        });
        let reference = &binding.document["roleRef"];
        is_bound
            && reference["kind"] == "Role"
            && resources
                .of_kind(RBAC, "Role")
                .filter(own)
                .filter(|role| reference["name"] == *role.name)
                .flat_map(|role| items(&role.document["rules"]))
                .any(lists_secrets)
    })
}

fn lists_secrets(rule: &Value) -> bool {
    let has = |field: &str, wanted: &str| {
        items(&rule[field]).any(|value| value == wanted || value == "*")
    };
    has("apiGroups", "")
        && has("resources", "secrets")
        && has("verbs", "list")
        && items(&rule["resourceNames"]).next().is_none()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
