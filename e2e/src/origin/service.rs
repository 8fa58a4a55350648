//! A service that the filter calls about a request: plain HTTP/1.1, and as faulty as a test wants.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answers::Answer;
use super::server::Server;
use crate::http1::{Connection, ReceivedRequest};

/// What a service does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// What it waits for before it does anything.
    pub wait: Wait,
    /// What it writes.
    pub bytes: Vec<u8>,
    /// Whether it closes the connection then.
    pub closes: bool,
}

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// That this time has passed.
    For(Duration),
    /// The next [`Service::release`].
    Release,
    /// Something that never happens.
    Forever,
}

impl Reaction {
    /// Answers at once.
    pub fn answer(status: u16, headers: &[(String, String)], body: impl Into<Vec<u8>>) -> Self {
        let answer = Answer { status, headers: headers.to_vec(), body: body.into() };
        let bytes = answer.to_bytes(false);
        Self { wait: Wait::For(Duration::ZERO), bytes, closes: false }
    }

    /// Never answers.
    pub fn never() -> Self {
        Self { wait: Wait::Forever, bytes: Vec::new(), closes: false }
    }

    /// Writes these bytes, which are no whole answer, and closes the connection.
    pub fn cut_off(bytes: impl Into<Vec<u8>>) -> Self {
        Self { wait: Wait::For(Duration::ZERO), bytes: bytes.into(), closes: true }
    }

    /// Waits before anything else.
    #[must_use]
    pub fn after(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }
}

type React = Arc<dyn Fn(&ReceivedRequest) -> Reaction + Send + Sync>;

/// What the connections of a service share.
#[derive(Clone)]
struct Shared {
    react: Arc<Mutex<React>>,
    calls: Arc<Mutex<Vec<ReceivedRequest>>>,
    gate: watch::Sender<()>,
}

/// A running service, which ends when it is dropped.
pub struct Service {
    server: Server,
    shared: Shared,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts a service on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(
        react: impl Fn(&ReceivedRequest) -> Reaction + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let react: React = Arc::new(react);
        let shared = Shared {
            react: Arc::new(Mutex::new(react)),
            calls: Arc::default(),
            gate: watch::Sender::new(()),
        };
        let of_connections = shared.clone();
        let server = Server::start("service", 0, move |stream| {
            let shared = of_connections.clone();
            async move { serve(stream, &shared).await }
        })?;
        Ok(Self { server, shared })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Says what it does with calls from now on.
    pub fn react(&self, react: impl Fn(&ReceivedRequest) -> Reaction + Send + Sync + 'static) {
        *self.shared.react.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(react);
    }

    /// Goes on with the calls that wait for it at this moment.
    pub fn release(&self) {
        self.shared.gate.send_replace(());
    }

    /// The calls that came and match.
    pub fn calls_where(&self, is_meant: impl Fn(&ReceivedRequest) -> bool) -> Vec<ReceivedRequest> {
        let calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|call| is_meant(call)).cloned().collect()
    }
}

/// Serves one connection until it is closed.
async fn serve(stream: TcpStream, shared: &Shared) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(call)) = connection.read_request().await {
        let react = Arc::clone(&shared.react.lock().unwrap_or_else(PoisonError::into_inner));
        let reaction = react(&call);
        let closes = call.closes || reaction.closes;
        // The call takes its place at the gate before it is recorded, so that a test that has seen
        // the record can open the gate.
        let mut gate = shared.gate.subscribe();
        shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        match reaction.wait {
            Wait::For(time) => tokio::time::sleep(time).await,
            // The other end is held in `shared`, so it cannot be gone.
            Wait::Release => drop(gate.changed().await),
            Wait::Forever => return std::future::pending().await,
        }
        if connection.write(&reaction.bytes).await.is_err() || closes {
            return;
        }
    }
}
