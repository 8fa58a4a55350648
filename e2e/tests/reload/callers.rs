//! Callers through HBONE, each known by the worker that serves it.

use std::time::{Duration, Instant};

use e2e::envoy::{Pod, Waypoint};
use e2e::hbone::{HboneClient, Tunnel};
use e2e::http1::{Request, Response};
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};

use crate::setting::{HOST, PATIENCE, Setting, WORKERS};

/// By how many connections one worker may be ahead of the other: more than any test opens on one of
/// them alone, with those in it that are closed and still counted.
const MOST_ELSEWHERE: usize = 8;

/// A tunnel of a team's pod, and the worker that serves it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) team: Pod,
    pub(crate) worker: usize,
    pub(crate) tunnel: Tunnel,
}

impl Line {
    /// Sends a request and reads its response.
    pub(crate) async fn send(&mut self, request: &Request) -> Response {
        let answer = self.tunnel.request(request).await;
        answer.unwrap_or_else(|error| {
            panic!("{} on worker {}: {error}", self.team.name(), self.worker)
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(&Request::get(HOST, path)).await
    }

    /// Asks again and again until the answer has this status.
    pub(crate) async fn until(&mut self, setting: &Setting, path: &str, status: u16) {
        let deadline = Instant::now() + PATIENCE;
        while self.get(path).await.status != status {
            assert!(
                Instant::now() < deadline,
                "no {status} for {} on worker {}\n{}",
                self.team.name(),
                self.worker,
                setting.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The two teams' HBONE clients.
pub(crate) struct Callers {
    clients: [HboneClient; 2],
    vip: String,
}

impl Callers {
    pub(crate) fn new(waypoint: &Waypoint) -> Self {
        let client = |id| waypoint.caller(id).timeout(PATIENCE);
        Self {
            clients: [client(TEAM_A_SPIFFE_ID), client(TEAM_B_SPIFFE_ID)],
            vip: waypoint.vip(HOST),
        }
    }

    /// Opens a tunnel. Nobody else may connect meanwhile: its worker is known by its count of
    /// connections.
    async fn open(&self, setting: &Setting, team: Pod) -> Line {
        let before = setting.waypoint.connections(WORKERS);
        let client = &self.clients[team as usize];
        let tunnel = async { client.connect().await?.tunnel(&self.vip).await }
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", setting.log()));
        let after = setting.waypoint.connections(WORKERS);
        let grown: Vec<usize> =
            (0..WORKERS).filter(|worker| after[*worker] > before[*worker]).collect();
        let [worker] = grown[..] else {
            panic!("one connection was opened: {before:?}, {after:?}")
        };
        Line { team, worker, tunnel }
    }

    /// Opens a tunnel on this worker. The waypoint gives each connection to the worker that has the
    /// fewest, so those that it gives to the other one stay open until this one's turn has come.
    pub(crate) async fn on(&self, setting: &Setting, worker: usize, team: Pod) -> Line {
        let mut elsewhere = Vec::new();
        loop {
            let line = self.open(setting, team).await;
            if line.worker == worker {
                return line;
            }
            elsewhere.push(line);
            assert!(
                elsewhere.len() <= MOST_ELSEWHERE,
                "worker {worker} was given none of {} connections",
                elsewhere.len()
            );
        }
    }

    /// Opens so many tunnels of each team on each worker.
    pub(crate) async fn everywhere(&self, setting: &Setting, each: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for _ in 0..each {
            for team in Pod::ALL {
                for worker in 0..WORKERS {
                    lines.push(self.on(setting, worker, team).await);
                }
            }
        }
        lines
    }
}
