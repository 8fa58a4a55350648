//! SPIFFE IDs, parsed strictly.

pub mod peer;
#[cfg(test)]
mod tests;

pub use egress_reading::host::MAX_TRUST_DOMAIN;
use egress_reading::host::is_trust_domain;
use thiserror::Error;

use crate::config::IdentitySource;

/// The longest SPIFFE ID (SPIFFE-ID section 2.3).
const MAX_ID: usize = 2048;

/// A SPIFFE ID (SPIFFE-ID section 2), with the workload if it has the form that Istio gives
/// workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiffeId<'a> {
    uri: &'a str,
    trust_domain: &'a str,
    workload: Option<Workload<'a>>,
}

/// The workload of a SPIFFE ID of the form
/// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload<'a> {
    /// The Kubernetes namespace.
    pub namespace: &'a str,
    /// The Kubernetes service account.
    pub service_account: &'a str,
}

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpiffeIdError {
    /// Longer than 2048 bytes.
    #[error("longer than {MAX_ID} bytes")]
    TooLong,
    /// The scheme is not `spiffe`.
    #[error("does not start with `spiffe://`")]
    Scheme,
    /// The trust domain is empty, too long, or has an illegal character.
    #[error(
        "the trust domain is not 1 to {MAX_TRUST_DOMAIN} lower-case letters, digits, `.`, `-` and \
         `_`"
    )]
    TrustDomain,
    /// A path segment is empty, `.`, `..`, or has an illegal character.
    #[error(
        "a path segment is empty, `.` or `..`, or holds something but letters, digits, `.`, `-` \
         and `_`"
    )]
    Segment,
}

impl<'a> SpiffeId<'a> {
    /// Parses a SPIFFE ID strictly, without normalising anything.
    ///
    /// # Errors
    /// If it is not one by SPIFFE-ID section 2. User information, ports, percent signs, queries and
    /// fragments are errors.
    pub fn parse(uri: &'a str) -> Result<Self, SpiffeIdError> {
        if uri.len() > MAX_ID {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = uri.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        let (trust_domain, path) = match rest.split_once('/') {
            Some((trust_domain, path)) => (trust_domain, Some(path)),
            None => (rest, None),
        };
        if !is_trust_domain(trust_domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        if path.is_some_and(|path| !path.split('/').all(is_segment)) {
            return Err(SpiffeIdError::Segment);
        }
        Ok(SpiffeId { uri, trust_domain, workload: path.and_then(workload) })
    }

    /// The whole ID.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.uri
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &'a str {
        self.trust_domain
    }

    /// The workload, if the ID has Istio's form.
    #[must_use]
    pub fn workload(&self) -> Option<Workload<'a>> {
        self.workload
    }
}

fn workload(path: &str) -> Option<Workload<'_>> {
    let mut segments = path.split('/');
    match (segments.next(), segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some("ns"), Some(namespace), Some("sa"), Some(service_account), None) => {
            Some(Workload { namespace, service_account })
        }
        _ => None,
    }
}

/// Whether this can be a segment of a SPIFFE ID's path (SPIFFE-ID section 2.2).
pub(crate) fn is_segment(segment: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(legal)
}
