//! The attributes that expressions read: one row each.
//!
//! Everything that is known of an attribute comes from [`ROWS`]: the type that expressions are
//! checked with, the name that messages suggest, how its value is read, which properties must be
//! read before the proxy forgets them, and the table of `docs/reading.md`.

mod ids;
#[cfg(test)]
mod tests;
pub(crate) mod view;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::ids::JWT;
pub(crate) use self::ids::{
    DESTINATION_PORT, HOST, IDENTITY, METHOD, NAMESPACE, PATH, PATH_AND_QUERY, REQUEST_HEADERS,
    REQUEST_ID, SCHEME, SERVICE_ACCOUNT, SOURCE_PORT, SPIFFE_ID, TRUST_DOMAIN, VERSION,
};
pub use self::ids::{EXTAUTHZ, REQUEST_BODY, RESPONSE_BODY};
use self::view::{HeadersView, View};
use crate::cel::Phase;
use crate::cel::attributes::{Attribute, Fault, Id, Kind, Lookup, Set, Table, Unread, utf8};
use crate::cel::data::Data;
use crate::cel::time::Timestamp;
use crate::request::{Body, Property};

/// An attribute.
#[derive(Debug)]
struct Row {
    /// Its dotted name.
    name: &'static str,
    /// The first phase in which it can be read.
    from: Phase,
    /// How policies are looked up by it. An attribute that has nearly the same value for all
    /// requests is not worth looking up by.
    lookup: Lookup,
    /// The properties of the proxy that it is read from: the first that has a value counts. An
    /// attribute without properties is read from the message's headers.
    properties: &'static [Property],
    /// What it is, for the documents.
    meaning: &'static str,
    /// Who can set it, with the listeners that Istio gives a waypoint.
    set_by: &'static str,
    /// How it is read.
    read: Read,
}

