//! Requests one after another over a few connections, as fast as they are answered.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use e2e::http1::{Connection, Request, Response};

/// How many connections there are: enough to keep one worker busy.
const CONNECTIONS: usize = 8;

/// The headers that a client such as curl or a language's library sends, and the two that the
/// workshop is about.
pub(super) const HEADERS: [(&str, &str); 6] = [
    ("User-Agent", "bench/1.0"),
    ("Accept", "application/vnd.github+json"),
    ("Accept-Encoding", "gzip, br"),
    ("X-GitHub-Api-Version", "2022-11-28"),
    ("X-Caller-Identity", "spoofed/admin"),
    ("X-Internal-Debug", "1"),
];

pub(super) fn request(path: &str) -> Request {
    HEADERS.into_iter().fold(Request::get("api.github.com", path), |request, (name, value)| {
        request.header(name, value)
    })
}

async fn connect(address: SocketAddr) -> io::Result<Connection<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// The response to one request that the checking route answers, over a connection of its own.
pub(super) async fn check(address: SocketAddr, path: &str) -> io::Result<Response> {
    connect(address).await?.request(&request(path).header("X-Check", "1")).await
}

/// Sends requests for a while, and returns how many were answered.
pub(super) async fn ask(
    address: SocketAddr,
    path: &str,
    status: u16,
    round: Duration,
) -> io::Result<u64> {
    let bytes = request(path).to_bytes();
    let end = Instant::now() + round;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let bytes = bytes.clone();
        clients.spawn(async move {
            let mut connection = connect(address).await?;
            let mut answered = 0;
            while Instant::now() < end {
                let response = connection.send_raw(&bytes, false).await?;
                if response.status != status {
                    return Err(io::Error::other(format!(
                        "{} under load where {status} is right",
                        response.status
                    )));
                }
                answered += 1;
                if response.closes {
                    connection = connect(address).await?;
                }
            }
            Ok::<u64, io::Error>(answered)
        });
    }
    let mut sum = 0;
    while let Some(client) = clients.join_next().await {
        sum += client.map_err(io::Error::other)??;
    }
    Ok(sum)
}
