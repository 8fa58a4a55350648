//! The answers that the filter makes itself.

use std::borrow::Cow;

use super::Reason;

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
    /// Why, in a word behind `egress_filter:`, for the proxy's response code details.
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
            details: reason.details(),
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
            details: reason.details(),
        }
    }

    /// The answer to a request for which it cannot be said whether there have been too many.
    pub(crate) fn limit_failed(reason: Reason) -> Reply {
        Reply {
            body: Cow::Borrowed(RATE_LIMIT_FAILED_BODY.as_bytes()),
            ..Reply::in_place(reason, 500)
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
