//! What an authorization service says about a request. It is read whole, and checked, before any of
//! it is applied: an answer that asks for what no answer may is of no use at all.

#[cfg(test)]
mod tests;

use egress_cel::data::Data;

use super::grpc::{CheckResponse, HttpResponse, OkResponse, Reply};
use crate::call::Failure;
use crate::credential::Secret;
use crate::header_name::{self, Direction, is_value};
use crate::protobuf::header::{HeaderAction, HeaderOption};
use crate::reading::name::same_to_some_origin;
use crate::request::headers::Headers;

/// What a service says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The request may go on.
    Allowed(Box<Allowed>),
    /// It may not.
    Denied(Box<Denied>),
}

/// What goes with a request that may go on. All names are lower-case and may be changed, and all
/// values are legal.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Allowed {
    /// Headers that the request loses, before it gets others.
    pub(crate) removed: Vec<String>,
    /// Headers that the request gets.
    pub(crate) headers: Vec<Header>,
    /// Headers that hold credentials for the origin.
    pub(crate) credentials: Vec<(String, Secret)>,
    /// Headers that the response gets, whoever makes it.
    pub(crate) response_headers: Vec<Header>,
    /// Query parameters that are set: key and value, neither of them percent-encoded.
    pub(crate) query_to_set: Vec<(String, String)>,
    /// Keys of query parameters that are removed.
    pub(crate) query_to_remove: Vec<String>,
    /// What expressions read as `extauthz`.
    pub(crate) metadata: Vec<(String, Data)>,
}

impl Allowed {
    /// Whether anything of the request's head is to change.
    pub(crate) fn changes_request(&self) -> bool {
        !self.removed.is_empty()
            || !self.headers.is_empty()
            || !self.credentials.is_empty()
            || !self.query_to_set.is_empty()
            || !self.query_to_remove.is_empty()
    }
}

/// The answer to the caller of a request that may not go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Denied {
    /// From 300 to 599.
    pub(crate) status: u16,
    /// Lines in order, their names lower-case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// None if the service has given none, or more than is read.
    pub(crate) body: Option<Vec<u8>>,
    /// What expressions read as `extauthz`.
    pub(crate) metadata: Vec<(String, Data)>,
}

/// A header, and what becomes of the values that it has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) action: HeaderAction,
}

/// The status of a denial that has none which can be sent.
const FORBIDDEN: u16 = 403;
/// What an entry of a list counts besides its content, in bytes.
const ENTRY: usize = 64;

impl Verdict {
    /// What an answer of HTTP says: a 2xx allows the request. `names` are the headers that the
    /// request gets of it, and `secret` those that hold credentials.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn of_http(
        (status, headers): (u16, &Headers<'_>),
        (body, is_cut): (&[u8], bool),
        (names, secret): (&[String], &[String]),
    ) -> Result<Verdict, Failure> {
        if !(200..300).contains(&status) {
            return Ok(Verdict::Denied(Box::new(Denied {
                status: sendable(status),
                headers: relayed(headers),
                body: (!is_cut).then(|| body.to_vec()),
                metadata: Vec::new(),
            })));
        }
        if is_cut {
            return Err(Failure::TooLarge);
        }
        let mut allowed = Allowed { removed: secret.to_vec(), ..Allowed::default() };
        for name in names {
            let mut action = HeaderAction::Overwrite;
            for value in headers.values(name.as_bytes()) {
                let (name, value) = (name.clone(), legal(value)?);
                allowed.headers.push(Header { name, value, action });
                action = HeaderAction::Append;
            }
            // The caller's own would be taken for the service's.
            if action == HeaderAction::Overwrite {
                allowed.removed.push(name.clone());
            }
        }
        for name in secret {
            allowed.add_credential(name, headers.first(name.as_bytes()).unwrap_or_default())?;
        }
        Ok(Verdict::Allowed(Box::new(allowed)))
    }

