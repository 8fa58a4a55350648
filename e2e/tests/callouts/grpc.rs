//! A gRPC service that is as faulty as a test wants, whichever method is called. It is made of
//! HTTP/2's frames, because a server of gRPC does not break off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::fault::Fault;

/// A call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) authority: String,
    pub(crate) fault: Fault,
}

#[derive(Clone)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    /// How many calls were given up by the other side while they were held.
    canceled: Arc<Mutex<usize>>,
    gate: watch::Sender<()>,
    late: Duration,
}

/// A running service. It lives as long as the process.
pub(crate) struct GrpcService {
    port: u16,
    shared: Shared,
}

impl GrpcService {
    /// Starts a service on a free port of 127.0.0.1. [`Fault::Late`] answers after this time.
    pub(crate) fn start(late: Duration) -> GrpcService {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let port = listener.local_addr().expect("an address").port();
        let gate = watch::Sender::new(());
        let shared = Shared { received: Arc::default(), canceled: Arc::default(), gate, late };
        let of_connections = shared.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, of_connections.clone()));
                }
            });
        });
        GrpcService { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn received(&self, fault: Fault) -> Vec<Received> {
        let all = self.shared.received.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|call| call.fault == fault).cloned().collect()
    }

    pub(crate) fn canceled(&self) -> usize {
        *self.shared.canceled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with the calls that are held at this moment.
    pub(crate) fn release(&self) {
        self.shared.gate.send_replace(());
    }
}

/// Serves a connection until a call has it closed.
async fn serve(stream: TcpStream, shared: Shared) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let (close, mut closed) = mpsc::channel(1);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(request, respond, shared.clone(), close.clone()));
                }
                _ => return,
            },
            _ = closed.recv() => return,
        }
    }
}

/// A message with the five bytes that go before it, which say that it has `length` bytes.
fn framed(message: &[u8], length: usize) -> Bytes {
    let length = u32::try_from(length).expect("a short message").to_be_bytes();
    Bytes::from([&[0], &length[..], message].concat())
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(status),
    )])
}

fn head() -> Response<()> {
    let head = Response::builder().header("content-type", "application/grpc");
    head.body(()).expect("a legal head")
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Shared,
    close: mpsc::Sender<()>,
) {
    let (parts, mut body) = request.into_parts();
    let mut message = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        message.extend_from_slice(&data);
    }
    let fault = Fault::find(&message);
    let method = parts.uri.path().to_owned();
    let ok = allowing(&method);
    let mut gate = shared.gate.subscribe();
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(Received {
        authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
        method,
        fault,
    });
    let hang_up = || async {
        // What was written has to leave before the connection ends.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let _ = close.send(()).await;
    };
    match fault {
        Fault::Mute => return std::future::pending().await,
        Fault::Late => tokio::time::sleep(shared.late).await,
        Fault::Held => {
            let is_canceled = tokio::select! {
                _ = gate.changed() => false,
                _ = std::future::poll_fn(|context| respond.poll_reset(context)) => true,
            };
            if is_canceled {
                *shared.canceled.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                return;
            }
        }
        Fault::NoHead => return hang_up().await,
        _ => {}
    }
    let status = match fault {
        Fault::Error => Some("2"),
        Fault::Unavailable => Some("14"),
        Fault::DeadlineExceeded => Some("4"),
        _ => None,
    };
    if let Some(status) = status {
        let mut answer = head();
        answer.headers_mut().extend(trailers(status));
        let _ = respond.send_response(answer, true);
        return;
    }
    // The other side may be gone.
    let Ok(mut stream) = respond.send_response(head(), false) else { return };
    let message = match fault {
        Fault::CutInHead => return hang_up().await,
        Fault::CutInBody => {
            let _ = stream.send_data(framed(b"be", 100), false);
            return hang_up().await;
        }
        Fault::Large => {
            let mut rest = framed(&vec![0; Fault::LARGE], Fault::LARGE);
            while !rest.is_empty() {
                stream.reserve_capacity(rest.len());
                let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
                let Some(Ok(capacity)) = capacity else { return };
                let part = rest.split_to(capacity.min(rest.len()));
                if stream.send_data(part, false).is_err() {
                    return;
                }
            }
            Bytes::new()
        }
        Fault::Garbage => framed(b"\xff\xff\xff", 3),
        Fault::Doubled => {
            let one = framed(ok, ok.len());
            Bytes::from([&one[..], &one[..]].concat())
        }
        _ => framed(ok, ok.len()),
    };
    let _ = stream.send_data(message, false);
    let _ = stream.send_trailers(trailers("0"));
}

/// The message that lets a request go on.
fn allowing(method: &str) -> &'static [u8] {
    match method {
        // RateLimitResponse: `overall_code` (1) is OK (1).
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit" => &[0x08, 1],
        // CheckResponse: `status` (1) has the code OK, which is 0; and `ok_response` (3) is empty.
        _ => &[0x0a, 0, 0x1a, 0],
    }
}
