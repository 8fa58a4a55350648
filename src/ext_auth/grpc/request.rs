//! `envoy.service.auth.v3.CheckRequest`, and the `AttributeContext` in it.

use std::time::Duration;

use egress_cel::data::Data;

use crate::protobuf::{Malformed, Writer, value};
use crate::request::headers::Headers;

/// Room for what a request's message has besides its headers and body.
const OTHERS: usize = 256;

/// What an authorization service is asked. Texts that are not UTF-8 are sent with U+FFFD in place
/// of what is not; those that are empty are left out.
#[derive(Debug)]
pub struct CheckRequest<'a> {
    /// The caller.
    pub source: Peer<'a>,
    /// The address that the caller dialled.
    pub destination: Peer<'a>,
    /// When the request arrived, as the time since 1970 (UTC).
    pub time: Option<Duration>,
    /// The request.
    pub http: HttpRequest<'a>,
    /// `context_extensions`, in order. No two have the same key.
    pub context_extensions: &'a [(String, String)],
    /// `metadata_context.filter_metadata`: the name spaces, and the entries of each.
    pub metadata: &'a [(String, Vec<(String, Data)>)],
}

/// One end of the connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peer<'a> {
    /// Its IP address. Without one, there is no port either.
    pub address: &'a [u8],
    /// Its port.
    pub port: u16,
    /// Its verified identity.
    pub principal: &'a [u8],
}

/// The request itself.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    /// An identifier of the request.
    pub id: &'a [u8],
    /// The method.
    pub method: &'a [u8],
    /// The headers, pseudo-headers among them. The lines of one header are joined by `, `, those of
    /// `cookie` by `; ` (RFC 9110 section 5.3, RFC 9113 section 8.2.3).
    pub headers: &'a Headers<'a>,
    /// The path with its query string.
    pub path: &'a [u8],
    /// The authority.
    pub host: &'a [u8],
    /// The scheme.
    pub scheme: &'a [u8],
    /// The version, such as `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// The length of the body in bytes; -1 if not all of it is sent.
    pub size: i64,
    /// The body, as far as it is sent. One that is not UTF-8 is sent twice: as text, and unchanged
    /// as `raw_body`.
    pub body: &'a [u8],
}

impl CheckRequest<'_> {
    /// The message.
    ///
    /// There is always a `metadata_context`, and never a `tls_session`: the server name of the
    /// caller's TLS connection is not known where the filter runs.
    ///
    /// # Errors
    /// If `metadata` is nested too deep.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let headers = self.http.headers.lines().fold(OTHERS, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len()).saturating_add(8)
        });
        let mut out = Writer::with_capacity(headers.saturating_add(self.http.body.len()));
        out.message(1, |attributes| self.write_attributes(attributes))?;
        Ok(out.finish())
    }

    fn write_attributes(&self, out: &mut Writer) -> Result<(), Malformed> {
        out.message(1, |out| self.source.write(out));
        out.message(2, |out| self.destination.write(out));
        out.message(4, |out| {
            if let Some(time) = self.time {
                out.message(1, |out| {
                    out.number(1, time.as_secs());
                    out.number(2, u64::from(time.subsec_nanos()));
                });
            }
            out.message(2, |out| self.http.write(out));
        });
        for (key, value) in self.context_extensions {
            out.entry(10, key.as_bytes(), value.as_bytes());
        }
        out.message(11, |out| {
            self.metadata.iter().try_for_each(|(namespace, entries)| {
                out.message(1, |out| {
                    out.text(1, namespace.as_bytes());
                    out.message(2, |out| value::write(out, entries))
                })
            })
        })
    }
}

impl Peer<'_> {
    #[inline(never)]
    fn write(&self, out: &mut Writer) {
        if !self.address.is_empty() {
            out.message(1, |out| {
                out.message(1, |out| {
                    out.text(2, self.address);
                    out.varint(3, u64::from(self.port));
                });
            });
        }
        out.text(4, self.principal);
    }
}

impl HttpRequest<'_> {
    fn write(&self, out: &mut Writer) {
        out.text(1, self.id);
        out.text(2, self.method);
        write_headers(out, self.headers);
        out.text(4, self.path);
        out.text(5, self.host);
        out.text(6, self.scheme);
        out.number(9, self.size.cast_unsigned());
        out.text(10, self.protocol);
        out.text(11, self.body);
        if std::str::from_utf8(self.body).is_err() {
            out.bytes(12, self.body);
        }
    }
}

/// Writes the map of headers, in which each name has one value.
fn write_headers(out: &mut Writer, headers: &Headers<'_>) {
    for (index, (name, value)) in headers.lines().enumerate() {
        if !headers.may_repeat(name) {
            out.entry(3, name, value);
        } else if !headers.lines().take(index).any(|(line, _)| line.eq_ignore_ascii_case(name)) {
            let separator: &[u8] = if name == b"cookie" { b"; " } else { b", " };
            let values: Vec<&[u8]> = headers.values(name).collect();
            out.entry(3, name, &values.join(separator));
        }
    }
}
