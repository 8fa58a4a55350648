//! The local reply that Envoy makes of what a filter asks for.

use super::headers::Headers;

/// A response that a filter, or Envoy in its place, gave without asking the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResponse {
    /// The HTTP status that the client sees.
    pub status: u16,
    /// All headers that the client sees, `:status` first.
    pub headers: Headers,
    /// The body that the client sees: none for HEAD and for gRPC.
    pub body: Vec<u8>,
    /// The gRPC status that the filter asked for.
    pub grpc_status: Option<u32>,
    /// The response code details, for the access log.
    pub details: String,
}

/// What a filter asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) status: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) grpc_status: i32,
    pub(crate) details: Vec<u8>,
}

impl Asked {
    /// A reply of Envoy's own, without a body.
    pub(crate) fn bare(status: u32, details: &str) -> Self {
        Self { status, details: details.as_bytes().to_vec(), grpc_status: -1, ..Self::default() }
    }

    /// What the client of `request` gets.
    pub(crate) fn prepare(&self, request: &Headers) -> LocalResponse {
        let mut headers = Headers::response();
        headers.add(":status", self.status.to_string());
        for (name, value) in &self.headers {
            headers.add(name, value);
        }
        let grpc_status = u32::try_from(self.grpc_status).ok();
        let mut body = self.body.clone();
        let mut status = self.status as u16;
        if is_grpc(request) {
            status = 200;
            headers.set(":status", "200");
            headers.set("content-type", "application/grpc");
            if headers.get("grpc-status").is_none() {
                headers.add(
                    "grpc-status",
                    grpc_status.unwrap_or_else(|| grpc_of_http(self.status)).to_string(),
                );
            }
            if !body.is_empty() {
                headers.set("grpc-message", percent_encode(&body));
            }
            headers.remove("content-length");
            body.clear();
        } else if body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.set("content-length", body.len().to_string());
            if headers.get("content-type").is_none() {
                headers.add("content-type", "text/plain");
            }
            if request.get(":method") == Some(b"HEAD") {
                body.clear();
            }
        }
        LocalResponse {
            status,
            headers,
            body,
            grpc_status,
            details: String::from_utf8_lossy(&self.details).into_owned(),
        }
    }
}

/// Envoy takes `application/grpc` and `application/grpc+...` for gRPC, no other type.
fn is_grpc(request: &Headers) -> bool {
    let kind = request.get("content-type").unwrap_or_default();
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// Envoy's mapping, the one that the gRPC project recommends.
fn grpc_of_http(status: u32) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// Envoy's `grpc-message`: visible ASCII and the space stay, all else and the percent sign are
/// escaped.
fn percent_encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        if (b' '..b'~').contains(byte) && *byte != b'%' {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}
