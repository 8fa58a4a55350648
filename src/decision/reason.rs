//! Why a request was decided as it was.

use super::Verdict;

/// What every response code detail of the filter begins with. The details are constants, so that no
/// answer has to make one.
macro_rules! prefix {
    () => {
        "egress_filter:"
    };
}
const PREFIX: &str = prefix!();

/// Why a request was allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An Allow matched.
    AllowMatched,
    /// Nothing denied it, and no Allow is in scope.
    NoAllowRule,
    /// A Deny matched.
    DenyMatched,
    /// A Deny failed.
    DenyError,
    /// A Require did not match, or failed.
    RequireNotMatched,
    /// Allows are in scope, and none matched.
    NoAllowMatched,
    /// No Allow is in scope, and the default action is Deny.
    DefaultDeny,
    /// The path could be read in two ways.
    PathUnsafe,
    /// The method could be read in two ways.
    MethodUnsafe,
    /// A header could be read in two ways, or has a proxy behind this one remove other headers.
    HeaderUnsafe,
    /// Evaluating its rules would take more steps than one request gets.
    LimitExceeded,
    /// The host is not that of the destination which the caller dialled.
    HostMismatch,
    /// The request names no host, or several.
    BadHost,
    /// A policy answered it with a redirect.
    Redirect,
    /// A policy answered it with a direct response.
    DirectResponse,
    /// A rewrite of the request line gave no value, or an unsafe one.
    RewriteError,
    /// A condition of a policy's feature failed.
    ConditionError,
    /// The body of a direct response could not be computed.
    AnswerError,
    /// The request must not get the credential that its host gets.
    CredentialRefused,
    /// The request's credential cannot be had.
    CredentialUnavailable,
    /// A service that authorizes requests denied it.
    ExternalDenied,
    /// There have been too many requests.
    RateLimited,
    /// An expression failed that a call to a service, or the key of a limit, is made of.
    CalloutError,
    /// The request's body is longer than what is read of one.
    BodyTooLarge,
    /// A service that had to be asked gave no answer that could be used.
    NoAnswer,
    /// The caller left, or the proxy gave the request up, before there was a decision.
    Gone,
    /// Something failed that must never fail.
    InternalError,
}

impl Reason {
    /// All reasons, in the order in which they are declared.
    pub const ALL: [Reason; 27] = [
        Reason::AllowMatched,
        Reason::NoAllowRule,
        Reason::DenyMatched,
        Reason::DenyError,
        Reason::RequireNotMatched,
        Reason::NoAllowMatched,
        Reason::DefaultDeny,
        Reason::PathUnsafe,
        Reason::MethodUnsafe,
        Reason::HeaderUnsafe,
        Reason::LimitExceeded,
        Reason::HostMismatch,
        Reason::BadHost,
        Reason::Redirect,
        Reason::DirectResponse,
        Reason::RewriteError,
        Reason::ConditionError,
        Reason::AnswerError,
        Reason::CredentialRefused,
        Reason::CredentialUnavailable,
        Reason::ExternalDenied,
        Reason::RateLimited,
        Reason::CalloutError,
        Reason::BodyTooLarge,
        Reason::NoAnswer,
        Reason::Gone,
        Reason::InternalError,
    ];

    /// Whether a request goes on for this reason.
    #[must_use]
    pub fn allows(self) -> bool {
        self.verdict() == Verdict::Allow
    }

    /// What becomes of a request for this reason.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Reason::AllowMatched | Reason::NoAllowRule => Verdict::Allow,
            Reason::Redirect | Reason::DirectResponse => Verdict::Answer,
            _ => Verdict::Deny,
        }
    }

    /// Whether the request itself is at fault, and not what its caller may do.
    #[must_use]
    pub fn is_malformed(self) -> bool {
        matches!(
            self,
            Reason::PathUnsafe | Reason::MethodUnsafe | Reason::HeaderUnsafe | Reason::BadHost
        )
    }

    /// The word for audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.details().strip_prefix(PREFIX).unwrap_or_default()
    }

    /// The word with the filter's name before it, for the proxy's response code details.
    pub(super) fn details(self) -> &'static str {
        match self {
            Reason::AllowMatched => concat!(prefix!(), "allow-matched"),
            Reason::NoAllowRule => concat!(prefix!(), "no-allow-rule"),
            Reason::DenyMatched => concat!(prefix!(), "deny-matched"),
            Reason::DenyError => concat!(prefix!(), "deny-error"),
            Reason::RequireNotMatched => concat!(prefix!(), "require-not-matched"),
            Reason::NoAllowMatched => concat!(prefix!(), "no-allow-matched"),
            Reason::DefaultDeny => concat!(prefix!(), "default-deny"),
            Reason::PathUnsafe => concat!(prefix!(), "path-unsafe"),
            Reason::MethodUnsafe => concat!(prefix!(), "method-unsafe"),
            Reason::HeaderUnsafe => concat!(prefix!(), "header-unsafe"),
            Reason::LimitExceeded => concat!(prefix!(), "limit-exceeded"),
            Reason::HostMismatch => concat!(prefix!(), "host-mismatch"),
            Reason::BadHost => concat!(prefix!(), "bad-host"),
            Reason::Redirect => concat!(prefix!(), "redirect"),
            Reason::DirectResponse => concat!(prefix!(), "direct-response"),
            Reason::RewriteError => concat!(prefix!(), "rewrite-error"),
            Reason::ConditionError => concat!(prefix!(), "condition-error"),
            Reason::AnswerError => concat!(prefix!(), "answer-error"),
            Reason::CredentialRefused => concat!(prefix!(), "credential-refused"),
            Reason::CredentialUnavailable => concat!(prefix!(), "credential-unavailable"),
            Reason::ExternalDenied => concat!(prefix!(), "external-denied"),
            Reason::RateLimited => concat!(prefix!(), "rate-limited"),
            Reason::CalloutError => concat!(prefix!(), "callout-error"),
            Reason::BodyTooLarge => concat!(prefix!(), "body-too-large"),
            Reason::NoAnswer => concat!(prefix!(), "no-answer"),
            Reason::Gone => concat!(prefix!(), "gone"),
            Reason::InternalError => concat!(prefix!(), "internal-error"),
        }
    }
}
