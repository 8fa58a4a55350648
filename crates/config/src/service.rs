//! Services that the filter calls: `backendRef`, or `cluster` and `host`.

use super::decode::{Errors, Node, Object};
use super::shape::{self, Text};

/// The longest name of a cluster, in characters.
pub const MAX_CLUSTER: usize = 512;

/// A service that the filter calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Envoy's name of its cluster.
    pub cluster: String,
    /// The authority of calls to it.
    pub host: String,
}

/// `backendRef.kind`: what its name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferenceKind {
    /// The name of a Kubernetes Service.
    #[default]
    Service,
    /// A host name.
    Hostname,
}

/// Reads which service an object names.
pub(super) fn read(fields: &Object<'_>, errors: &mut Errors) -> Option<ServiceConfig> {
    let cluster = text_of(fields, "cluster", Text::Free(MAX_CLUSTER), errors);
    let reference = fields.get("backendRef").and_then(|node| read_reference(&node, errors));
    let host = text_of(fields, "host", Text::HostName, errors);
    let (named, own_host) = reference.unzip();
    Some(ServiceConfig { cluster: named.or(cluster)?, host: host.or(own_host)? })
}

pub(super) fn text_of(
    fields: &Object<'_>,
    name: &str,
    form: Text,
    errors: &mut Errors,
) -> Option<String> {
    Some(fields.get(name)?.text(form, errors)?.to_owned())
}

/// The name of the cluster that Istio makes of a service, and the service's host name.
fn read_reference(node: &Node<'_>, errors: &mut Errors) -> Option<(String, String)> {
    let fields = node.object(shape::REFERENCE, errors)?;
    fields.check(shape::REFERENCE_IS, errors);
    let kind = fields.get("kind").map(|node| node.word(shape::REFERENCE_KIND, errors));
    let name = text_of(&fields, "name", Text::HostName, errors);
    let namespace = text_of(&fields, "namespace", Text::HostName, errors);
    let port = fields.get("port").and_then(|node| node.integer(1, 65_535, errors));
    let host = match kind {
        None | Some(Some(ReferenceKind::Service)) => {
            format!("{}.{}.svc.cluster.local", name?, namespace?)
        }
        Some(Some(ReferenceKind::Hostname)) => name?,
        Some(None) => return None,
    }
    .to_ascii_lowercase();
    Some((format!("outbound|{}||{host}", port?), host))
}
