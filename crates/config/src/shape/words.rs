//! The words that fields accept, each with the value that it stands for and what it means.

use crate::rewrite::PathChangeType;
use crate::{
    Action, AuditLog, ClientAuth, Combine, DefaultAction, FailureMode, HostBinding, HostRewrite,
    IdentitySource, LimitUnit, Mode, OnError, QuotaHeaders, ReferenceKind, Scheme,
};
use egress_reading::path_safety::PathSafety;

/// The word for which `false` is accepted as well: kubectl reads YAML 1.1, where `Off` without
/// quotes is `false`.
pub const OFF: &str = "Off";

/// A word that stands for a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<T> {
    pub(crate) word: &'static str,
    pub(crate) value: T,
    about: &'static str,
}

const fn word<T: Copy>(word: &'static str, value: T, about: &'static str) -> Word<T> {
    Word { word, value, about: super::said(about) }
}

/// The words, each with what it means.
pub(crate) fn listed<T>(words: &[Word<T>]) -> Vec<(&'static str, &'static str)> {
    words.iter().map(|word| (word.word, word.about)).collect()
}

pub(crate) const PATH_SAFETY: &[Word<PathSafety>] = &[
    word(
        "Strict",
        PathSafety::Strict,
        "Refuses every path that two readers could read in different ways.",
    ),
    word(
        "Lenient",
        PathSafety::Lenient,
        "Refuses only paths that lead out of a prefix: dot segments, backslashes, control bytes.",
    ),
    word(OFF, PathSafety::Off, "Refuses no path."),
];

pub(crate) const HOST_BINDING: &[Word<HostBinding>] = &[
    word(
        "Strict",
        HostBinding::Strict,
        "A request for a host other than the destination is refused.",
    ),
    word(
        OFF,
        HostBinding::Off,
        "`Host` may be anything, so a caller can get around a rule on `request.host` by \
         dialling another service.",
    ),
];

pub(crate) const IDENTITY_SOURCES: &[Word<IdentitySource>] = &[
    word(
        "filterState",
        IdentitySource::FilterState,
        "What the waypoint's HBONE listener recorded of the caller's certificate.",
    ),
    word(
        "peerCertificate",
        IdentitySource::PeerCertificate,
        "The URI SAN of the peer's certificate, where the filter's own listener ends mTLS.",
    ),
    word(
        "forwardedClientCert",
        IdentitySource::ForwardedClientCert,
        "The `x-forwarded-client-cert` header, which any caller can forge unless the proxy in \
         front removes it.",
    ),
];

pub(crate) const AUDIT_LOG: &[Word<AuditLog>] = &[
    word("All", AuditLog::All, "Every decision."),
    word("Denied", AuditLog::Denied, "Denials, and what a shadow policy would have denied."),
    word("None", AuditLog::None, "No decision."),
];

pub(crate) const MODE: &[Word<Mode>] = &[
    word("Enforce", Mode::Enforce, "The policy decides."),
    word(
        "Shadow",
        Mode::Shadow,
        "The policy is evaluated, and what it would have denied is reported; it changes nothing.",
    ),
];

pub(crate) const ACTION: &[Word<Action>] = &[
    word(
        "Allow",
        Action::Allow,
        "A match lets the request through, where no Deny matches and every Require does.",
    ),
    word("Deny", Action::Deny, "A match denies the request, whatever else allows it."),
    word("Require", Action::Require, "A request that does not match is denied."),
];

pub(crate) const DEFAULT_ACTION: &[Word<DefaultAction>] = &[
    word(
        "Allow",
        DefaultAction::Allow,
        "It goes on, unless an Allow is in scope that does not match.",
    ),
    word("Deny", DefaultAction::Deny, "It is denied: only what an Allow matches goes on."),
];

pub(crate) const COMBINE: &[Word<Combine>] = &[
    word("All", Combine::All, "The rule matches when all its expressions do."),
    word("Any", Combine::Any, "The rule matches when one of its expressions does."),
];

pub(crate) const ON_ERROR: &[Word<OnError>] = &[
    word("Deny", OnError::Deny, "A Deny denies; an Allow or Require does not match."),
    word("Ignore", OnError::Ignore, "The expression does not match, in a Deny as well."),
];

pub(crate) const PATH_CHANGE: &[Word<PathChangeType>] = &[
    word("ReplaceFullPath", PathChangeType::Full, "The whole path."),
    word("ReplacePrefixMatch", PathChangeType::Prefix, "The `prefix`."),
];

pub(crate) const HOST_REWRITE: &[Word<HostRewrite>] = &[
    word(
        "Auto",
        HostRewrite::Auto,
        "The name of the destination that was dialled, where it is known and no wildcard.",
    ),
    word("None", HostRewrite::None, "The authority stays as it is."),
];

pub(crate) const SCHEME: &[Word<Scheme>] =
    &[word("http", Scheme::Http, "Plain HTTP."), word("https", Scheme::Https, "HTTP over TLS.")];

pub(crate) const LIMIT_UNIT: &[Word<LimitUnit>] = &[
    word("Seconds", LimitUnit::Seconds, "A second."),
    word("Minutes", LimitUnit::Minutes, "A minute."),
    word("Hours", LimitUnit::Hours, "An hour."),
];

pub(crate) const QUOTA_HEADERS: &[Word<QuotaHeaders>] = &[
    word(
        "All",
        QuotaHeaders::All,
        "All, unless the origin has set one of these headers. It costs four more host calls a \
         request.",
    ),
    word("Denied", QuotaHeaders::Denied, "The 429 of a request over the limit."),
];

pub(crate) const FAILURE_MODE: &[Word<FailureMode>] = &[
    word("FailClosed", FailureMode::FailClosed, "The request is refused."),
    word("FailOpen", FailureMode::FailOpen, "The request goes on."),
];

pub(crate) const COUNTED: &[Word<()>] =
    &[word("Requests", (), "Each request, or as many as `cost` says.")];

pub(crate) const CLIENT_AUTH: &[Word<ClientAuth>] = &[
    word(
        "ClientSecretBasic",
        ClientAuth::Basic,
        "In the header `Authorization` (RFC 6749 section 2.3.1).",
    ),
    word("ClientSecretPost", ClientAuth::Post, "In the body of the request."),
];

pub(crate) const REFERENCE_KIND: &[Word<ReferenceKind>] = &[
    word(
        "Service",
        ReferenceKind::Service,
        "A Kubernetes Service, in a cluster whose domain is `cluster.local`.",
    ),
    word(
        "Hostname",
        ReferenceKind::Hostname,
        "The host name of a ServiceEntry, or the full name of a Service.",
    ),
];
