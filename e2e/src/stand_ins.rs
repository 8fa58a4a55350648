//! Stand-ins for the gRPC services that the filter calls: authorization and rate limits.
//!
//! Each is a real gRPC server over plaintext HTTP/2, as a cluster of Envoy with
//! `http2_protocol_options` reaches it. A test says what it does with calls, and reads which came.
//! A service that is absent is one that has been dropped: nobody listens on its port any more.

mod authorization;
mod connection;
mod rate_limit;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::Service;

pub use authorization::{AuthorizationService, allowed, denied, header};
pub use rate_limit::{RateLimitService, admitted, over_limit};

use crate::http1::Headers;
use crate::origin::Wait;
use crate::origin::server::Server;
use connection::{Connection, Writes};

/// What a service does with a call.
#[derive(Debug, Clone)]
pub struct Reaction<A> {
    /// What it waits for before it does anything.
    pub wait: Wait,
    /// What it does then.
    pub outcome: Outcome<A>,
}

/// How a service ends a call.
#[derive(Debug, Clone)]
pub enum Outcome<A> {
    /// With a message.
    Answer(A),
    /// With a gRPC status other than OK.
    Status(tonic::Code),
    /// With a message whose sending breaks off, because the connection is closed when so many bytes
    /// of it have been written, HTTP/2's own among them.
    CutOff(A, usize),
}

impl<A> Reaction<A> {
    /// Answers at once.
    pub fn answer(message: A) -> Self {
        Self::now(Outcome::Answer(message))
    }

    /// Fails at once, with this gRPC status.
    pub fn status(code: tonic::Code) -> Self {
        Self::now(Outcome::Status(code))
    }

    /// Closes the connection once it has written so many bytes of the answer.
    pub fn cut_off(message: A, after: usize) -> Self {
        Self::now(Outcome::CutOff(message, after))
    }

    /// Never answers.
    pub fn never() -> Self {
        Self::status(tonic::Code::Cancelled).after(Wait::Forever)
    }

    /// Waits before anything else.
    #[must_use]
    pub fn after(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    fn now(outcome: Outcome<A>) -> Self {
        Self { wait: Wait::For(Duration::ZERO), outcome }
    }
}

/// A call that reached a service.
#[derive(Debug, Clone)]
pub struct ReceivedCall<Q> {
    /// The message.
    pub message: Q,
    /// The `:authority` of the call.
    pub authority: String,
    /// The headers of the call, without pseudo-headers.
    pub headers: Headers,
}

type React<Q, A> = Arc<dyn Fn(&Q) -> Reaction<A> + Send + Sync>;

/// What the connections of a service share.
struct Shared<Q, A> {
    react: Mutex<React<Q, A>>,
    calls: Mutex<Vec<ReceivedCall<Q>>>,
    gate: watch::Sender<()>,
}

/// A running service that is asked `Q` and answers `A`. It ends when it is dropped.
pub struct StandIn<Q, A> {
    server: Server,
    shared: Arc<Shared<Q, A>>,
}

impl<Q, A> std::fmt::Debug for StandIn<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandIn").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<Q: Clone + Send + 'static, A: Send + 'static> StandIn<Q, A> {
    /// Starts a service on a port of 127.0.0.1, for `0` on a free one.
    fn serve<S, B>(
        port: u16,
        react: impl Fn(&Q) -> Reaction<A> + Send + Sync + 'static,
        service: impl FnOnce(Handler<Q, A>) -> S,
    ) -> io::Result<Self>
    where
        S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: std::error::Error + Send + Sync,
    {
        let react: React<Q, A> = Arc::new(react);
        let shared = Arc::new(Shared {
            react: Mutex::new(react),
            calls: Mutex::default(),
            gate: watch::Sender::new(()),
        });
        let service = service(Handler { shared: Arc::clone(&shared) });
        let server = Server::start("stand-in", port, move |stream| {
            let service = service.clone();
            let writes = Writes::default();
            let connection = TokioIo::new(Connection::new(stream, writes.clone()));
            let calls = hyper::service::service_fn(move |mut call: http::Request<Incoming>| {
                let authority = call.uri().authority().map(ToString::to_string);
                call.extensions_mut().insert(Authority(authority.unwrap_or_default()));
                call.extensions_mut().insert(writes.clone());
                service.clone().call(call)
            });
            async move {
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // A connection that breaks off is what some tests ask for.
                let _ = http2.serve_connection(connection, calls).await;
            }
        })?;
        Ok(Self { server, shared })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Says what it does with calls from now on.
    pub fn react(&self, react: impl Fn(&Q) -> Reaction<A> + Send + Sync + 'static) {
        *self.shared.react.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(react);
    }

    /// Goes on with the calls that wait for it at this moment.
    pub fn release(&self) {
        self.shared.gate.send_replace(());
    }

    /// The calls that have come, in order.
    pub fn calls(&self) -> Vec<ReceivedCall<Q>> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The `:authority` of a call, as an extension of it.
#[derive(Debug, Clone)]
struct Authority(String);

/// What carries out a service's calls.
struct Handler<Q, A> {
    shared: Arc<Shared<Q, A>>,
}

impl<Q: Clone, A> Handler<Q, A> {
    async fn answer(&self, call: tonic::Request<Q>) -> Result<tonic::Response<A>, Status> {
        let (headers, extensions, message) = call.into_parts();
        let react = Arc::clone(&self.shared.react.lock().unwrap_or_else(PoisonError::into_inner));
        let reaction = react(&message);
        // The call takes its place at the gate before it is recorded, so that a test that has seen
        // the record can open the gate.
        let mut gate = self.shared.gate.subscribe();
        let Authority(authority) = extensions.get().cloned().unwrap_or(Authority(String::new()));
        let headers = Headers(
            headers
                .into_headers()
                .iter()
                .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
        );
        let call = ReceivedCall { message, authority, headers };
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        match reaction.wait {
            Wait::For(time) => tokio::time::sleep(time).await,
            // The other end is held in `shared`, so it cannot be gone.
            Wait::Release => drop(gate.changed().await),
            Wait::Forever => std::future::pending().await,
        }
        match reaction.outcome {
            Outcome::Answer(message) => Ok(tonic::Response::new(message)),
            Outcome::Status(code) => Err(Status::new(code, "as the test asked for")),
            Outcome::CutOff(message, after) => {
                if let Some(writes) = extensions.get::<Writes>() {
                    writes.end_after(after);
                }
                Ok(tonic::Response::new(message))
            }
        }
    }
}