/// How an attribute is read, by what it holds.
#[derive(Debug, Clone, Copy)]
enum Read {
    Text(for<'s, 'v> fn(&'s View<'v>) -> Result<&'s str, Fault>),
    Int(for<'s, 'v> fn(&'s View<'v>) -> Option<i64>),
    Time(for<'s, 'v> fn(&'s View<'v>) -> Option<Timestamp>),
    Bytes(for<'s, 'v> fn(&'s View<'v>) -> Body<'v>),
    Data(for<'s, 'v> fn(&'s View<'v>) -> Result<&'v Data, Unread>),
    Headers(for<'s, 'v> fn(&'s View<'v>) -> Option<HeadersView<'v>>),
    /// Whether it is there.
    Object(for<'s, 'v> fn(&'s View<'v>) -> bool),
}

/// Where a caller's identity comes from when `identity.sources` is left out.
const CALLER: &[Property] = &[Property::PeerPrincipal, Property::PeerCertificate];
const DIALLED: &[Property] = &[Property::DestinationAddress];
const MESH_CA: &str = "the mesh's CA";
const ZTUNNEL: &str = "ztunnel. Not `x-forwarded-for`, whatever it says";
const THE_CALLER: &str = "the caller";
const ADDRESSES: &str = "the caller chooses among the addresses that lead to the waypoint";
const ORIGIN: &str = "the origin";

/// The attributes. Those of an object follow it without a gap.
static ROWS: &[Row] = &[
    Row {
        name: "source.identity",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: CALLER,
        meaning: "the workload that calls; absent where the caller's SPIFFE ID is not of Istio's \
                  form, or its trust domain is not believed",
        set_by: MESH_CA,
        read: Read::Object(|view| view.caller().is_workload()),
    },
    Row {
        name: "source.identity.trustDomain",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: CALLER,
        meaning: "the trust domain of the caller's SPIFFE ID",
        set_by: MESH_CA,
        read: Read::Text(|view| view.caller().trust_domain().ok_or(Fault::Missing)),
    },
    Row {
        name: "source.identity.namespace",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: CALLER,
        meaning: "the caller's Kubernetes namespace",
        set_by: MESH_CA,
        read: Read::Text(|view| view.caller().namespace().ok_or(Fault::Missing)),
    },
    Row {
        name: "source.identity.serviceAccount",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: CALLER,
        meaning: "the caller's Kubernetes service account",
        set_by: MESH_CA,
        read: Read::Text(|view| view.caller().service_account().ok_or(Fault::Missing)),
    },
    Row {
        name: "source.spiffeId",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: CALLER,
        meaning: "the caller's SPIFFE ID as a whole, of whatever form",
        set_by: MESH_CA,
        read: Read::Text(|view| view.caller().spiffe_id().ok_or(Fault::Missing)),
    },
    Row {
        name: "source.address",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::SourceAddress],
        meaning: "the caller's IP address, as the tunnel's connection has it",
        set_by: ZTUNNEL,
        read: Read::Text(|view| view.source_address().ok_or(Fault::Missing)),
    },
    Row {
        name: "source.port",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::SourcePort],
        meaning: "the caller's port, as the tunnel's connection has it",
        set_by: ZTUNNEL,
        read: Read::Int(|view| view.source_port()),
    },
    Row {
        name: "request.method",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: &[],
        meaning: "the method",
        set_by: THE_CALLER,
        read: Read::Text(|view| utf8(view.line(b":method"))),
    },
    Row {
        name: "request.scheme",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::TlsVersion],
        meaning: "`https` if this connection has TLS, else `http`; behind HBONE it is `http`",
        set_by: "nobody. Neither `x-forwarded-proto` nor an absolute `https://` target",
        read: Read::Text(|view| Ok(view.scheme())),
    },
    Row {
        name: "request.host",
        from: Phase::Request,
        lookup: Lookup::Exact,
        properties: &[],
        meaning: "the authority, in lower case, without a port and a trailing dot",
        set_by: "the caller; bound to the destination unless `hostBinding: Off`",
        read: Read::Text(|view| view.host().ok_or(Fault::Missing)),
    },
    Row {
        name: "request.path",
        from: Phase::Request,
        lookup: Lookup::Prefix,
        properties: &[],
        meaning: "the path without its query, as Envoy normalised it",
        set_by: THE_CALLER,
        read: Read::Text(|view| view.path()),
    },
    Row {
        name: "request.pathAndQuery",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the path with its query",
        set_by: THE_CALLER,
        read: Read::Text(|view| utf8(view.path_and_query())),
    },
    Row {
        name: "request.version",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::Protocol],
        meaning: "`HTTP/1.1`, `HTTP/2` or `HTTP/3`",
        set_by: THE_CALLER,
        read: Read::Text(|view| utf8(view.property(Property::Protocol))),
    },
    Row {
        name: "request.headers",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the headers, by name whatever its letter case; no pseudo-headers, and `host` is \
                  the authority",
        set_by: THE_CALLER,
        read: Read::Headers(|view| Some(view.request_headers())),
    },
    Row {
        name: "request.body",
        from: Phase::RequestBody,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the body, where it was read; that of a request without one is empty",
        set_by: THE_CALLER,
        read: Read::Bytes(|view| view.body()),
    },
    Row {
        name: "request.id",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the header `x-request-id`",
        set_by: "Envoy, which keeps one that the caller sends where it is set up to",
        read: Read::Text(|view| utf8(view.line(b"x-request-id"))),
    },
    Row {
        name: "request.startTime",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::Time],
        meaning: "when the request came",
        set_by: "nobody: the clock of the waypoint's node",
        read: Read::Time(|view| view.start_time()),
    },
    Row {
        name: "destination.hostname",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::FilterChainName, Property::ClusterName],
        meaning: "the host of the destination, in Istio's name of the filter chain or cluster",
        set_by: "istiod",
        read: Read::Text(|view| view.destination().ok_or(Fault::Missing)),
    },
    Row {
        name: "destination.address",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: DIALLED,
        meaning: "the IP address that the caller dialled",
        set_by: ADDRESSES,
        read: Read::Text(|view| view.dialled().map(|(address, _)| address).ok_or(Fault::Missing)),
    },
    Row {
        name: "destination.port",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: DIALLED,
        meaning: "the port that the caller dialled",
        set_by: ADDRESSES,
        read: Read::Int(|view| view.dialled().map(|(_, port)| i64::from(port))),
    },
    Row {
        name: "response.code",
        from: Phase::Response,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the status of the response",
        set_by: ORIGIN,
        read: Read::Int(|view| view.status()),
    },
    Row {
        name: "response.headers",
        from: Phase::Response,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the headers of the response",
        set_by: ORIGIN,
        read: Read::Headers(|view| view.response_headers()),
    },
    Row {
        name: "response.body",
        from: Phase::ResponseBody,
        lookup: Lookup::None,
        properties: &[],
        meaning: "the body of the response, where it was read",
        set_by: ORIGIN,
        read: Read::Bytes(|view| view.response_body()),
    },
    Row {
        name: "extauthz",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[],
        meaning: "what external authorization services have said about the request; absent while \
                  none has",
        set_by: "the authorization services",
        read: Read::Data(|view| view.extauthz()),
    },
    Row {
        name: "jwt",
        from: Phase::Request,
        lookup: Lookup::None,
        properties: &[Property::Metadata],
        meaning: "the claims of the token that Istio's RequestAuthentication has verified; absent \
                  where the request has none",
        set_by: "the issuer of the token, which may have a claim from its user",
        read: Read::Data(|view| view.jwt()),
    },
];

