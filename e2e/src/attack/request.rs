//! A hostile request, and its bytes in either protocol.

use super::frames;

/// A header line.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// The header by which the origin tells which of the requests has come.
pub(super) const NUMBER: &str = "x-attack";

/// One request, of any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hostile {
    /// The method.
    pub(super) method: Vec<u8>,
    /// The request target.
    pub(super) target: Vec<u8>,
    /// The value of `Host`, or of `:authority`.
    pub(super) host: Vec<u8>,
    /// The header lines beside these.
    pub(super) fields: Vec<Field>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// The trailers; none means that there is no trailer section.
    pub(super) trailers: Vec<Field>,
}

impl Hostile {
    /// Whether it asks to leave HTTP, so that nothing can follow it on its connection.
    pub(super) fn upgrades(&self) -> bool {
        self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"))
    }

    /// The bytes of this request in HTTP/1.1.
    pub(super) fn http1(&self) -> Vec<u8> {
        let mut bytes =
            [&self.method[..], b" ", &self.target, b" HTTP/1.1\r\nHost: ", &self.host, b"\r\n"]
                .concat();
        let line = |bytes: &mut Vec<u8>, (name, value): &Field| {
            bytes.extend_from_slice(&[&name[..], b": ", value, b"\r\n"].concat());
        };
        for field in &self.fields {
            line(&mut bytes, field);
        }
        if !self.trailers.is_empty() {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            if !self.body.is_empty() {
                bytes.extend_from_slice(format!("{:x}\r\n", self.body.len()).as_bytes());
                bytes.extend_from_slice(&[&self.body[..], b"\r\n"].concat());
            }
            bytes.extend_from_slice(b"0\r\n");
            for field in &self.trailers {
                line(&mut bytes, field);
            }
            bytes.extend_from_slice(b"\r\n");
        } else if self.body.is_empty() {
            bytes.extend_from_slice(b"\r\n");
        } else {
            bytes.extend_from_slice(
                format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes(),
            );
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// The frames of this request in HTTP/2.
    pub(super) fn http2(&self, stream: u32) -> Vec<u8> {
        let mut block = Vec::new();
        frames::literal(&mut block, b":method", &self.method);
        frames::literal(&mut block, b":scheme", b"http");
        frames::literal(&mut block, b":authority", &self.host);
        frames::literal(&mut block, b":path", &self.target);
        for (name, value) in &self.fields {
            frames::literal(&mut block, name, value);
        }
        let ends = self.body.is_empty() && self.trailers.is_empty();
        let mut bytes = frames::headers(stream, &block, ends);
        if !self.body.is_empty() {
            let flags = if self.trailers.is_empty() { frames::END_STREAM } else { 0 };
            bytes.extend(frames::frame(frames::DATA, flags, stream, &self.body));
        }
        if !self.trailers.is_empty() {
            let mut block = Vec::new();
            for (name, value) in &self.trailers {
                frames::literal(&mut block, name, value);
            }
            bytes.extend(frames::headers(stream, &block, true));
        }
        bytes
    }
}

impl std::fmt::Display for Hostile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |bytes: &[u8]| super::arrived::escaped(bytes);
        write!(f, "{} {} at {}", shown(&self.method), shown(&self.target), shown(&self.host))?;
        for (name, value) in &self.fields {
            write!(f, " | {}: \"{}\"", shown(name), shown(value))?;
        }
        if !self.body.is_empty() {
            write!(f, " | a body of {} bytes", self.body.len())?;
        }
        for (name, value) in &self.trailers {
            write!(f, " | trailer {}: \"{}\"", shown(name), shown(value))?;
        }
        Ok(())
    }
}
