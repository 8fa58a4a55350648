//! Bodies, as expressions read them.

/// What there is of the body of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// It was not read, for this reason. `has(request.body)` is false, and an expression that reads
    /// it has no value, whatever it catches.
    Missing(&'static str),
    /// It came, but cannot be read: it is too large, say, or compressed. An expression that reads
    /// it has no value, and `has(request.body)` has none either, or a caller could evade a rule by
    /// sending it in such a form.
    Unreadable(&'static str),
    /// All of it. A message without a body has an empty one.
    Read(&'a [u8]),
}

impl Body<'_> {
    /// The body of a message of which none has been asked for.
    pub(crate) const UNASKED: Body<'static> = Body::Missing("it has not been read");
}

/// The bodies of a request and its response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bodies<'a> {
    pub(super) request: Body<'a>,
    pub(super) response: Body<'a>,
}

impl Bodies<'_> {
    /// Neither has been asked for.
    pub(super) const UNASKED: Bodies<'static> =
        Bodies { request: Body::UNASKED, response: Body::UNASKED };
}
