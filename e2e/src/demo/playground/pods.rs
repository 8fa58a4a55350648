//! The pods, each with its ztunnel: an HTTP proxy whose user and password are the namespace and the
//! name of the service account that calls. What it is asked for goes into the waypoint through
//! HBONE, with a certificate of that account.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::waypoint::Route;
use crate::http1::{Connection, HeaderLine, ReceivedRequest, Response};

mod target;

pub(super) use target::Dialled;
use target::{Asked, Unclear};

/// What the pods tell.
#[derive(Debug)]
pub(super) enum Message {
    /// A pod is about to call: by which way?
    Dials(Dialled, oneshot::Sender<Result<Route, String>>),
    /// A pod has called.
    Called(Call),
    /// Something was asked for that no pod could call, in these words.
    Refused(String),
}

/// A call, and what came of it.
#[derive(Debug)]
pub(super) struct Call {
    /// The namespace and the service account.
    pub(super) caller: String,
    /// The method and the URL.
    pub(super) line: String,
    /// The value of its `x-request-id`, by which its audit record is found.
    pub(super) id: String,
    /// The status that came back, or why none did.
    pub(super) status: Result<u16, String>,
}

/// Serves pods until it is dropped.
pub(super) async fn serve(listener: TcpListener, port: u16, tell: mpsc::Sender<Message>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_one(stream, port, tell.clone()));
            }
            // Out of file descriptors, or a client that went away: later ones may still be served.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

/// Serves one request, and closes the connection: the next may be of another caller.
async fn serve_one(stream: TcpStream, port: u16, tell: mpsc::Sender<Message>) {
    let mut connection = Connection::new(stream);
    let request = match connection.read_request().await {
        Ok(None) => return,
        Ok(Some(request)) => request,
        Err(error) => {
            let _ = connection.write(&refusal(400, &format!("{error}\n"))).await;
            return;
        }
    };
    let answer = match target::of(&request) {
        Ok(asked) => call(&request, asked, &tell).await,
        Err(unclear) => {
            let (status, message) = match unclear {
                Unclear::Caller => (407, who(&request, port)),
                Unclear::Target(message) => (400, message),
            };
            // curl shows nobody the answer to a CONNECT, so it is told here as well.
            let _ = tell.send(Message::Refused(message.clone())).await;
            refusal(status, &format!("{message}\n"))
        }
    };
    // The client may have gone away.
    let _ = connection.write(&answer).await;
}

fn who(request: &ReceivedRequest, port: u16) -> String {
    format!(
        "who calls? Name a namespace and a service account: curl -x \
         NAMESPACE:ACCOUNT@localhost:{port} {}",
        request.target
    )
}

/// Calls, tells of it, and returns what the client gets.
async fn call(request: &ReceivedRequest, asked: Asked, tell: &mpsc::Sender<Message>) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let given = request.headers.get("x-request-id");
    let id = given.map_or_else(
        || format!("demo-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        |id| String::from_utf8_lossy(id).into_owned(),
    );
    let caller = asked.dialled.caller.to_string();
    let line = format!("{} {}", request.method, request.target);
    let response = through_the_waypoint(request, asked, &id, tell).await;
    let (status, answer) = match &response {
        Ok(response) => (Ok(response.status), to_bytes(response, request.method == "HEAD")),
        Err(error) => (Err(error.clone()), refusal(502, &format!("{error}\n"))),
    };
    // The other end is gone where the demo ends.
    let _ = tell.send(Message::Called(Call { caller, line, id, status })).await;
    answer
}

async fn through_the_waypoint(
    request: &ReceivedRequest,
    asked: Asked,
    id: &str,
    tell: &mpsc::Sender<Message>,
) -> Result<Response, String> {
    let ended = || "the demo is ending".to_owned();
    let (answer, route) = oneshot::channel();
    tell.send(Message::Dials(asked.dialled, answer)).await.map_err(|_| ended())?;
    let Route { client, vip, .. } = route.await.map_err(|_| ended())??;
    let mut tunnel = client.tunnel(&vip).await.map_err(|error| error.to_string())?;
    tunnel.send_raw(&forwarded(request, &asked.target, id)).await.map_err(|error| error.to_string())
}

/// The request as the pod would send it: without what is for the proxy, and with an ID.
fn forwarded(request: &ReceivedRequest, target: &str, id: &str) -> Vec<u8> {
    let mut bytes = format!("{} {target} HTTP/1.1\r\n", request.method).into_bytes();
    let is_kept = |(name, _): &&HeaderLine| {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        // The body comes without its framing, so its length is told instead.
        let framing = ["content-length", "transfer-encoding"].into_iter().any(is);
        let of_proxy = name.to_ascii_lowercase().starts_with(b"proxy-");
        !framing && !of_proxy
    };
    for (name, value) in request.headers.0.iter().filter(is_kept) {
        bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
    }
    if request.headers.get("x-request-id").is_none() {
        bytes.extend(format!("x-request-id: {id}\r\n").into_bytes());
    }
    let has_length = ["content-length", "transfer-encoding"]
        .into_iter()
        .any(|name| request.headers.get(name).is_some());
    if has_length {
        bytes.extend(format!("content-length: {}\r\n", request.body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&request.body);
    bytes
}

/// A response on the wire, its body in one piece.
fn to_bytes(response: &Response, head: bool) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} {}\r\n", response.status, response.reason).into_bytes();
    for (name, value) in &response.headers.0 {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let of_connection = is("connection") || is("transfer-encoding") || is("keep-alive");
        if !of_connection && (head || !is("content-length")) {
            bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
        }
    }
    if !head && !matches!(response.status, 204 | 304) {
        bytes.extend(format!("content-length: {}\r\n", response.body.len()).into_bytes());
    }
    bytes.extend(b"connection: close\r\n\r\n");
    bytes.extend(&response.body);
    bytes
}

/// The answer to what cannot be sent on.
fn refusal(status: u16, body: &str) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let asks = match status {
        407 => "proxy-authenticate: Basic realm=\"namespace:serviceaccount\"\r\n",
        _ => "",
    };
    format!(
        "HTTP/1.1 {status} {}\r\n{asks}content-type: text/plain\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        reason.unwrap_or_default(),
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests;
