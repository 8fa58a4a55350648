//! The pods: each task takes block after block and sends its requests through tunnels of HBONE.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::frames::{self, Frame};
use super::generate::{BLOCK, Block, Spoken, request};
use super::record::Record;
use super::request::Hostile;
use super::rules::SECRET;
use crate::hbone::{HboneClient, HboneConnection, HboneError, TunnelStream};
use crate::http1::{Connection, Response};

/// How long an answer may take; what takes longer is counted, and its tunnel given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many requests are under way at once in an HTTP/2 tunnel. One that ends the connection takes
/// the others with it.
const STREAMS: usize = 8;

/// How many requests are sent at once in an HTTP/1.1 tunnel.
const PIPELINED: usize = 3;

/// How many tunnels a connection carries; Envoy refuses more after some thousands.
const TUNNELS: usize = 2_000;

/// The pods' ends of HBONE, one for each pod, and the record of what they do.
#[derive(Debug, Clone)]
pub(super) struct Pods {
    seed: u64,
    clients: Vec<HboneClient>,
    connections: Vec<Option<(HboneConnection, usize)>>,
    /// When nothing more is sent.
    deadline: Option<Instant>,
    record: Arc<Record>,
}

impl Pods {
    pub(super) fn new(
        seed: u64,
        clients: Vec<HboneClient>,
        deadline: Option<Instant>,
        record: Arc<Record>,
    ) -> Self {
        let connections = clients.iter().map(|_| None).collect();
        Self { seed, clients, connections, deadline, record }
    }

    /// Whether nothing more is to be sent.
    pub(super) fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// A tunnel of a pod, on the connection that it has, as ztunnel keeps one.
    async fn tunnel(&mut self, block: &Block) -> Result<TunnelStream, HboneError> {
        let address = super::address(block.rule, block.to_http2);
        if let Some((connection, left)) = &mut self.connections[block.pod]
            && *left > 0
        {
            *left -= 1;
            if let Ok(tunnel) = connection.clone().tunnel(&address).await {
                return Ok(tunnel.into_stream());
            }
        }
        let connection = self.clients[block.pod].connect().await?;
        let tunnel = connection.clone().tunnel(&address).await?;
        self.connections[block.pod] = Some((connection, TUNNELS));
        Ok(tunnel.into_stream())
    }

    /// Sends a block, whose first request has this number.
    pub(super) async fn send(&mut self, first: u64, end: u64) -> Result<(), HboneError> {
        let block = Block::of(self.seed, first);
        let numbers: Vec<u64> = (first..end.min(first + BLOCK)).collect();
        match block.spoken {
            Spoken::Http1 => self.send_http1(&block, &numbers).await,
            Spoken::Http2 => self.send_http2(&block, &numbers).await,
            Spoken::Library => self.send_by_library(&block, &numbers).await,
        }
    }

    async fn send_http1(&mut self, block: &Block, numbers: &[u64]) -> Result<(), HboneError> {
        let mut tunnel = None;
        let mut left = numbers;
        let mut alone = false;
        while !left.is_empty() && !self.late() {
            let mut connection = match tunnel.take() {
                Some(connection) => connection,
                None => Connection::new(self.tunnel(block).await?),
            };
            // Mostly one after the other; nothing can follow an upgrade.
            let most = if left[0].is_multiple_of(5) && !alone { PIPELINED } else { 1 };
            let requests: Vec<Hostile> =
                left.iter().take(most).map(|number| request(self.seed, *number)).collect();
            let upgrade = requests.iter().position(Hostile::upgrades);
            let count = upgrade.map_or(requests.len(), |at| at + 1);
            let bytes: Vec<u8> = requests[..count].iter().flat_map(Hostile::http1).collect();
            let (sent, behind) = left.split_at(count);
            self.record.sends(block, count as u64);
            let mut open = connection.write(&bytes).await.is_ok() && upgrade.is_none();
            let mut answered = 0;
            for number in sent {
                let Ok(Ok(response)) = self.response(&mut connection).await else {
                    open = false;
                    break;
                };
                answered += 1;
                self.record.answered(response.status);
                if response.headers.get(SECRET).is_some() {
                    self.told(block, *number, "headers");
                }
                open &= !response.closes;
            }
            // Envoy closes a connection on which more follows a denied request; the rest is sent
            // again on its own.
            alone = answered > 0 && answered < count;
            left = if alone { &left[answered..] } else { behind };
            tunnel = open.then_some(connection);
        }
        Ok(())
    }

    /// The next response, where one comes in time.
    async fn response(
        &self,
        connection: &mut Connection<TunnelStream>,
    ) -> Result<std::io::Result<Response>, Elapsed> {
        let response = timeout(PATIENCE, connection.read_response(false)).await;
        match &response {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => _ = self.record.cut_off.fetch_add(1, Relaxed),
            Err(_) => _ = self.record.hung.fetch_add(1, Relaxed),
        }
        response
    }

