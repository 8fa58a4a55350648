//! Calls to services other than the origin: what a stage sends, and what comes back.

use std::fmt;
use std::time::Duration;

use crate::request::headers::Headers;

/// A call's number within its exchange. No two calls of an exchange have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub(crate) u32);

/// An HTTP call to a service, to be made by the driver of the exchange. What it says may be secret,
/// so debug output has only its cluster and timeout.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The number under which the answer is to come back.
    pub id: CallId,
    /// The proxy's name of the service's cluster.
    pub cluster: String,
    /// Header lines in order, names in lower case; `:method`, `:path` and `:authority` are among
    /// them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the proxy waits for the answer. Never zero, which a proxy takes for "for ever".
    pub timeout: Duration,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { id, cluster, headers: _, body: _, timeout } = self;
        let mut shown = f.debug_struct("Call");
        shown.field("id", id).field("cluster", cluster).field("timeout", timeout);
        shown.finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Answer<'a> {
    /// An answer of the service, or one that the proxy made in its place (504 for a timeout, 503
    /// for a refused connection). The two cannot be told apart.
    Response {
        /// The headers, `:status` among them.
        headers: Headers<'a>,
        /// The body, cut at [`MAX_BODY`].
        body: &'a [u8],
    },
    /// The call was made, and broke off before there was an answer.
    CutOff,
    /// The proxy did not make the call: it has no such cluster, or refused the request.
    NotSent,
}

/// How many bytes of an answer's body are looked at.
pub const MAX_BODY: usize = 64 * 1024;

impl Answer<'_> {
    /// The answer's HTTP status, where it has one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Answer::Response { headers, .. } => {
                std::str::from_utf8(headers.first(b":status")?).ok()?.parse().ok()
            }
            Answer::CutOff | Answer::NotSent => None,
        }
    }

    /// How many bytes the answer has, header names and values included.
    pub(crate) fn size(&self) -> usize {
        match self {
            Answer::Response { headers, body } => {
                headers.lines().fold(body.len(), |sum, (name, value)| {
                    sum.saturating_add(name.len()).saturating_add(value.len())
                })
            }
            Answer::CutOff | Answer::NotSent => 0,
        }
    }
}
