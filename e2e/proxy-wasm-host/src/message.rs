//! Requests and responses on their way through a filter.

use super::headers::Headers;
use super::property::Property;

/// The filter state that holds the peer's own address.
const REMOTE_IP: &str = "envoy.filters.listener.original_dst.remote_ip";

/// A request as it reaches the filter.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The header map, pseudo headers included.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// What follows the body, which only HTTP/2 allows; there are no trailers where this is empty.
    pub trailers: Headers,
    /// The most bytes that one piece of the body has; the whole arrives at once where this is
    /// `None`.
    pub piece: Option<usize>,
    /// Whether more of the body follows, by [`crate::Stream::on_request_piece`].
    pub more: bool,
    /// What Envoy knows of the stream besides the headers, by path.
    pub properties: Vec<(Vec<String>, Property)>,
    /// Filter state that earlier filters left, by key.
    pub filter_state: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// A request as it comes out of Envoy's codec, with the properties of a stream in a waypoint's
    /// `main_internal`.
    #[must_use]
    pub fn new(method: &str, host: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        let mut headers = Headers::request();
        headers.add(":authority", host);
        headers.add(":path", path);
        headers.add(":method", method);
        headers.add(":scheme", "http");
        Self { headers, ..Self::default() }
            .property(&["request", "protocol"], "HTTP/1.1")
            .property(&["request", "time"], 1_700_000_000_000_000_000_i64)
            .property(&["source", "address"], "127.0.0.1:54894")
            .property(&["source", "port"], 54894_i64)
            .property(&["filter_state", REMOTE_IP, "ip"], "127.0.0.1")
            .property(&["filter_state", REMOTE_IP, "port"], 54894_i64)
            .property(&["destination", "address"], "127.0.0.1:15008")
            .property(&["destination", "port"], 15008_i64)
            .property(&["connection", "mtls"], false)
            .property(&["connection", "requested_server_name"], "")
            .property(&["connection_id"], 1_i64)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds a line of trailers.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Lets the body arrive in pieces of at most this many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece = Some(bytes);
        self
    }

    /// Leaves the end of the body open: the test sends further pieces itself.
    #[must_use]
    pub fn more_to_come(mut self) -> Self {
        self.more = true;
        self
    }

    /// Sets a property, in place of an earlier value.
    #[must_use]
    pub fn property(mut self, path: &[&str], value: impl Into<Property>) -> Self {
        let path: Vec<String> = path.iter().map(|segment| (*segment).to_owned()).collect();
        self.properties.retain(|(known, _)| *known != path);
        self.properties.push((path, value.into()));
        self
    }

    /// Sets filter state, as an earlier filter does.
    #[must_use]
    pub fn filter_state(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.filter_state.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets who the peer of the HBONE tunnel is, and the waypoint, as Istio's filter chain does.
    #[must_use]
    pub fn peer_principal(self, principal: impl AsRef<[u8]>) -> Self {
        self.filter_state("io.istio.peer_principal", principal).filter_state(
            "io.istio.local_principal",
            "spiffe://cluster.local/ns/egress-direct/sa/egress",
        )
    }
}

/// A response as it comes from the origin.
#[derive(Debug, Clone)]
pub struct Response {
    /// The header map, `:status` first.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// What follows the body; there are no trailers where this is empty.
    pub trailers: Headers,
    /// The most bytes that one piece of the body has; the whole arrives at once where this is
    /// `None`.
    pub piece: Option<usize>,
    /// Whether more of the body follows, by [`crate::Stream::on_response_piece`].
    pub more: bool,
}

impl Response {
    /// A response without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let mut headers = Headers::response();
        headers.add(":status", status.to_string());
        Self { headers, body: Vec::new(), trailers: Headers::response(), piece: None, more: false }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds a line of trailers.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Lets the body arrive in pieces of at most this many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece = Some(bytes);
        self
    }

    /// Leaves the end of the body open: the test sends further pieces itself.
    #[must_use]
    pub fn more_to_come(mut self) -> Self {
        self.more = true;
        self
    }
}
