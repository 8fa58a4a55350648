//! The headers that Envoy keeps on one line: the inline headers of its header maps.
//!
//! Envoy joins a repeated line of such a name to the first one before any filter sees it. The lists
//! hold what Envoy 1.40 was seen to join. They belong to this host alone, so that a filter with a
//! table of its own can be compared with them.

use crate::headers::Message;

/// The names that Envoy joins in requests.
const REQUEST: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// The names that Envoy joins in responses.
const RESPONSE: &[&str] = &[
    ":status",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "proxy-status",
    "server",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

/// The names, in lower case, of which a message has at most one line; pseudo-headers included.
#[must_use]
pub fn inline_headers(message: Message) -> &'static [&'static str] {
    match message {
        Message::Request => REQUEST,
        Message::Response => RESPONSE,
    }
}

/// Whether a name, in lower case, is one of [`inline_headers`].
pub(crate) fn is_inline(message: Message, name: &[u8]) -> bool {
    inline_headers(message).iter().any(|known| known.as_bytes() == name)
}

/// Appends a further value as Envoy does: after a comma, unless one of the two is empty.
pub(crate) fn join(value: &mut Vec<u8>, more: &[u8]) {
    if !value.is_empty() && !more.is_empty() {
        value.push(b',');
    }
    value.extend_from_slice(more);
}