    /// What a message of gRPC says. `secret` are the headers that hold credentials.
    ///
    /// A message that contradicts itself allows nothing: one with a `denied_response` denies,
    /// whatever its status is. One without a status allows only with an `ok_response`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn of_grpc(message: &[u8], secret: &[String]) -> Result<Verdict, Failure> {
        let answer = CheckResponse::decode(message).map_err(|_| Failure::Unusable)?;
        let CheckResponse { code, response, metadata } = answer;
        let denied = |reply: Reply<'_>, metadata| {
            Verdict::Denied(Box::new(Denied {
                status: u16::try_from(reply.status).map_or(FORBIDDEN, sendable),
                headers: reply.headers.iter().filter_map(denied_header).collect(),
                body: (!reply.body.is_empty()).then(|| reply.body.as_bytes().to_vec()),
                metadata,
            }))
        };
        match (code, response) {
            (_, HttpResponse::Error(_)) => Err(Failure::Error),
            (_, HttpResponse::Denied(reply)) => Ok(denied(reply, metadata)),
            (Some(0) | None, HttpResponse::Ok(ok)) => {
                let allowed = Allowed { metadata, ..Allowed::of(&ok, secret)? };
                Ok(Verdict::Allowed(Box::new(allowed)))
            }
            (Some(0), HttpResponse::None) => {
                let removed = secret.to_vec();
                let allowed = Allowed { metadata, removed, ..Allowed::default() };
                Ok(Verdict::Allowed(Box::new(allowed)))
            }
            (None, HttpResponse::None) => Err(Failure::Unusable),
            (Some(_), HttpResponse::Ok(_) | HttpResponse::None) => {
                Ok(denied(Reply::default(), metadata))
            }
        }
    }

    /// Whether the answer may be kept for later requests. A denial because the service is busy,
    /// say, is about the moment.
    pub(crate) fn may_be_kept(&self) -> bool {
        match self {
            Verdict::Allowed(_) => true,
            Verdict::Denied(denied) => matches!(denied.status, 300..=399 | 401 | 403),
        }
    }

    /// What expressions read as `extauthz`.
    pub(crate) fn metadata(&self) -> &[(String, Data)] {
        match self {
            Verdict::Allowed(allowed) => &allowed.metadata,
            Verdict::Denied(denied) => &denied.metadata,
        }
    }

    /// Roughly how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let headers = |all: &[Header]| {
            all.iter()
                .fold(0_usize, |sum, header| sum.saturating_add(entry(&header.name, &header.value)))
        };
        let mut size = ENTRY;
        let mut add = |more: usize| size = size.saturating_add(more);
        match self {
            Verdict::Allowed(allowed) => {
                allowed.removed.iter().for_each(|name| add(entry(name, b"")));
                add(headers(&allowed.headers));
                add(headers(&allowed.response_headers));
                let secrets = allowed.credentials.iter();
                secrets.for_each(|(name, value)| add(entry(name, value.expose())));
                let pairs = allowed.query_to_set.iter();
                pairs.for_each(|(key, value)| add(entry(key, value.as_bytes())));
                allowed.query_to_remove.iter().for_each(|key| add(entry(key, b"")));
            }
            Verdict::Denied(denied) => {
                denied.headers.iter().for_each(|(name, value)| add(entry(name, value)));
                add(denied.body.as_ref().map_or(0, Vec::len));
            }
        }
        for (name, value) in self.metadata() {
            add(entry(name, b""));
            add(value.size().unwrap_or(usize::MAX));
        }
        size
    }
}

fn entry(name: &str, value: &[u8]) -> usize {
    ENTRY.saturating_add(name.len()).saturating_add(value.len())
}

impl Allowed {
    fn of(ok: &OkResponse<'_>, secret: &[String]) -> Result<Allowed, Failure> {
        let mut allowed = Allowed { removed: secret.to_vec(), ..Allowed::default() };
        for name in &ok.headers_to_remove {
            allowed.removed.push(changeable(name, Direction::Request)?);
        }
        for option in &ok.headers {
            let name = changeable(option.header.name, Direction::Request)?;
            let value = option.header.value();
            let is_name = |own: &&String| same_to_some_origin(own.as_bytes(), name.as_bytes());
            if let Some(own) = secret.iter().find(is_name) {
                allowed.add_credential(own, value)?;
            } else {
                let value = legal(value)?;
                allowed.headers.push(Header { name, value, action: option.action });
            }
        }
        for option in &ok.response_headers {
            let name = changeable(option.header.name, Direction::Response)?;
            let value = legal(option.header.value())?;
            allowed.response_headers.push(Header { name, value, action: option.action });
        }
        let owned = |text: &&str| (*text).to_owned();
        allowed.query_to_remove = ok.query_to_remove.iter().map(owned).collect();
        let pairs = ok.query_to_set.iter();
        allowed.query_to_set = pairs.map(|(key, value)| (owned(key), owned(value))).collect();
        Ok(allowed)
    }

    /// Takes over a credential. Of several for one header, the last counts.
    fn add_credential(&mut self, name: &str, value: &[u8]) -> Result<(), Failure> {
        self.credentials.retain(|(own, _)| own != name);
        if !value.is_empty() {
            self.credentials.push((name.to_owned(), Secret::new(legal(value)?)));
        }
        Ok(())
    }
}

/// The name of a header that an answer changes, in lower case.
fn changeable(name: &str, direction: Direction) -> Result<String, Failure> {
    let name = name.to_ascii_lowercase();
    match header_name::check(&name, direction, false) {
        Ok(()) => Ok(name),
        Err(_) => Err(Failure::Unusable),
    }
}

fn legal(value: &[u8]) -> Result<Vec<u8>, Failure> {
    if is_value(value) { Ok(value.to_vec()) } else { Err(Failure::Unusable) }
}

/// The status of a denial: one that a caller could take for success denies as well.
fn sendable(status: u16) -> u16 {
    if (300..600).contains(&status) { status } else { FORBIDDEN }
}

/// A header of a denial that a service has composed for the caller. One that cannot be sent is left
/// out: the request is denied all the same.
fn denied_header(option: &HeaderOption<'_>) -> Option<(String, Vec<u8>)> {
    let name = changeable(option.header.name, Direction::Response).ok()?;
    let value = option.header.value();
    (is_value(value) && !is_of_envoy(&name)).then(|| (name, value.to_vec()))
}

/// The headers of an answer of HTTP that its denial has as well: not those of its connection, and
/// not cookies, which were set for the service's host and not for the origin's.
fn relayed(headers: &Headers<'_>) -> Vec<(String, Vec<u8>)> {
    let of_connection = |name: &str| {
        let mut named = headers.values(b"connection").flat_map(|line| line.split(|b| *b == b','));
        named.any(|own| own.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    let line = |(name, value): (&[u8], &[u8])| {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let is_relayed = header_name::check(&name, Direction::Response, false).is_ok()
            && !matches!(name.as_str(), "set-cookie" | "date" | "server")
            && !is_of_envoy(&name)
            && !of_connection(&name)
            && is_value(value);
        is_relayed.then(|| (name, value.to_vec()))
    };
    headers.lines().filter_map(line).collect()
}

/// Whether a header is one by which Envoys tell each other things.
fn is_of_envoy(name: &str) -> bool {
    name.starts_with("x-envoy-")
}
