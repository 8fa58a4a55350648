//! Requests one after another over a few connections, as fast as they are answered.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::contestant::Series;
use crate::http1::{Connection, Request};

/// Enough to keep one worker busy.
const CONNECTIONS: usize = 8;

/// What a client such as curl or a language's library sends, and the two headers that the workshop is about.
fn request(path: &str) -> Request {
    Request::get("api.github.com", path)
        .header("User-Agent", "measure/1.0")
        .header("Accept", "application/vnd.github+json")
        .header("Accept-Encoding", "gzip, br")
        .header("X-GitHub-Api-Version", "2022-11-28")
        .header("X-Caller-Identity", "spoofed/admin")
        .header("X-Internal-Debug", "1")
}

async fn connect(address: SocketAddr) -> io::Result<Connection<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// The status of one request.
pub(super) async fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    Ok(connect(address).await?.request(&request(path)).await?.status)
}

/// Asks for a while, and gives how many requests were answered.
pub(super) async fn ask(address: SocketAddr, series: Series, round: Duration) -> io::Result<u64> {
    let bytes = request(series.path).to_bytes();
    let end = Instant::now() + round;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let bytes = bytes.clone();
        clients.spawn(async move {
            let mut connection = connect(address).await?;
            let mut answered = 0;
            while Instant::now() < end {
                let response = connection.send_raw(&bytes, false).await?;
                if response.status != series.status {
                    return Err(io::Error::other(format!("`{}` answers {} under load", series.name, response.status)));
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
