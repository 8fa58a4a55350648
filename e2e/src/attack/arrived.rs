//! A request as it arrived at the origin, before anybody read anything into it.

use super::request::{Field, NUMBER};

/// How much of a body is shown.
const SHOWN: usize = 200;

/// A request at the origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    /// The service whose origin this is, as the TLS handshake says.
    pub(super) service: String,
    /// Whether it came in HTTP/2.
    pub(super) http2: bool,
    /// The method.
    pub(super) method: Vec<u8>,
    /// The request target.
    pub(super) target: Vec<u8>,
    /// The header lines; `host` is among them also where it came as `:authority`.
    pub(super) fields: Vec<Field>,
    /// The body, or what has come of it, in HTTP/1.1.
    pub(super) body: Vec<u8>,
    /// The trailers.
    pub(super) trailers: Vec<Field>,
}

impl Arrived {
    /// Which of the generated requests it is; none where that cannot be told.
    pub(super) fn number(&self) -> Option<u64> {
        let mut numbers =
            self.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(NUMBER.as_bytes()));
        let (_, value) = numbers.next()?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    }

    /// All of it as one text, in which bytes that cannot be shown are escaped.
    pub(super) fn shown(&self) -> String {
        let mut bytes = [&self.method[..], b" ", &self.target].concat();
        for (lines, mark) in [(&self.fields, "\n"), (&self.trailers, "\ntrailer ")] {
            for (name, value) in lines {
                bytes.extend_from_slice(&[mark.as_bytes(), name, b": ", value].concat());
            }
        }
        let mut text = escaped(&bytes).replace("\\n", "\n");
        if !self.body.is_empty() {
            text.push_str("\nbody ");
            text.push_str(&escaped(&self.body[..self.body.len().min(SHOWN)]));
        }
        text
    }
}

/// Bytes as text in which all that is not plain is escaped.
pub(super) fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}
