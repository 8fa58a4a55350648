//! What was decided about a request, and what is to be done with it. The two are apart because a
//! request that is answered here need not have been denied.

use std::borrow::Cow;

use crate::call::Failure;
pub use crate::call::Service;
use crate::counters::{Count, Counter};
use crate::credential::Secret;

/// The body of a denial by policy, unless the author has composed another.
pub const DENIAL_BODY: &str = "authorization failed";
/// The body of the refusal of a request whose answer could not be composed.
pub const ANSWER_ERROR_BODY: &str = "failed to apply filters";
/// The body where a request's credential cannot be had.
pub const UNAVAILABLE_BODY: &str = "backend authentication failed";
/// The body of a denial by a service that authorizes requests, unless it has given its own.
pub const EXTERNAL_BODY: &str = "external authorization failed";
/// The body where there have been too many requests.
pub const RATE_LIMITED_BODY: &str = "rate limit exceeded";
/// The body where a service that counts requests gave no answer.
pub const RATE_LIMIT_FAILED_BODY: &str = "rate limit failed";
/// The body where a request's body is too long.
pub const BODY_TOO_LARGE_BODY: &str = "request body too large";
/// The body of every refusal of a malformed request.
pub const BAD_REQUEST_BODY: &str = "bad request";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the origin.
    Allow,
    /// It may go on, and a policy answers it in the origin's place.
    Answer,
    /// It is refused.
    Deny,
}

impl Verdict {
    /// The word for it, in audit records and access logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Answer => "answer",
            Verdict::Deny => "deny",
        }
    }
}

/// What was decided about a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on, and why.
    pub reason: Reason,
    /// What exactly was wrong with a request that is refused, for the audit record.
    pub detail: Option<&'static str>,
    /// The index of the policy that decided, where one did.
    pub policy: Option<usize>,
    /// Shadow policies that would have denied the request if they were enforced.
    pub shadow: Vec<usize>,
    /// Expressions that failed: the index of their policy, or [`WHOLE`], and the message.
    pub errors: Vec<(usize, String)>,
    /// The policies whose credentials the request got.
    pub credentials: Vec<usize>,
    /// The services that were asked about the request, in order.
    pub calls: Vec<Asked>,
}

/// What came of asking a service about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The index of the policy for which it was asked: the first, if it was for several.
    pub policy: usize,
    /// What it was asked for.
    pub service: Service,
    /// What it said.
    pub outcome: Outcome,
    /// Whether the answer was kept from an earlier request, so that no call was made.
    pub is_cached: bool,
    /// Whether the request goes on although the call failed.
    pub fails_open: bool,
    /// How long the call took.
    pub milliseconds: u32,
}

impl Asked {
    /// Whether a call was made.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        let is_unsent =
            matches!(self.outcome, Outcome::Failed(Failure::NotSent | Failure::Deadline));
        !self.is_cached && !is_unsent
    }
}

/// What a service said about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The request may go on.
    Allowed,
    /// It may not.
    Denied,
    /// Nothing that can be used.
    Failed(Failure),
}

impl Outcome {
    /// The word for it, in audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Failed(failure) => failure.as_str(),
        }
    }
}

/// In place of a policy's index: the configuration as a whole, whose `denial` has expressions too.
pub const WHOLE: usize = usize::MAX;

