//! A pod that sends one request after another, each in a tunnel of its own.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Answered, Sent};
use crate::attack::AttackError;
use crate::attack::frames::{self, Frame};
use crate::hbone::{HboneClient, HboneConnection, HboneError, TunnelStream};
use crate::http1::Connection;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a pod that withholds the end of its request waits for an answer.
const WITHHELD: Duration = Duration::from_millis(250);

/// How long it waits between two pieces, so that they are two to Envoy as well.
const PAUSE: Duration = Duration::from_millis(2);

/// How many tunnels a connection carries; Envoy refuses more after some thousands.
const TUNNELS: usize = 1_000;

/// The pods' ends of HBONE, one for each pod.
pub(super) struct Pod {
    clients: Vec<HboneClient>,
    connections: Vec<Option<(HboneConnection, usize)>>,
    vips: Vec<(&'static str, String)>,
}

impl Pod {
    pub(super) fn new(clients: Vec<HboneClient>, vips: Vec<(&'static str, String)>) -> Self {
        let connections = clients.iter().map(|_| None).collect();
        Self { clients, connections, vips }
    }

    async fn tunnel(&mut self, sent: &Sent) -> Result<TunnelStream, HboneError> {
        let vip = self.vips.iter().find(|(host, _)| *host == sent.host);
        let vip = vip.map_or("", |(_, vip)| vip);
        if let Some((connection, left)) = &mut self.connections[sent.pod]
            && *left > 0
        {
            *left -= 1;
            if let Ok(tunnel) = connection.clone().tunnel(vip).await {
                return Ok(tunnel.into_stream());
            }
        }
        let connection = self.clients[sent.pod].connect().await?;
        let tunnel = connection.clone().tunnel(vip).await?;
        self.connections[sent.pod] = Some((connection, TUNNELS));
        Ok(tunnel.into_stream())
    }

    /// Sends a request and reads its answer.
    pub(super) async fn send(&mut self, sent: &Sent) -> Result<Answered, AttackError> {
        let mut stream = self.tunnel(sent).await?;
        if sent.http2 {
            let _ = stream.write_all(&frames::preface()).await;
        }
        for (place, piece) in sent.pieces.iter().enumerate() {
            if place > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            // What was answered before the end may have been closed.
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        let patience = if sent.withholds { WITHHELD } else { PATIENCE };
        let answer = if sent.http2 {
            timeout(patience, of_http2(&mut stream)).await
        } else {
            timeout(patience, of_http1(&mut stream)).await
        };
        Ok(match answer {
            Ok(answer) => answer,
            Err(_) if sent.withholds => Answered::CutOff,
            Err(_) => Answered::Hung,
        })
    }
}

async fn of_http1(stream: &mut TunnelStream) -> Answered {
    match Connection::new(stream).read_response(false).await {
        Ok(response) => Answered::Response(response),
        Err(_) => Answered::CutOff,
    }
}

/// Reads until the only stream has ended, or its status is known.
async fn of_http2(stream: &mut TunnelStream) -> Answered {
    loop {
        let Ok(Frame { kind, flags, stream: id, payload }) = frames::read(stream).await else {
            return Answered::CutOff;
        };
        let answer = match kind {
            frames::SETTINGS if flags & frames::ACK == 0 => {
                frames::frame(frames::SETTINGS, frames::ACK, 0, &[])
            }
            frames::PING if flags & frames::ACK == 0 => {
                frames::frame(frames::PING, frames::ACK, 0, &payload)
            }
            frames::GOAWAY | frames::RST_STREAM => return Answered::CutOff,
            frames::HEADERS if id != 0 => match frames::status(&payload) {
                Some(status) if !(100..200).contains(&status) => return Answered::Status(status),
                _ => continue,
            },
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return Answered::CutOff;
        }
    }
}
