//! An HBONE client that is no Envoy: HTTP/2 CONNECT over mutual TLS, on the wire as ztunnel does
//! it.
//!
//! Every step has a deadline: a request that hangs is an error that says so.

mod alert;
mod tls;
mod tunnel;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http1::{Connection, Request, Response};
use crate::pki::{Credentials, Pki};

pub use tunnel::TunnelStream;

/// How long one step may take unless [`HboneClient::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Why a request through HBONE got no response.
#[derive(Debug, thiserror::Error)]
pub enum HboneError {
    /// The waypoint could not be reached at all.
    #[error("cannot connect to `{address}`: {source}")]
    Unreachable {
        /// Where the waypoint should be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// One of the two ends refused the other's certificate.
    #[error("the TLS handshake was refused: {0}")]
    TlsRefused(
        /// The alert, or what else was seen.
        String,
    ),
    /// The waypoint answered the CONNECT with another status than 200.
    #[error("the CONNECT to `{authority}` was refused with status {status}")]
    ConnectRefused {
        /// The address that was asked for.
        authority: String,
        /// The status.
        status: u16,
    },
    /// The HTTP/2 connection failed.
    #[error("the HTTP/2 connection failed: {0}")]
    Http2(
        /// What HTTP/2 said.
        h2::Error,
    ),
    /// The connection was closed or reset, or what came was no HTTP/1.1.
    #[error("no response: {0}")]
    NoResponse(
        /// What was seen.
        io::Error,
    ),
    /// Nothing came within the time allowed.
    #[error("{step} hung: nothing came within {limit:?}")]
    TimedOut {
        /// What was waited for.
        step: &'static str,
        /// How long.
        limit: Duration,
    },
}

async fn within<T>(
    limit: Duration,
    step: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, HboneError> {
    tokio::time::timeout(limit, future).await.map_err(|_| HboneError::TimedOut { step, limit })
}

/// A caller: where the waypoint is and with which certificate to call it.
#[derive(Debug, Clone)]
pub struct HboneClient {
    address: SocketAddr,
    connector: tls::Connector,
    timeout: Duration,
    headers: Vec<(&'static str, String)>,
}

impl HboneClient {
    /// A caller with these credentials, or with no certificate at all; it pins the waypoint's
    /// SPIFFE ID as ztunnel does.
    pub fn new(address: SocketAddr, pki: &Pki, credentials: Option<&Credentials>) -> Self {
        let namespace = credentials.and_then(Credentials::namespace).unwrap_or("default");
        let headers = vec![
            ("baggage", format!("k8s.cluster.name=Kubernetes,k8s.namespace.name={namespace}")),
            ("forwarded", "for=\"127.0.0.1:49688\";host=api.github.com".to_owned()),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".to_owned()),
        ];
        Self {
            address,
            connector: tls::Connector::new(pki, credentials),
            timeout: TIMEOUT,
            headers,
        }
    }

    /// Sets how long each step may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets a header of the CONNECT requests, such as `baggage`.
    #[must_use]
    pub fn connect_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Opens the HTTP/2 connection and waits until the waypoint has accepted the certificate.
    ///
    /// # Errors
    /// [`HboneError::TlsRefused`] when either end refuses the other.
    pub async fn connect(&self) -> Result<HboneConnection, HboneError> {
        let unreachable = |source| HboneError::Unreachable { address: self.address, source };
        let tcp = within(self.timeout, "the TCP connection", TcpStream::connect(self.address))
            .await?
            .map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let connector = TlsConnector::from(self.connector.config());
        let tls = within(
            self.timeout,
            "the TLS handshake",
            connector.connect(self.connector.server_name(), tcp),
        )
        .await?
        .map_err(|error| HboneError::TlsRefused(error.to_string()))?;

        let (stream, answered) = alert::AlertFirst::new(tls);
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .max_frame_size(1 << 20)
            .enable_push(false)
            .max_header_list_size(16 << 10)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(refused)?;
        let mut driver = Driver(tokio::spawn(connection));
        // In TLS 1.3 a client believes the handshake done before the server has looked at its
        // certificate: only what it says in HTTP/2, its SETTINGS, shows that it took it. ztunnel
        // sends no PING before its first CONNECT, so none is sent here to get an answer.
        let settings = async {
            tokio::select! {
                () = answered.notified() => None,
                ended = &mut driver.0 => ended.ok(),
            }
        };
        match within(self.timeout, "the first HTTP/2 answer", settings).await? {
            None => {}
            Some(Err(error)) => return Err(refused(error)),
            Some(Ok(())) => return Err(HboneError::TlsRefused("closed without a word".to_owned())),
        }
        Ok(HboneConnection {
            sender,
            timeout: self.timeout,
            headers: self.headers.clone(),
            driver: Arc::new(driver),
        })
    }

    /// Opens a connection of its own and on it a tunnel to a virtual address, such as
    /// `240.240.0.1:80`.
    ///
    /// # Errors
    /// When the certificate or the CONNECT is refused.
    pub async fn tunnel(&self, authority: &str) -> Result<Tunnel, HboneError> {
        self.connect().await?.tunnel(authority).await
    }

    /// Sends one request to a virtual address through a connection and a tunnel of its own.
    ///
    /// # Errors
    /// When the certificate or the CONNECT is refused, or no response came.
    pub async fn request(
        &self,
        authority: &str,
        request: &Request,
    ) -> Result<Response, HboneError> {
        self.tunnel(authority).await?.request(request).await
    }
}

/// A failure before the first HTTP/2 answer is a refusal: by an alert, or by a close where the
/// alert was lost.
fn refused(error: h2::Error) -> HboneError {
    match error.get_io() {
        Some(io) => HboneError::TlsRefused(io.to_string()),
        None => HboneError::Http2(error),
    }
}

/// The task that moves the frames of one HTTP/2 connection; it ends with the last handle.
#[derive(Debug)]
struct Driver(tokio::task::JoinHandle<Result<(), h2::Error>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An accepted HTTP/2 connection to the waypoint.
#[derive(Debug, Clone)]
pub struct HboneConnection {
    sender: h2::client::SendRequest<Bytes>,
    timeout: Duration,
    headers: Vec<(&'static str, String)>,
    driver: Arc<Driver>,
}

impl HboneConnection {
    /// Opens a tunnel to a virtual address, such as `240.240.0.1:80`, which takes over this handle;
    /// the connection lives as long as any of its handles and tunnels, so that a clone can open
    /// more of them on it, as ztunnel does.
    ///
    /// # Errors
    /// [`HboneError::ConnectRefused`] when the waypoint knows no such address.
    pub async fn tunnel(self, authority: &str) -> Result<Tunnel, HboneError> {
        let sender = within(self.timeout, "the HTTP/2 connection", self.sender.ready()).await?;
        let mut sender = sender.map_err(HboneError::Http2)?;
        let uri = http::Uri::builder().authority(authority).build().unwrap_or_else(|error| {
            panic!("`{authority}` is no address to CONNECT to: {error}");
        });
        let mut connect = http::Request::connect(uri);
        for (name, value) in &self.headers {
            connect = connect.header(*name, value);
        }
        let connect =
            connect.body(()).unwrap_or_else(|error| panic!("an illegal CONNECT header: {error}"));
        let (response, send) = sender.send_request(connect, false).map_err(HboneError::Http2)?;
        let response =
            within(self.timeout, "the CONNECT", response).await?.map_err(HboneError::Http2)?;
        if response.status() != http::StatusCode::OK {
            return Err(HboneError::ConnectRefused {
                authority: authority.to_owned(),
                status: response.status().as_u16(),
            });
        }
        let stream = TunnelStream::new(send, response.into_body(), sender, self.driver);
        Ok(Tunnel { http: Connection::new(stream), timeout: self.timeout })
    }
}

/// A tunnel on which HTTP/1.1 is spoken, as by the pod behind ztunnel; it serves one request after
/// another.
#[derive(Debug)]
pub struct Tunnel {
    http: Connection<TunnelStream>,
    timeout: Duration,
}

impl Tunnel {
    /// Sends a request and reads its response.
    ///
    /// # Errors
    /// When the tunnel was closed, or the response is no HTTP/1.1 or did not come in time.
    pub async fn request(&mut self, request: &Request) -> Result<Response, HboneError> {
        within(self.timeout, "the request", self.http.request(request))
            .await?
            .map_err(HboneError::NoResponse)
    }

    /// Sends bytes as they are, be they HTTP or not, and reads one response.
    ///
    /// # Errors
    /// When the tunnel was closed, or the response is no HTTP/1.1 or did not come in time.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<Response, HboneError> {
        let head = bytes.starts_with(b"HEAD ");
        within(self.timeout, "the request", self.http.send_raw(bytes, head))
            .await?
            .map_err(HboneError::NoResponse)
    }

    /// The bare stream, for what is not HTTP/1.1.
    pub fn into_stream(self) -> TunnelStream {
        self.http.into_inner()
    }
}