impl Decision {
    /// A decision for this reason, without a policy or details.
    pub(crate) fn because(reason: Reason) -> Self {
        Decision {
            reason,
            detail: None,
            policy: None,
            shadow: Vec::new(),
            errors: Vec::new(),
            credentials: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Something failed that must never fail.
    pub(crate) fn internal_error(detail: &'static str) -> Self {
        Decision { detail: Some(detail), ..Decision::because(Reason::InternalError) }
    }

    /// Whether the request may go on.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.reason.allows()
    }

    /// What becomes of the request.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    /// Calls `step` for each counter that this decision raises.
    pub fn count(&self, mut step: impl FnMut(Count)) {
        let verdict = match self.verdict() {
            Verdict::Allow => Counter::Allowed,
            Verdict::Answer => Counter::Answered,
            Verdict::Deny => Counter::Denied,
        };
        step(Count { policy: None, counter: verdict });
        if let Some(index) = self.policy {
            step(Count { policy: Some(index), counter: verdict });
        }
        let more = match self.reason {
            Reason::InternalError => Some(Counter::InternalErrors),
            Reason::RateLimited => Some(Counter::RateLimited),
            _ => None,
        };
        if let Some(counter) = more {
            step(Count { policy: None, counter });
        }
        if !self.shadow.is_empty() {
            step(Count { policy: None, counter: Counter::ShadowDenied });
        }
        for index in &self.shadow {
            step(Count { policy: Some(*index), counter: Counter::ShadowDenied });
        }
        count_errors(&self.errors, &mut step);
        if !self.calls.is_empty() {
            self.count_calls(step);
        }
    }

    /// Calls `step` for each counter that the calls raise.
    #[inline(never)]
    fn count_calls(&self, mut step: impl FnMut(Count)) {
        for asked in &self.calls {
            let mut raise = |counter| {
                step(Count { policy: None, counter });
                step(Count { policy: Some(asked.policy), counter });
            };
            match asked.outcome {
                _ if asked.is_cached => raise(Counter::CachedAnswers),
                Outcome::Failed(Failure::Timeout | Failure::Deadline) => {
                    raise(Counter::Callouts);
                    raise(Counter::CalloutTimeouts);
                }
                Outcome::Failed(failure) => {
                    raise(Counter::Callouts);
                    raise(Counter::CalloutFailures);
                    if failure == Failure::NotSent {
                        raise(Counter::CalloutsNotSent);
                    }
                }
                Outcome::Allowed | Outcome::Denied => raise(Counter::Callouts),
            }
            if asked.fails_open {
                raise(Counter::FailedOpen);
            }
        }
    }
}

/// Calls `step` for the counters of expressions that failed.
pub(crate) fn count_errors(errors: &[(usize, String)], mut step: impl FnMut(Count)) {
    for (index, _) in errors {
        step(Count { policy: None, counter: Counter::EvaluationErrors });
        if *index != WHOLE {
            step(Count { policy: Some(*index), counter: Counter::EvaluationErrors });
        }
    }
}

/// An answer that the caller gets from the filter, and not from the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The status for gRPC calls (gRPC's `statuscodes.md`), which get it in place of the HTTP one.
    pub grpc_status: u8,
    /// Header lines in order, names in lower case. The proxy adds `content-length`, and
    /// `content-type: text/plain` where there is a body and no type among these.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; the message for gRPC calls.
    pub body: Cow<'static, [u8]>,
    /// Why, in a word, for the proxy's response code details.
    pub details: &'static str,
}

impl Reply {
    /// An answer with this status, which a policy gives in the origin's place.
    pub(crate) fn in_place(reason: Reason, status: u16) -> Reply {
        Reply {
            status,
            grpc_status: grpc_status(status),
            headers: Vec::new(),
            body: Cow::Borrowed(&[]),
            details: reason.as_str(),
        }
    }

    /// The answer to a request that is refused for this reason.
    #[must_use]
    #[inline]
    pub fn refusing(reason: Reason) -> Reply {
        let Refusal { status, grpc_status, body } = *Refusal::of(reason);
        Reply {
            status,
            grpc_status,
            headers: Vec::new(),
            body: Cow::Borrowed(body.as_bytes()),
            details: reason.as_str(),
        }
    }
}

/// The statuses and the body of an answer that refuses a request.
#[derive(Debug)]
struct Refusal {
    status: u16,
    grpc_status: u8,
    body: &'static str,
}

