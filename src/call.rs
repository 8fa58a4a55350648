//! Calls to services other than the origin: what a stage sends, and what comes back.

use std::fmt;
use std::time::Duration;

use crate::request::headers::Headers;

/// A call's number within its exchange. No two calls of an exchange have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub(crate) u32);

/// A call to a service, to be made by the driver of the exchange. What it says may be secret, so
/// debug output has only its cluster and timeout.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The number under which the answer is to come back.
    pub id: CallId,
    /// The proxy's name of the service's cluster.
    pub cluster: String,
    /// What is sent.
    pub form: Form,
    /// How long the proxy waits for the answer. Never zero, which a proxy takes for "for ever".
    pub timeout: Duration,
}

/// What a call sends.
#[derive(Clone, PartialEq, Eq)]
pub enum Form {
    /// An HTTP request.
    Http {
        /// Header lines in order, names in lower case; `:method`, `:path` and `:authority` are
        /// among them.
        headers: Vec<(String, Vec<u8>)>,
        /// The body.
        body: Vec<u8>,
    },
    /// A unary call of gRPC.
    Grpc {
        /// The `:authority` that the service gets.
        authority: String,
        /// The service, with its package.
        service: &'static str,
        /// The method.
        method: &'static str,
        /// The message, serialized.
        message: Vec<u8>,
    },
}

#[cfg(test)]
impl Call {
    /// The headers and the body of a call of HTTP.
    pub(crate) fn http(&self) -> (&[(String, Vec<u8>)], &[u8]) {
        match &self.form {
            Form::Http { headers, body } => (headers, body),
            Form::Grpc { .. } => panic!("a call of gRPC"),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { id, cluster, form: _, timeout } = self;
        let mut shown = f.debug_struct("Call");
        shown.field("id", id).field("cluster", cluster).field("timeout", timeout);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Http { .. } => "Http",
            Form::Grpc { .. } => "Grpc",
        })
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Answer<'a> {
    /// An answer of the service, or one that the proxy made in its place (504 for a timeout, 503
    /// for a refused connection). Envoy adds `x-envoy-upstream-service-time` to a service's own.
    Response {
        /// The headers, `:status` among them. They are boxed, as most events are no answers, and
        /// are moved.
        headers: Box<Headers<'a>>,
        /// The body, cut at [`MAX_BODY`].
        body: &'a [u8],
        /// Whether it was cut.
        is_cut: bool,
    },
    /// The message of a call of gRPC that succeeded.
    Message(&'a [u8]),
    /// A call of gRPC failed with this status, which is the service's or the proxy's.
    Status(u32),
    /// The message of a call of gRPC is longer than [`MAX_BODY`].
    TooLarge,
    /// The call was made, and broke off before there was an answer.
    CutOff,
    /// The proxy did not make the call: it has no such cluster, or that has no endpoint.
    NotSent,
}

/// What a service is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `extAuth`: whether the request may go on.
    Authorization,
    /// `rateLimit.global`: whether there have been too many.
    RateLimit,
}

impl Service {
    /// The field of `traffic` that has it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Service::Authorization => "extAuth",
            Service::RateLimit => "rateLimit.global",
        }
    }
}

/// Why a call gave no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The proxy did not make it: it has no such cluster, or that has no endpoint.
    NotSent,
    /// There was no answer in time.
    Timeout,
    /// The service could not be reached.
    Unreachable,
    /// The connection broke before the answer was whole.
    CutOff,
    /// The answer is longer than what is read of one.
    TooLarge,
    /// The answer cannot be read, or asks for what no answer may.
    Unusable,
    /// The service said that it failed.
    Error,
    /// The time that all calls about one request may take together was over.
    Deadline,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 8] = [
        Failure::NotSent,
        Failure::Timeout,
        Failure::Unreachable,
        Failure::CutOff,
        Failure::TooLarge,
        Failure::Unusable,
        Failure::Error,
        Failure::Deadline,
    ];

    /// The word for it, in audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::NotSent => "not-sent",
            Failure::Timeout => "timeout",
            Failure::Unreachable => "unreachable",
            Failure::CutOff => "cut-off",
            Failure::TooLarge => "too-large",
            Failure::Unusable => "unusable",
            Failure::Error => "error",
            Failure::Deadline => "deadline",
        }
    }
}

/// How many bytes of an answer's body are looked at.
pub const MAX_BODY: usize = 64 * 1024;

impl<'a> Answer<'a> {
    /// A service's answer: its headers, its body as far as [`MAX_BODY`], and whether that was cut.
    #[must_use]
    pub fn response(headers: Headers<'a>, body: &'a [u8], is_cut: bool) -> Answer<'a> {
        Answer::Response { headers: Box::new(headers), body, is_cut }
    }

    /// The answer's HTTP status, where it has one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Answer::Response { headers, .. } => {
                std::str::from_utf8(headers.first(b":status")?).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    /// How many bytes the answer has, header names and values included.
    pub(crate) fn size(&self) -> usize {
        match self {
            Answer::Response { headers, body, .. } => {
                headers.lines().fold(body.len(), |sum, (name, value)| {
                    sum.saturating_add(name.len()).saturating_add(value.len())
                })
            }
            Answer::Message(message) => message.len(),
            Answer::Status(_) | Answer::TooLarge | Answer::CutOff | Answer::NotSent => 0,
        }
    }
}