/// The attributes, as the language knows them.
pub(crate) static TABLE: Table = Table::new(&DECLARED).with_names_elsewhere(ELSEWHERE);

/// What Envoy, Istio, Kuadrant and AgentGateway call an attribute, and its name here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("connection", "source.spiffeId"),
    ("source.tls", "source.spiffeId"),
    ("source.principal", "source.spiffeId"),
    ("source.namespace", "source.identity.namespace"),
    ("source.ip", "source.address"),
    ("request.url_path", "request.path"),
    ("request.url", "request.pathAndQuery"),
    ("request.uri", "request.pathAndQuery"),
    ("request.query", "request.pathAndQuery.query(\"name\")"),
    ("request.time", "request.startTime"),
    ("request.protocol", "request.version"),
    ("request.useragent", "request.headers[\"user-agent\"]"),
    ("request.user_agent", "request.headers[\"user-agent\"]"),
    ("destination.host", "destination.hostname"),
    ("destination.ip", "destination.address"),
    ("response.status", "response.code"),
];

static DECLARED: [Attribute; ROWS.len()] = {
    let (name, kind) = ("", Kind::Object);
    let mut declared =
        [Attribute { name, kind, from: Phase::Request, lookup: Lookup::None }; ROWS.len()];
    let (mut rest, mut rows): (&mut [Attribute], &[Row]) = (&mut declared, ROWS);
    while let (Some((slot, slots)), Some((row, more))) =
        (rest.split_first_mut(), rows.split_first())
    {
        let kind = match row.read {
            Read::Text(_) => Kind::Text,
            Read::Int(_) => Kind::Int,
            Read::Time(_) => Kind::Time,
            Read::Bytes(_) => Kind::Bytes,
            Read::Data(_) => Kind::Data,
            Read::Headers(_) => Kind::Headers,
            Read::Object(_) => Kind::Object,
        };
        *slot = Attribute { name: row.name, kind, from: row.from, lookup: row.lookup };
        (rest, rows) = (slots, more);
    }
    declared
};

/// How each attribute is read. It is apart from the rows because every request uses it, and they
/// are only for documents and messages.
static READERS: [Read; ROWS.len()] = {
    let mut readers = [Read::Int(|_| None); ROWS.len()];
    let (mut rest, mut rows): (&mut [Read], &[Row]) = (&mut readers, ROWS);
    while let (Some((slot, slots)), Some((row, more))) =
        (rest.split_first_mut(), rows.split_first())
    {
        *slot = row.read;
        (rest, rows) = (slots, more);
    }
    readers
};

fn reader(id: Id) -> Option<&'static Read> {
    READERS.get(usize::from(id.position()))
}

