//! What happens to a request and its response.

use super::body::Received;
use crate::call::{Answer, CallId};
use crate::request::headers::Headers;

/// Something that happened to a request or its response.
#[derive(Debug)]
pub enum Event<'e> {
    /// The request's headers have arrived, in the form that [`Headers::from_pairs`] reads.
    RequestHeaders(Vec<u8>),
    /// The request's body has arrived, or more of it than is read.
    RequestBody(Received<'e>),
    /// The request's trailers have arrived.
    RequestTrailers(Pairs<'e>),
    /// A call was answered, or will never be.
    Answer(CallId, Answer<'e>),
    /// A fetch of the token of this credential has ended.
    Fetched(usize),
    /// The response's headers have arrived.
    ResponseHeaders(Pairs<'e>),
    /// The response's body has arrived, or more of it than is read.
    ResponseBody(Received<'e>),
    /// The response's trailers have arrived.
    ResponseTrailers(Pairs<'e>),
    /// This part could not be read, or its changes could not be written.
    Failed(Part, &'static str),
    /// The caller left, or the proxy gave the stream up. Nothing comes after this.
    Gone,
}

/// Header lines as a host serializes them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pairs<'e> {
    /// The form that [`Headers::from_pairs`] reads.
    pub bytes: &'e [u8],
    /// The number of lines that the host announced. For a map that it does not have, the host
    /// returns no bytes and no error: the number shows that something is missing.
    pub count: usize,
}

impl<'e> Pairs<'e> {
    /// The lines; `None` if the bytes do not have that form, or another number of lines.
    pub(crate) fn read(self) -> Option<Headers<'e>> {
        Headers::from_pairs(self.bytes).filter(|headers| headers.len() == self.count)
    }
}

/// A part of a request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The request's headers.
    RequestHeaders,
    /// The request's body.
    RequestBody,
    /// The request's trailers.
    RequestTrailers,
    /// The response's headers.
    ResponseHeaders,
    /// The response's body.
    ResponseBody,
    /// The response's trailers.
    ResponseTrailers,
}
