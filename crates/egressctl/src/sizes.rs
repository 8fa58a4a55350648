//! How large a resource may be in Kubernetes.

use crate::diagnostic::Severity;

/// The most bytes that all annotations of a resource may have (`TotalAnnotationSizeLimitB` of
/// Kubernetes). `kubectl apply` keeps the last version in one of them.
const ANNOTATION: usize = 262_144;
/// The most bytes of a request to etcd, by its default settings (`--max-request-bytes`).
const ETCD: usize = 1_572_864;

/// What Kubernetes makes of a resource with so many bytes of JSON, if it is too large for
/// something.
pub(crate) fn finding(bytes: usize) -> Option<(Severity, String)> {
    if bytes > ETCD {
        let message = format!(
            "{bytes} bytes of JSON are more than the {ETCD} that etcd takes: write fewer, larger \
             policies, or give groups of hosts waypoints of their own"
        );
        return Some((Severity::Error, message));
    }
    (bytes > ANNOTATION).then(|| {
        let message = format!(
            "{bytes} bytes of JSON are more than the {ANNOTATION} in which `kubectl apply` keeps \
             the last version: use `kubectl apply --server-side`"
        );
        (Severity::Note, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_from_the_first_byte_above_it() {
        let severity = |bytes| finding(bytes).map(|(severity, _)| severity);
        assert_eq!(severity(ANNOTATION), None);
        assert_eq!(severity(ANNOTATION + 1), Some(Severity::Note));
        assert_eq!(severity(ETCD), Some(Severity::Note));
        assert_eq!(severity(ETCD + 1), Some(Severity::Error));
    }
}