fn row(id: Id) -> Option<&'static Row> {
    ROWS.get(usize::from(id.position()))
}

/// The dotted name of an attribute.
pub(crate) fn name(id: Id) -> &'static str {
    row(id).map_or("", |row| row.name)
}

/// The value of a string attribute.
#[inline]
pub(crate) fn text<'s>(id: Id, view: &'s View<'_>) -> Result<&'s str, Fault> {
    match reader(id) {
        Some(Read::Text(read)) => read(view),
        _ => Err(Fault::Missing),
    }
}

/// The value of an int attribute.
pub(crate) fn int(id: Id, view: &View<'_>) -> Option<i64> {
    match reader(id) {
        Some(Read::Int(read)) => read(view),
        _ => None,
    }
}

/// The value of a timestamp attribute.
pub(crate) fn time(id: Id, view: &View<'_>) -> Option<Timestamp> {
    match reader(id) {
        Some(Read::Time(read)) => read(view),
        _ => None,
    }
}

/// The value of an attribute that is bytes.
pub(crate) fn bytes<'v>(id: Id, view: &View<'v>) -> Result<&'v [u8], Unread> {
    let body = match reader(id) {
        Some(Read::Bytes(read)) => read(view),
        _ => Body::UNASKED,
    };
    match body {
        Body::Read(bytes) => Ok(bytes),
        Body::Missing(why) => Err(Unread::Missing(why)),
        Body::Unreadable(why) => Err(Unread::Unreadable(why)),
    }
}

/// The value of an attribute that is data.
pub(crate) fn data<'v>(id: Id, view: &View<'v>) -> Result<&'v Data, Unread> {
    match reader(id) {
        Some(Read::Data(read)) => read(view),
        _ => Err(Unread::Missing("it is no data")),
    }
}

/// The headers of an attribute, if they are there.
pub(crate) fn headers<'v>(id: Id, view: &View<'v>) -> Option<HeadersView<'v>> {
    match reader(id) {
        Some(Read::Headers(read)) => read(view),
        _ => None,
    }
}

/// Whether an object, or headers, are there.
pub(crate) fn is_there(id: Id, view: &View<'_>) -> bool {
    match reader(id) {
        Some(Read::Object(read)) => read(view),
        Some(Read::Headers(read)) => read(view).is_some(),
        _ => false,
    }
}

/// Reads attributes that will be needed later, when the proxy may no longer have them. Their source
/// keeps the values.
pub(crate) fn prefetch(read: Set, view: &View<'_>) {
    for row in read.iter().filter_map(row).filter(|row| !row.properties.is_empty()) {
        match row.read {
            Read::Text(read) => _ = read(view),
            Read::Int(read) => _ = read(view),
            Read::Time(read) => _ = read(view),
            Read::Object(read) => _ = read(view),
            Read::Data(read) => _ = read(view),
            Read::Bytes(_) | Read::Headers(_) => {}
        }
    }
}

/// The attributes as a table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table = "| attribute | type | what it is | read from | who can set it |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for (row, declared) in ROWS.iter().zip(&DECLARED) {
        let kind = match declared.kind {
            Kind::Text => "string",
            Kind::Int => "int",
            Kind::Time => "timestamp",
            Kind::Bytes => "bytes",
            Kind::Headers => "headers",
            Kind::Data => "map",
            Kind::Object => "object",
        };
        let properties = row
            .properties
            .iter()
            .map(|property| format!("`{}`", property.path().replace('\0', ".")));
        let source = match (row.properties, row.from) {
            ([], _) if declared.kind == Kind::Data => "the answers of these services".to_owned(),
            ([], Phase::Request | Phase::RequestBody) => "the request".to_owned(),
            ([], Phase::Response | Phase::ResponseBody) => "the response".to_owned(),
            _ => properties.collect::<Vec<_>>().join(", else "),
        };
        let Row { name, meaning, set_by, .. } = row;
        table.push_str(&format!("| `{name}` | {kind} | {meaning} | {source} | {set_by} |\n"));
    }
    table
}
