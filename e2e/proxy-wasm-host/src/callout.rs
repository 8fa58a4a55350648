//! Calls out of the proxy, and the answers that they get.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::headers::Headers;

/// The protocol of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A call of `proxy_http_call`.
    Http,
    /// A unary call of `proxy_grpc_call`.
    Grpc,
}

/// A call that a guest made and that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The protocol.
    pub protocol: Protocol,
    /// The token that the answer carries.
    pub token: u32,
    /// The cluster that it goes to.
    pub cluster: String,
    /// The `:authority` that the service sees.
    pub authority: String,
    /// The service of a gRPC call; empty for HTTP.
    pub service: String,
    /// The method of a gRPC call; empty for HTTP, whose method is among the headers.
    pub method: String,
    /// The headers of an HTTP call with their pseudo-headers, or the initial metadata of gRPC.
    pub headers: Headers,
    /// The body, or the serialised message.
    pub body: Vec<u8>,
    /// The trailers of an HTTP call.
    pub trailers: Headers,
    /// After how long Envoy answers in the service's place; `None` for never.
    pub timeout: Option<Duration>,
    /// The stream that the call was made for; `None` where a root context made it for itself.
    pub stream: Option<u32>,
}

/// What comes back for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response, as it is delivered: to a service's own, Envoy adds the header
    /// `x-envoy-upstream-service-time`.
    Http {
        /// The headers, `:status` first.
        headers: Headers,
        /// The body.
        body: Vec<u8>,
        /// The trailers, which may be empty.
        trailers: Headers,
    },
    /// The message of a gRPC call that succeeded.
    Grpc(Vec<u8>),
    /// The end of a gRPC call that failed.
    GrpcStatus {
        /// The gRPC status, which is not 0.
        code: u32,
        /// The text that came with it.
        message: String,
    },
    /// The connection broke after the answer's headers, and before the answer was whole. The guest
    /// of an HTTP call is called with no headers at all, that of a gRPC call with the status 13.
    CutOff,
}

impl Answer {
    /// An HTTP response without a body.
    #[must_use]
    pub fn http(status: u16) -> Self {
        let mut headers = Headers::response();
        headers.add(":status", status.to_string());
        Self::Http { headers, body: Vec::new(), trailers: Headers::response() }
    }

    /// Adds a header line.
    ///
    /// # Panics
    /// If this is no HTTP response.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.http_mut().0.add(name, value);
        self
    }

    /// Sets the body.
    ///
    /// # Panics
    /// If this is no HTTP response.
    #[must_use]
    pub fn body(mut self, text: impl AsRef<[u8]>) -> Self {
        *self.http_mut().1 = text.as_ref().to_vec();
        self
    }

    /// Adds a line of trailers.
    ///
    /// # Panics
    /// If this is no HTTP response.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.http_mut().2.add(name, value);
        self
    }

    fn http_mut(&mut self) -> (&mut Headers, &mut Vec<u8>, &mut Headers) {
        match self {
            Self::Http { headers, body, trailers } => (headers, body, trailers),
            other => panic!("not an HTTP response: {other:?}"),
        }
    }

    /// The message of a gRPC call that succeeded.
    #[must_use]
    pub fn grpc(message: impl AsRef<[u8]>) -> Self {
        Self::Grpc(message.as_ref().to_vec())
    }

    /// What Envoy says for a service that did not answer in time.
    #[must_use]
    pub fn timeout(protocol: Protocol) -> Self {
        Self::of_envoy(protocol, 504, "upstream request timeout")
    }

    /// What Envoy says for a service that it cannot connect to.
    #[must_use]
    pub fn refused(protocol: Protocol) -> Self {
        Self::of_envoy(protocol, 503, &reset("remote connection failure"))
    }

    /// What Envoy says to an HTTP call for a service that closes the connection without a word.
    #[must_use]
    pub fn closed() -> Self {
        Self::of_envoy(Protocol::Http, 503, &reset("connection termination"))
    }

    /// What Envoy says to an HTTP call for a service whose answer's head is no HTTP, or not whole.
    #[must_use]
    pub fn malformed() -> Self {
        Self::of_envoy(Protocol::Http, 502, &reset("protocol error"))
    }

    /// An answer of Envoy's own: to gRPC every such status is `UNAVAILABLE`.
    fn of_envoy(protocol: Protocol, status: u16, text: &str) -> Self {
        match protocol {
            Protocol::Http => Self::http(status)
                .header("content-length", text.len().to_string())
                .header("content-type", "text/plain")
                .body(text),
            Protocol::Grpc => Self::GrpcStatus { code: UNAVAILABLE, message: text.to_owned() },
        }
    }
}

/// Envoy's text for a call that got no head of an answer.
fn reset(reason: &str) -> String {
    format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}")
}

/// gRPC's status for a service that cannot be reached.
pub(crate) const UNAVAILABLE: u32 = 14;
/// gRPC's status for a call whose connection broke.
pub(crate) const INTERNAL: u32 = 13;

/// How a service answers a call: after some time, or not at all.
type Service = Arc<dyn Fn(&Call) -> Option<(Duration, Answer)> + Send + Sync>;

#[derive(Clone)]
enum Cluster {
    /// The test answers each call itself.
    Manual,
    Served(Service),
    /// The cluster is known and has no endpoint.
    Empty,
}

/// The clusters of an Envoy; a clone is another handle on the same.
#[derive(Clone, Default)]
pub struct Clusters(Arc<Mutex<BTreeMap<String, Cluster>>>);

impl std::fmt::Debug for Clusters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// What happens to a call that is sent.
pub(crate) enum Reception {
    /// It is under way, with the answer that is already known.
    Sent(Option<(Duration, Answer)>),
    /// The cluster has no endpoint.
    NoEndpoint,
}

impl Clusters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Cluster>> {
        // A test that panicked while it held the lock is not this one's concern.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a cluster whose calls wait until the test answers them, or their timeout passes.
    pub fn add(&self, name: &str) {
        self.lock().insert(name.to_owned(), Cluster::Manual);
    }

    /// Adds a cluster whose calls a function answers: after the given time (at once, where it is
    /// zero), or not at all.
    pub fn serve(
        &self,
        name: &str,
        service: impl Fn(&Call) -> Option<(Duration, Answer)> + Send + Sync + 'static,
    ) {
        self.lock().insert(name.to_owned(), Cluster::Served(Arc::new(service)));
    }

    /// Adds a cluster that has no endpoint.
    pub fn add_empty(&self, name: &str) {
        self.lock().insert(name.to_owned(), Cluster::Empty);
    }

    /// Removes a cluster, as an update of Envoy's clusters does.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Sends a call to its cluster; `None` where that does not exist.
    pub(crate) fn receive(&self, call: &Call) -> Option<Reception> {
        let cluster = self.lock().get(&call.cluster).cloned()?;
        Some(match cluster {
            Cluster::Manual => Reception::Sent(None),
            Cluster::Served(service) => Reception::Sent(service(call)),
            Cluster::Empty => Reception::NoEndpoint,
        })
    }
}
