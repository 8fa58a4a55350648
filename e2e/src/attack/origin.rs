//! The origins of all hosts: one server that reads requests as bytes and judges each as it arrives.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::arrived::Arrived;
use super::record::Record;
use super::request::Field;
use super::rules::SECRET;
use crate::origin::certificates::Resolver;
use crate::pki::Pki;

const MAX_HEAD: usize = 1 << 20;

/// Where the targets begin of requests that are answered before their bodies are there.
pub(super) const EARLY: &[u8] = b"/early";

/// A running origin, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Origin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Origin {
    /// Starts one on a free port, on this runtime.
    pub(super) async fn start(pki: &Arc<Pki>, record: Arc<Record>) -> io::Result<Self> {
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver::new(Arc::clone(pki))));
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            loop {
                // Without file descriptors it waits until connections have ended.
                match listener.accept().await {
                    Ok((stream, _)) => {
                        drop(tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&record))))
                    }
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Self { address, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, record: Arc<Record>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
    // The waypoint closes connections as it likes: there is nobody to tell of an end.
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let _ = http2(stream, &service, &record).await;
    } else {
        let judge = |arrived: &Arrived, is_whole| {
            if is_whole {
                record.judge(arrived);
            }
        };
        let _ = http1(stream, &service, judge).await;
    }
}

/// HTTP/1.1 as bytes: so that requests that no parser accepts are seen too. `judge` is told of each
/// request, and whether its body has come as a whole. A request whose target begins with [`EARLY`]
/// is answered before its body is there.
pub(super) async fn http1<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    service: &str,
    judge: impl Fn(&Arrived, bool),
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = until(&mut stream, &mut buffer, b"\r\n\r\n").await? else { return Ok(()) };
        let mut arrived = parsed(&head);
        arrived.service = service.to_owned();
        let lengths: Vec<&[u8]> = valued(&arrived.fields, "content-length").collect();
        let length = lengths
            .first()
            .and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok())
            .unwrap_or(0);
        let chunked = valued(&arrived.fields, "transfer-encoding").next().is_some();
        let upgrades = valued(&arrived.fields, "upgrade").next().is_some();
        let early = arrived.target.starts_with(EARLY);
        let close = if upgrades || early { "connection: close\r\n" } else { "" };
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{close}{SECRET}: s\r\n\r\nok");
        if early {
            stream.write_all(answer.as_bytes()).await?;
        }
        let read = if chunked {
            chunks(&mut stream, &mut buffer, &mut arrived).await
        } else {
            take(&mut stream, &mut buffer, length, &mut arrived.body).await
        };
        judge(&arrived, read.is_ok());
        read?;
        if !early {
            stream.write_all(answer.as_bytes()).await?;
        }
        if upgrades || early {
            return stream.shutdown().await;
        }
    }
}

fn parsed(head: &[u8]) -> Arrived {
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let from = first.iter().position(|byte| *byte == b' ').unwrap_or(first.len());
    let to =
        first.iter().rposition(|byte| *byte == b' ').filter(|to| *to > from).unwrap_or(first.len());
    Arrived {
        method: first[..from].to_vec(),
        target: first.get(from + 1..to).unwrap_or_default().to_vec(),
        fields: lines.filter_map(field).collect(),
        ..Arrived::default()
    }
}

fn field(line: &[u8]) -> Option<Field> {
    let at = line.iter().position(|byte| *byte == b':')?;
    Some((line[..at].to_vec(), line[at + 1..].to_vec()))
}

fn valued<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| &value[..])
}

/// Reads chunks, and the trailers behind them.
async fn chunks<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    arrived: &mut Arrived,
) -> io::Result<()> {
    loop {
        let line = until(stream, buffer, b"\r\n").await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(text.trim().split(';').next().unwrap_or_default(), 16)
            .map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        take(stream, buffer, size, &mut arrived.body).await?;
        take(stream, buffer, 2, &mut Vec::new()).await?;
    }
    loop {
        let line = until(stream, buffer, b"\r\n").await?.unwrap_or_default();
        match line.strip_suffix(b"\r\n") {
            None | Some([]) => return Ok(()),
            Some(line) => arrived.trailers.extend(field(line)),
        }
    }
}

/// Moves so many bytes of a body; where they do not all come, those that do.
async fn take<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    length: usize,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let mut rest = length;
    loop {
        let moved = buffer.len().min(rest);
        body.extend(buffer.drain(..moved));
        rest -= moved;
        if rest == 0 {
            return Ok(());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads up to and including a terminator; `None` where the connection was closed before anything
/// came.
async fn until<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    let mut from = 0;
    loop {
        if let Some(at) = buffer[from..].windows(end.len()).position(|part| part == end) {
            return Ok(Some(buffer.drain(..from + at + end.len()).collect()));
        }
        from = buffer.len().saturating_sub(end.len() - 1);
        if buffer.len() > MAX_HEAD || stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

/// HTTP/2 by a library. A request that it refuses is not seen by origins that use such a library
/// either.
async fn http2(
    stream: TlsStream<TcpStream>,
    service: &str,
    record: &Arc<Record>,
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        drop(tokio::spawn(answer(request, respond, service.to_owned(), Arc::clone(record))));
    }
    Ok(())
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    service: String,
    record: Arc<Record>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let host =
        head.uri.authority().map(|host| (b"host".to_vec(), host.as_str().as_bytes().to_vec()));
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let mut arrived = Arrived {
        service,
        http2: true,
        method: head.method.as_str().as_bytes().to_vec(),
        target: target.as_bytes().to_vec(),
        fields: host.into_iter().chain(fields(&head.headers)).collect(),
        ..Arrived::default()
    };
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    arrived.trailers = body.trailers().await?.as_ref().map(fields).unwrap_or_default();
    record.judge(&arrived);
    let response = http::Response::builder().header(SECRET, "s").body(()).unwrap_or_default();
    let mut send = respond.send_response(response, false)?;
    send.send_data(Bytes::from_static(b"ok"), false)?;
    let secret = http::HeaderValue::from_static("s");
    send.send_trailers(http::HeaderMap::from_iter([(
        http::HeaderName::from_static(SECRET),
        secret,
    )]))
}

fn fields(map: &http::HeaderMap) -> Vec<Field> {
    map.iter()
        .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}
