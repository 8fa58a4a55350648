//! The single-valued attributes of a request, and how each is read.

use super::view::View;

/// An attribute that is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextAttribute {
    SpiffeId,
    TrustDomain,
    Namespace,
    ServiceAccount,
    SourceAddress,
    Method,
    Scheme,
    Host,
    Path,
    PathAndQuery,
    Version,
    Id,
    Hostname,
    DestinationAddress,
}

/// An attribute that is an int.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntAttribute {
    SourcePort,
    DestinationPort,
    ResponseCode,
}

/// Why an attribute or header has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not there.
    Missing,
    /// It is there, and is not UTF-8: nothing is compared that is not what came.
    NotUtf8,
}

impl TextAttribute {
    /// The attribute of this name.
    pub(super) fn of(path: &[&str]) -> Option<Self> {
        Some(match path {
            ["source", "spiffeId"] => Self::SpiffeId,
            ["source", "identity", "trustDomain"] => Self::TrustDomain,
            ["source", "identity", "namespace"] => Self::Namespace,
            ["source", "identity", "serviceAccount"] => Self::ServiceAccount,
            ["source", "address"] => Self::SourceAddress,
            ["request", "method"] => Self::Method,
            ["request", "scheme"] => Self::Scheme,
            ["request", "host"] => Self::Host,
            ["request", "path"] => Self::Path,
            ["request", "pathAndQuery"] => Self::PathAndQuery,
            ["request", "version"] => Self::Version,
            ["request", "id"] => Self::Id,
            ["destination", "hostname"] => Self::Hostname,
            ["destination", "address"] => Self::DestinationAddress,
            _ => return None,
        })
    }

    /// The last part of its name, which errors name. Of an identity that is not there, `identity`.
    pub(super) fn missing_name(self, view: &View<'_>) -> &'static str {
        match self {
            Self::TrustDomain | Self::Namespace | Self::ServiceAccount
                if !view.caller().is_workload() =>
            {
                "identity"
            }
            Self::SpiffeId => "spiffeId",
            Self::TrustDomain => "trustDomain",
            Self::Namespace => "namespace",
            Self::ServiceAccount => "serviceAccount",
            Self::SourceAddress | Self::DestinationAddress => "address",
            Self::Method => "method",
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Path => "path",
            Self::PathAndQuery => "pathAndQuery",
            Self::Version => "version",
            Self::Id => "id",
            Self::Hostname => "hostname",
        }
    }

    /// Its value.
    pub(crate) fn read<'s>(self, view: &'s View<'_>) -> Result<&'s str, Fault> {
        let known = |found: Option<&'s str>| found.ok_or(Fault::Missing);
        match self {
            Self::SpiffeId => known(view.caller().spiffe_id()),
            // Other attributes of an ID without a workload are not there either.
            Self::TrustDomain => known(view.caller().trust_domain()),
            Self::Namespace => known(view.caller().namespace()),
            Self::ServiceAccount => known(view.caller().service_account()),
            Self::SourceAddress => known(view.source_address()),
            Self::Method => utf8(view.line(b":method")),
            Self::Scheme => Ok(view.scheme()),
            Self::Host => known(view.host()),
            Self::Path => utf8(view.path_and_query().map(crate::path::without_query)),
            Self::PathAndQuery => utf8(view.path_and_query()),
            Self::Version => utf8(Some(view.version()).filter(|version| !version.is_empty())),
            Self::Id => utf8(view.line(b"x-request-id")),
            Self::Hostname => known(view.destination()),
            Self::DestinationAddress => known(view.dialled().map(|(address, _)| address)),
        }
    }
}

impl IntAttribute {
    /// The attribute of this name.
    pub(super) fn of(path: &[&str]) -> Option<Self> {
        Some(match path {
            ["source", "port"] => Self::SourcePort,
            ["destination", "port"] => Self::DestinationPort,
            ["response", "code"] => Self::ResponseCode,
            _ => return None,
        })
    }

    /// The last part of its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SourcePort | Self::DestinationPort => "port",
            Self::ResponseCode => "code",
        }
    }

    /// Its value.
    pub(super) fn read(self, view: &View<'_>) -> Option<i64> {
        match self {
            Self::SourcePort => view.source_port(),
            Self::DestinationPort => view.dialled().map(|(_, port)| i64::from(port)),
            Self::ResponseCode => view.status(),
        }
    }
}

/// Bytes as text.
pub(super) fn utf8(bytes: Option<&[u8]>) -> Result<&str, Fault> {
    std::str::from_utf8(bytes.ok_or(Fault::Missing)?).map_err(|_| Fault::NotUtf8)
}