impl Refusal {
    /// That for a reason. They are constants, so that a request which is refused only copies one.
    fn of(reason: Reason) -> &'static Refusal {
        match reason {
            // INVALID_ARGUMENT
            reason if reason.is_malformed() => {
                &Refusal { status: 400, grpc_status: 3, body: BAD_REQUEST_BODY }
            }
            // UNAVAILABLE
            Reason::CredentialUnavailable => {
                &Refusal { status: 500, grpc_status: 14, body: UNAVAILABLE_BODY }
            }
            // INTERNAL
            Reason::AnswerError => {
                &Refusal { status: 500, grpc_status: 13, body: ANSWER_ERROR_BODY }
            }
            // PERMISSION_DENIED
            Reason::ExternalDenied | Reason::NoAnswer | Reason::CalloutError => {
                &Refusal { status: 403, grpc_status: 7, body: EXTERNAL_BODY }
            }
            // UNAVAILABLE
            Reason::RateLimited => {
                &Refusal { status: 429, grpc_status: 14, body: RATE_LIMITED_BODY }
            }
            // RESOURCE_EXHAUSTED
            Reason::BodyTooLarge => {
                &Refusal { status: 413, grpc_status: 8, body: BODY_TOO_LARGE_BODY }
            }
            // PERMISSION_DENIED
            _ => &Refusal { status: 403, grpc_status: 7, body: DENIAL_BODY },
        }
    }
}

impl Reply {
    /// The answer to a request for which it cannot be said whether there have been too many.
    pub(crate) fn limit_failed(reason: Reason) -> Reply {
        Reply {
            body: Cow::Borrowed(RATE_LIMIT_FAILED_BODY.as_bytes()),
            ..Reply::in_place(reason, 500)
        }
    }
}

/// The status that a gRPC caller takes from an answer of HTTP (gRPC's
/// `http-grpc-status-mapping.md`): an answer without messages is no success, even with 200.
fn grpc_status(http: u16) -> u8 {
    match http {
        // INTERNAL
        400 => 13,
        // UNAUTHENTICATED
        401 | 407 => 16,
        // PERMISSION_DENIED
        403 => 7,
        // UNIMPLEMENTED
        404 => 12,
        // UNAVAILABLE
        429 | 502..=504 => 14,
        // UNKNOWN
        _ => 2,
    }
}

/// A change of a header. Names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Appends a line.
    Add(Cow<'a, str>, Cow<'a, [u8]>),
    /// Gives a header that has at most one line this value.
    Replace(Cow<'a, str>, Cow<'a, [u8]>),
    /// Removes every line of this name.
    Remove(Cow<'a, str>),
    /// Gives a header that has at most one line this value, which holds a credential.
    Inject(&'a str, Cow<'a, Secret>),
}

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
        match self {
            Reason::AllowMatched => "allow-matched",
            Reason::NoAllowRule => "no-allow-rule",
            Reason::DenyMatched => "deny-matched",
            Reason::DenyError => "deny-error",
            Reason::RequireNotMatched => "require-not-matched",
            Reason::NoAllowMatched => "no-allow-matched",
            Reason::DefaultDeny => "default-deny",
            Reason::PathUnsafe => "path-unsafe",
            Reason::MethodUnsafe => "method-unsafe",
            Reason::HeaderUnsafe => "header-unsafe",
            Reason::LimitExceeded => "limit-exceeded",
            Reason::HostMismatch => "host-mismatch",
            Reason::BadHost => "bad-host",
            Reason::Redirect => "redirect",
            Reason::DirectResponse => "direct-response",
            Reason::RewriteError => "rewrite-error",
            Reason::ConditionError => "condition-error",
            Reason::AnswerError => "answer-error",
            Reason::CredentialRefused => "credential-refused",
            Reason::CredentialUnavailable => "credential-unavailable",
            Reason::ExternalDenied => "external-denied",
            Reason::RateLimited => "rate-limited",
            Reason::CalloutError => "callout-error",
            Reason::BodyTooLarge => "body-too-large",
            Reason::NoAnswer => "no-answer",
            Reason::Gone => "gone",
            Reason::InternalError => "internal-error",
        }
    }
}
