//! An HBONE client that is no Envoy: HTTP/2 CONNECT over mutual TLS, on the wire as ztunnel does
//! it: the tunnels of one identity share connections, nothing is sent before the first CONNECT, and
//! the CONNECT says of which namespace the pod is.
//!
//! Every step has a deadline: a request that hangs is an error that says so.

mod alert;
mod driver;
mod pool;
mod tls;
mod tunnel;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http1::{Connection, Request, Response};
use crate::pki::{Credentials, Pki};

use driver::Driver;
use pool::Pool;

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

/// A caller: where the waypoint is and with which certificate to call it. Clones share their
/// connections.
#[derive(Debug, Clone)]
pub struct HboneClient {
    address: SocketAddr,
    connector: tls::Connector,
    timeout: Duration,
    headers: Vec<(&'static str, String)>,
    pool: Pool,
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
            pool: Pool::default(),
        }
    }

    /// Sets how long each step may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets a header of the CONNECT requests, such as `baggage`. Connections of clones that were
    /// made before are not shared with this one.
    #[must_use]
    pub fn connect_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self.pool = Pool::default();
        self
    }

    /// Opens a connection of its own. Whether the waypoint accepts the certificate is known when
    /// it answers, since in TLS 1.3 a client believes the handshake done before the server has
    /// looked at its certificate: the first tunnel on it is refused, or
    /// [`HboneConnection::accepted`] asks.
    ///
    /// # Errors
    /// [`HboneError::TlsRefused`] when the waypoint's certificate is refused.
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

        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .max_frame_size(1 << 20)
            .enable_push(false)
            .max_header_list_size(16 << 10)
            .handshake::<_, Bytes>(alert::AlertFirst(tls))
            .await
            .map_err(refused)?;
        Ok(HboneConnection {
            sender,
            timeout: self.timeout,
            headers: self.headers.clone(),
            driver: Arc::new(Driver::start(connection)),
        })
    }

    /// Opens a tunnel to a virtual address, such as `240.240.0.1:80`, on a connection that this
    /// client has, or on a new one.
    ///
    /// # Errors
    /// When the certificate or the CONNECT is refused.
    pub async fn tunnel(&self, authority: &str) -> Result<Tunnel, HboneError> {
        let (connection, is_old) = self.pool.connection(self).await?;
        match connection.within(self.timeout).tunnel(authority).await {
            // The waypoint may have closed it meanwhile.
            Err(HboneError::Http2(_)) if is_old => {
                let (connection, _) = self.pool.connection(self).await?;
                connection.within(self.timeout).tunnel(authority).await
            }
            tunnel => tunnel,
        }
    }

    /// Sends one request to a virtual address through a tunnel of its own.
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

/// An HTTP/2 connection to the waypoint.
#[derive(Debug, Clone)]
pub struct HboneConnection {
    sender: h2::client::SendRequest<Bytes>,
    timeout: Duration,
    headers: Vec<(&'static str, String)>,
    driver: Arc<Driver>,
}

impl HboneConnection {
    /// Sets how long each step may take.
    fn within(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many tunnels it carries, where one handle is the pool's.
    fn tunnels(&self) -> usize {
        Arc::strong_count(&self.driver).saturating_sub(1)
    }

    fn has_ended(&self) -> bool {
        self.driver.has_ended()
    }

    /// Asks the waypoint whether it has accepted the certificate, with a PING, which ztunnel does
    /// not send.
    ///
    /// # Errors
    /// [`HboneError::TlsRefused`] when it has not.
    pub async fn accepted(&self) -> Result<(), HboneError> {
        let ping_pong = self.driver.ping_pong.lock().await.take();
        let Some(mut ping_pong) = ping_pong else { return Ok(()) };
        match within(self.timeout, "the PING", ping_pong.ping(h2::Ping::opaque())).await? {
            Ok(_) => {
                self.driver.is_accepted.store(true, Relaxed);
                Ok(())
            }
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// What a failure of HTTP/2 stands for. Where nothing has been answered yet, it is a refusal.
    async fn failed(&self, error: h2::Error) -> HboneError {
        if self.driver.is_accepted.load(Relaxed) {
            return HboneError::Http2(error);
        }
        // A stream only knows that the connection is gone; its driver knows why.
        match within(self.timeout, "the end of the HTTP/2 connection", self.driver.ended()).await {
            Ok(ended) => refused(ended.unwrap_or(error)),
            Err(hung) => hung,
        }
    }

    /// Opens a tunnel to a virtual address, such as `240.240.0.1:80`, which takes over this handle;
    /// the connection lives as long as any of its handles and tunnels, so that a clone can open
    /// more of them on it, as ztunnel does.
    ///
    /// # Errors
    /// [`HboneError::ConnectRefused`] when the waypoint knows no such address, and
    /// [`HboneError::TlsRefused`] when it does not accept the certificate.
    pub async fn tunnel(self, authority: &str) -> Result<Tunnel, HboneError> {
        let ready = self.sender.clone().ready();
        let mut sender = match within(self.timeout, "the HTTP/2 connection", ready).await? {
            Ok(sender) => sender,
            Err(error) => return Err(self.failed(error).await),
        };
        let uri = http::Uri::builder().authority(authority).build().unwrap_or_else(|error| {
            panic!("`{authority}` is no address to CONNECT to: {error}");
        });
        let mut connect = http::Request::connect(uri);
        for (name, value) in &self.headers {
            connect = connect.header(*name, value);
        }
        let connect =
            connect.body(()).unwrap_or_else(|error| panic!("an illegal CONNECT header: {error}"));
        let (response, send) = match sender.send_request(connect, false) {
            Ok(sent) => sent,
            Err(error) => return Err(self.failed(error).await),
        };
        let response = match within(self.timeout, "the CONNECT", response).await? {
            Ok(response) => response,
            Err(error) => return Err(self.failed(error).await),
        };
        self.driver.is_accepted.store(true, Relaxed);
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
