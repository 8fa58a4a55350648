//! Whether Kubernetes takes a resource of this size.

use crate::diagnostic::Severity;
use crate::yaml::Node;

use super::Lints;

/// The most bytes that all annotations of a resource may have together. `kubectl apply` keeps the
/// whole resource in one of them, unless the server applies it.
const ANNOTATIONS: usize = 262_144;

/// The most bytes of a request to etcd, unless `--max-request-bytes` says otherwise.
const REQUEST: usize = 1_572_864;

/// What the server adds: who manages which field, and its own metadata.
const ADDED: usize = 16_384;

/// Warns of a resource that Kubernetes will not take as it is usually given.
pub(super) fn lint(resource: &Node, lints: &mut Lints<'_>) {
    let size = resource.to_json().len();
    let message = if size.saturating_add(ADDED) > REQUEST {
        format!(
            "this resource has {size} bytes as JSON: etcd takes {REQUEST} in one request, unless \
             set otherwise, with what the API server adds; write fewer and larger policies, or \
             have a waypoint for each group of hosts"
        )
    } else if size > ANNOTATIONS {
        format!(
            "this resource has {size} bytes as JSON: `kubectl apply` keeps a copy in an \
             annotation, which may have {ANNOTATIONS}; use `kubectl apply --server-side`"
        )
    } else {
        return;
    };
    let severity = if size > REQUEST { Severity::Error } else { Severity::Warning };
    lints.add(severity, super::name_or_first_line(resource, "spec"), "spec", message);
}
