//! Properties of a stream, encoded as Envoy encodes them for a guest.

use super::headers::{Headers, encode_pairs};
use super::status::Status;

/// The value of a property (an attribute, in Envoy's words).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// Text or bytes: handed over as they are.
    Bytes(Vec<u8>),
    /// A number, a time or a duration in nanoseconds: 8 bytes, little-endian.
    Int(i64),
    /// One byte, 0 or 1.
    Bool(bool),
    /// A map of text: the ABI's encoding of pairs.
    Map(Vec<(Vec<u8>, Vec<u8>)>),
    /// Something that Envoy has and cannot serialise.
    Opaque,
}

impl Property {
    /// The bytes that the guest gets.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Status> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Int(number) => Ok(number.to_le_bytes().to_vec()),
            Self::Bool(flag) => Ok(vec![u8::from(*flag)]),
            Self::Map(lines) => Ok(encode_pairs(lines)),
            Self::Opaque => Err(Status::SerializationFailure),
        }
    }
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Property {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Property {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<i64> for Property {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Property {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// What `request.<name>` is, derived from the headers as they are now; `None` where it is not
/// derived from headers.
pub(crate) fn of_request(
    headers: &Headers,
    name: &[u8],
    key: Option<&[u8]>,
    body: usize,
) -> Option<Property> {
    let bytes = |value: Option<&[u8]>| value.map(Property::from);
    let path = headers.get(":path");
    match name {
        b"headers" => match key {
            Some(key) => headers.joined(key).map(Property::Bytes),
            None => Some(Property::Opaque),
        },
        _ if key.is_some() => None,
        b"path" => bytes(path),
        b"url_path" => path.map(|path| {
            Property::from(path.split(|byte| *byte == b'?').next().unwrap_or_default())
        }),
        b"query" => path.map(|path| {
            let query = path
                .iter()
                .position(|byte| *byte == b'?')
                .map(|at| &path[at + 1..])
                .unwrap_or_default();
            Property::from(query.split(|byte| *byte == b'#').next().unwrap_or_default())
        }),
        b"host" => bytes(headers.get(":authority")),
        b"method" => bytes(headers.get(":method")),
        b"scheme" => bytes(headers.get(":scheme")),
        b"referer" => bytes(headers.get("referer")),
        b"useragent" => bytes(headers.get("user-agent")),
        b"id" => bytes(headers.get("x-request-id")),
        b"size" => {
            let declared = headers.text("content-length").and_then(|text| text.parse::<i64>().ok());
            Some(Property::Int(declared.unwrap_or(body as i64)))
        }
        b"total_size" => Some(Property::Int((headers.byte_size() + body) as i64)),
        _ => None,
    }
}

/// What `response.<name>` is, derived from the headers as they are now.
pub(crate) fn of_response(headers: &Headers, name: &[u8], key: Option<&[u8]>) -> Option<Property> {
    match (name, key) {
        (b"headers", Some(key)) => headers.joined(key).map(Property::Bytes),
        (b"headers", None) => Some(Property::Opaque),
        (b"code", None) => headers.text(":status")?.parse().ok().map(Property::Int),
        (b"grpc_status", None) => headers.text("grpc-status")?.parse().ok().map(Property::Int),
        _ => None,
    }
}
