//! The Secrets that clusters refer to, as istiod's SDS gives them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::istio::derive::Derived;
use crate::istio::local::{Local, subscription};

/// What istiod calls a Secret's authorities, behind the Secret's name.
const AUTHORITIES: &str = "-cacert";

/// Each Secret that is served, by the name it has without istiod's scheme.
pub(super) fn all(derived: &Derived) -> BTreeMap<String, Value> {
    let credentials = derived.routes().filter_map(|(.., port)| {
        let credential = port.tls.as_ref()?.credential.as_ref()?;
        Some((&credential.name, credential.served.as_ref()?))
    });
    let inline = |text: &String| json!({"inline_string": text});
    let mut secrets = BTreeMap::new();
    for (name, served) in credentials {
        let certificate = json!({
            "name": resource(name),
            "tls_certificate": {
                "certificate_chain": inline(&served.certificate),
                "private_key": inline(&served.key),
            },
        });
        secrets.insert(name.clone(), certificate);
        let name = authorities(name);
        let context = json!({
            "name": resource(&name),
            "validation_context": {"trusted_ca": inline(&served.authorities)},
        });
        secrets.insert(name, context);
    }
    secrets
}

/// The name of a Secret's authorities.
pub(super) fn authorities(name: &str) -> String {
    format!("{name}{AUTHORITIES}")
}

/// A cluster's reference to a Secret.
pub(super) fn reference(name: &str, local: &Local) -> Value {
    json!({"name": resource(name), "sds_config": subscription(&local.updates(&file(name)))})
}

/// The file by which a Secret comes.
pub(in crate::istio) fn file(name: &str) -> String {
    format!("secret-{name}.json")
}

/// What Envoy's statistics of a Secret begin with.
pub(in crate::istio) fn statistics(name: &str) -> String {
    // As Envoy has it in all of its names.
    format!("sds.{}", resource(name).replace("://", "_"))
}

fn resource(name: &str) -> String {
    format!("kubernetes://{name}")
}
