//! Headers that Envoy keeps on one line, however many lines came: the inline headers of its header
//! maps (tried on Envoy 1.40 for each name).
//!
//! Envoy joins another line of such a name to the first with a comma and no space, before any
//! filter sees it. It does the same to pseudo-headers, which are not in these lists.

use crate::name::same_to_some_origin;

/// The inline headers of requests, in lower case.
pub const REQUEST: &[&str] = &[
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

/// Whether an origin may take a header of this name for one that Envoy keeps on one line in
/// requests.
#[must_use]
pub fn is_of_request(name: &str) -> bool {
    REQUEST.iter().any(|known| same_to_some_origin(known.as_bytes(), name.as_bytes()))
}

/// The inline headers of responses, in lower case.
pub const RESPONSE: &[&str] = &[
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

/// Joins another line's value to that of the first.
pub fn join(value: &mut Vec<u8>, more: &[u8]) {
    if !value.is_empty() && !more.is_empty() {
        value.push(b',');
    }
    value.extend_from_slice(more);
}