    /// An answer that still has the header that is to be removed.
    fn told(&self, block: &Block, number: u64, place: &'static str) {
        if block.rule().name == "changes" {
            let reads = format!("{SECRET}, in an answer's {place}");
            self.record.found(
                block.rule(),
                place,
                reads,
                Some(number),
                "the pod, in an answer".to_owned(),
            );
        }
    }

    async fn send_http2(&mut self, block: &Block, numbers: &[u64]) -> Result<(), HboneError> {
        let mut tunnel: Option<(TunnelStream, u32)> = None;
        for batch in numbers.chunks(STREAMS) {
            if self.late() {
                break;
            }
            let (mut stream, mut id) = match tunnel.take() {
                Some(open) => open,
                None => {
                    let mut stream = self.tunnel(block).await?;
                    // The first read reports a tunnel that is already gone.
                    let _ = stream.write_all(&frames::preface()).await;
                    (stream, 1)
                }
            };
            let mut bytes = Vec::new();
            for number in batch {
                bytes.extend(request(self.seed, *number).http2(id));
                id += 2;
            }
            self.record.sends(block, batch.len() as u64);
            let _ = stream.write_all(&bytes).await;
            let mut waiting = batch.len();
            let ended = timeout(PATIENCE, self.ended(&mut stream, &mut waiting)).await;
            match ended {
                Ok(Ok(())) => tunnel = Some((stream, id)),
                Ok(Err(_)) => drop(self.record.cut_off.fetch_add(waiting as u64, Relaxed)),
                Err(_) => drop(self.record.hung.fetch_add(waiting as u64, Relaxed)),
            }
        }
        Ok(())
    }

    /// Reads until this many streams have ended.
    async fn ended(&self, stream: &mut TunnelStream, waiting: &mut usize) -> std::io::Result<()> {
        while *waiting > 0 {
            let Frame { kind, flags, stream: id, payload } = frames::read(stream).await?;
            let answer = match kind {
                frames::SETTINGS if flags & frames::ACK == 0 => {
                    frames::frame(frames::SETTINGS, frames::ACK, 0, &[])
                }
                frames::PING if flags & frames::ACK == 0 => {
                    frames::frame(frames::PING, frames::ACK, 0, &payload)
                }
                frames::GOAWAY => return Err(std::io::ErrorKind::ConnectionAborted.into()),
                _ => Vec::new(),
            };
            stream.write_all(&answer).await?;
            if kind == frames::HEADERS
                && let Some(status) = frames::status(&payload)
            {
                self.record.answered(status);
            }
            let ends =
                matches!(kind, frames::HEADERS | frames::DATA) && flags & frames::END_STREAM != 0;
            if id != 0 && (ends || kind == frames::RST_STREAM) {
                *waiting -= 1;
            }
        }
        Ok(())
    }

    /// Sends requests that are as hostile as a library permits, and reads the answers in full, with
    /// their trailers.
    async fn send_by_library(&mut self, block: &Block, numbers: &[u64]) -> Result<(), HboneError> {
        let tunnel = self.tunnel(block).await?;
        let Ok(Ok((mut sender, connection))) =
            timeout(PATIENCE, h2::client::handshake(tunnel)).await
        else {
            return Ok(());
        };
        let driver = tokio::spawn(connection);
        for number in numbers {
            let hostile = request(self.seed, *number);
            let uri = format!("http://{}/zen", block.rule().host());
            let mut request = http::Request::builder().uri(uri);
            for (name, value) in &hostile.fields {
                let name = http::HeaderName::from_bytes(name);
                if let Some((name, value)) =
                    name.ok().zip(http::HeaderValue::from_bytes(value).ok())
                {
                    request = request.header(name, value);
                }
            }
            let Ok(request) = request.body(()) else { continue };
            self.record.sends(block, 1);
            match timeout(PATIENCE, self.asked(block, *number, &mut sender, request)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    self.record.cut_off.fetch_add(1, Relaxed);
                    break;
                }
                Err(_) => {
                    self.record.hung.fetch_add(1, Relaxed);
                    break;
                }
            }
        }
        driver.abort();
        Ok(())
    }

    async fn asked(
        &self,
        block: &Block,
        number: u64,
        sender: &mut h2::client::SendRequest<Bytes>,
        request: http::Request<()>,
    ) -> Result<(), h2::Error> {
        let (response, _) = sender.send_request(request, true)?;
        let response = response.await?;
        self.record.answered(response.status().as_u16());
        if response.headers().contains_key(SECRET) {
            self.told(block, number, "headers");
        }
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        if body.trailers().await?.is_some_and(|trailers| trailers.contains_key(SECRET)) {
            self.told(block, number, "trailers");
        }
        Ok(())
    }
}
