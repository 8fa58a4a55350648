//! The stand-in for the internet: an HTTPS server that answers as the real origins do and remembers
//! what reached it.

mod answers;
pub(crate) mod certificates;
mod clients;
mod http2;
pub(crate) mod server;
mod service;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http1::{Connection, Headers};
use crate::pki::Pki;

pub use certificates::Presented;
use certificates::Resolver;
use clients::Clients;
use server::Server;
pub use service::{Reaction, Service, Wait};

/// How the origin answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As api.github.com and httpbingo.org do where the workshop calls them, 404 elsewhere.
    Workshop,
    /// `200` to everything, with a JSON of what arrived: `method`, `target`, `host`, `sni`,
    /// `headers` (pairs of name and value) and `body_length`. `/status/404` is answered with that
    /// status, `/hang` not at all, and what begins with `/held` after the next [`Origin::release`].
    /// Every answer carries `x-origin-host`, `x-origin-mode: echo` and two lines of
    /// `x-origin-repeat`, `one` and `two`.
    Echo,
    /// What [`Origin::script`] said last; an empty `200` until then.
    Scripted,
    /// `200` to everything, with what arrived as a text, as HTTP/1.1 writes it; of a body its
    /// length.
    Mirror,
}

/// An answer given word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The status.
    pub status: u16,
    /// The header lines, beside `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The lines of its trailers, which only HTTP/2 has here.
    pub trailers: Vec<(String, String)>,
    /// What is sent before the answer, word for word: heads of interim responses, which only
    /// HTTP/1.1 has here.
    pub interim: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: String::new(),
            trailers: Vec::new(),
            interim: String::new(),
        }
    }
}

/// One request as it reached the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target: the path with its query.
    pub target: String,
    /// The first `Host` header, empty when there is none.
    pub host: String,
    /// The server name that the TLS client asked for.
    pub sni: Option<String>,
    /// The certificate of the TLS client, where the origin asked for one and got it.
    pub client_certificate: Option<CertificateDer<'static>>,
    /// All header lines in order, as bytes.
    pub headers: Headers,
    /// The body's length in bytes.
    pub body_length: usize,
    /// All lines of the trailers in order, which only HTTP/2 has here.
    pub trailers: Headers,
}

impl Received {
    /// All values of a header in order, bytes that are no UTF-8 replaced.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.headers.all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

type Log = Arc<Mutex<Vec<Received>>>;
type SharedScript = Arc<Mutex<Script>>;

/// A running origin on a thread of its own, so that it serves whichever runtime a test uses; it
/// ends when dropped.
#[derive(Debug)]
pub struct Origin {
    server: Server,
    received: Log,
    script: SharedScript,
    resolver: Arc<Resolver>,
    clients: Arc<Clients>,
    gate: watch::Sender<()>,
}

impl Origin {
    /// Starts an origin on 127.0.0.1, on the given port or, for `0`, on a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(pki: &Arc<Pki>, mode: Mode, port: u16) -> io::Result<Self> {
        let resolver = Arc::new(Resolver::new(Arc::clone(pki)));
        let clients = Arc::new(Clients::new(pki, &resolver)?);
        let acceptor = Arc::clone(&clients);

        let received = Log::default();
        let log = Arc::clone(&received);
        let script = SharedScript::default();
        let scripted = Arc::clone(&script);
        let gate = watch::Sender::new(());
        let gates = gate.clone();
        let server = Server::start("origin", port, move |stream| {
            let (clients, gate) = (Arc::clone(&acceptor), gates.clone());
            serve(stream, clients, mode, Arc::clone(&log), Arc::clone(&scripted), gate)
        })?;
        Ok(Self { server, received, script, resolver, clients, gate })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Chooses the certificate that new connections for a host name are shown; the right one unless
    /// chosen otherwise.
    pub fn present(&self, host: &str, presented: Presented) {
        self.resolver.present(host, presented);
    }

    /// From now on takes new connections for a host name only from clients of [`Pki::clients`]. The
    /// clients of other names are asked for a certificate too, and need not have one.
    pub fn insist_on_a_certificate(&self, host: &str) {
        self.clients.insist(host);
    }

    /// Says what [`Mode::Scripted`] answers from now on.
    pub fn script(&self, script: Script) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// Answers the requests that [`Mode::Echo`] holds at this moment.
    pub fn release(&self) {
        self.gate.send_replace(());
    }

    /// All requests that reached the origin and were not taken.
    pub fn requests(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests that match, so that tests that share an origin can each find their own.
    pub fn requests_where(&self, matches: impl Fn(&Received) -> bool) -> Vec<Received> {
        self.requests().into_iter().filter(matches).collect()
    }

    /// All requests that reached the origin since the last time this was asked.
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves one connection; a client that refuses the certificate, has not the one that is insisted
/// on, or goes away ends it without a word.
async fn serve(
    stream: TcpStream,
    clients: Arc<Clients>,
    mode: Mode,
    log: Log,
    script: SharedScript,
    gate: watch::Sender<()>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = clients.accept(stream).await else { return };
    let (_, tls) = stream.get_ref();
    let sni = tls.server_name().map(ToOwned::to_owned);
    let shown = tls.peer_certificates().and_then(|chain| chain.first());
    let client_certificate = shown.map(|certificate| certificate.clone().into_owned());
    if tls.alpn_protocol() == Some(b"h2") {
        return http2::serve(stream, (sni, client_certificate), mode, log, script).await;
    }
    let mut connection = Connection::new(stream);
    while let Ok(Some(request)) = connection.read_request().await {
        let host = request
            .headers
            .get("host")
            .map(|host| String::from_utf8_lossy(host).into_owned())
            .unwrap_or_default();
        let received = Received {
            method: request.method,
            target: request.target,
            host,
            sni: sni.clone(),
            client_certificate: client_certificate.clone(),
            headers: request.headers,
            body_length: request.body.len(),
            trailers: Headers::default(),
        };
        let answer = answers::answer(
            mode,
            &received,
            &script.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let head = received.method == "HEAD";
        let hangs = mode == Mode::Echo && received.target == "/hang";
        // The request takes its place at the gate before it is recorded, so that a test that has
        // seen the record can open the gate.
        let held =
            (mode == Mode::Echo && received.target.starts_with("/held")).then(|| gate.subscribe());
        log.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        if hangs {
            return std::future::pending().await;
        }
        if let Some(mut held) = held {
            // The other end is held in this function, so it cannot be gone.
            let _ = held.changed().await;
        }
        let interim = match mode {
            Mode::Scripted => script.lock().unwrap_or_else(PoisonError::into_inner).interim.clone(),
            _ => String::new(),
        };
        let bytes = [interim.into_bytes(), answer.to_bytes(head)].concat();
        if connection.write(&bytes).await.is_err() || request.closes {
            return;
        }
    }
}
