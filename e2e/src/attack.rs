//! `make attack`: hostile requests of pods, through the filter in a real Envoy that is configured
//! as istiod would, to origins that tell what they read.
//!
//! The property: whatever a pod sends, if what an origin reads is denied by the plain meaning of
//! the rule, then the origin never sees it.
//!
//! ```text
//! rules.rs      the policies, each on a host of its own, and their plain meaning
//! generate.rs   request number n of a seed
//! request.rs    its bytes; frames.rs: HTTP/2 by hand
//! client.rs     the pods, who send them through HBONE
//! stage.rs      the waypoint
//! origin.rs     where they come to, if they do; arrived.rs: what has come
//! readers.rs    how origins read that; not a line of it is the engine's
//! record.rs     what was found
//! report.rs     what is told of a run; health.rs: how Envoy fares in it
//! ways.rs       the other ways in: bodies, keys of limits, answers of services
//! ```

mod arrived;
mod client;
mod frames;
mod generate;
mod health;
mod origin;
mod random;
mod readers;
mod record;
mod report;
mod request;
mod rules;
mod stage;
mod ways;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::envoy::{StartError, filter_wasm};
use crate::hbone::HboneError;
use crate::istio::MeshError;
use crate::pki::{Pki, San, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};

use client::Pods;
use generate::BLOCK;
use record::Record;
use stage::Stage;

pub use health::Health;
pub use record::Finding;
pub use report::Report;
pub use ways::{Way, WayReport, run_way};

/// The pods, by the names under which the filter announces them to origins.
const CALLERS: [&str; 2] = ["team-a/team-a", "team-b/team-b"];

/// How many blocks are under way at once. Envoy takes a second to close a broken connection, and
/// the others go on meanwhile.
const TASKS: u64 = 192;

/// How often progress is reported.
const TICK: Duration = Duration::from_secs(1);

/// When an attack ends, if nothing is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After this many requests.
    Requests(u64),
    /// After this long.
    Elapsed(Duration),
}

/// An attack.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of all requests.
    pub seed: u64,
    /// When it ends.
    pub until: Until,
    /// The compiled filter.
    pub wasm: PathBuf,
    /// The findings of the red team whose mends are taken out, in a module that allows it.
    pub unmended: Vec<u8>,
    /// Whether it goes on when something has been found.
    pub goes_on: bool,
    /// Whether progress is reported every second.
    pub tells: bool,
}

impl Options {
    /// An attack on the filter as it is shipped.
    pub fn new(seed: u64, until: Until) -> Self {
        Self {
            seed,
            until,
            wasm: filter_wasm(),
            unmended: Vec::new(),
            goes_on: false,
            tells: false,
        }
    }
}

/// Why an attack could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The waypoint could not be started.
    #[error(transparent)]
    Mesh(#[from] Box<MeshError>),
    /// Nor could that of another way in.
    #[error(transparent)]
    Start(#[from] Box<StartError>),
    /// A file or a socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A pod could not reach the waypoint.
    #[error("a pod does not reach the waypoint: {0}")]
    Hbone(#[from] HboneError),
}

/// The address that a pod dials for a policy's service: istiod gives them out in order.
fn address(rule: usize, to_http2: bool) -> String {
    format!("240.240.0.{}:{}", rule + 1, if to_http2 { 81 } else { 80 })
}

/// Makes an attack.
///
/// # Errors
/// When the waypoint does not start or is gone. A finding is not an error; it is in the report.
pub async fn run(options: &Options) -> Result<Report, AttackError> {
    let pki = Arc::new(Pki::new());
    let record = Arc::new(Record::new(options.seed));
    let origin = origin::Origin::start(&pki, Arc::clone(&record)).await?;
    let (asked, port) = (options.clone(), origin.port());
    let of_stage = Arc::clone(&pki);
    let stage = tokio::task::spawn_blocking(move || Stage::start(&asked, &of_stage, port));
    let stage = stage.await.map_err(io::Error::other)??;

    let pods = [("team-a", TEAM_A_SPIFFE_ID), ("team-b", TEAM_B_SPIFFE_ID)];
    let clients = pods.map(|(name, id)| {
        stage.mesh.client(Some(&pki.mesh.issue(name, &[San::Uri(id.to_owned())])))
    });
    let begun = Instant::now();
    let (end, deadline) = match options.until {
        Until::Requests(count) => (count, None),
        Until::Elapsed(duration) => (u64::MAX - BLOCK, Some(begun + duration)),
    };
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::<Result<(), HboneError>>::new();
    for _ in 0..TASKS {
        let mut pods = Pods::new(options.seed, clients.to_vec(), deadline, Arc::clone(&record));
        let (next, record, goes_on) = (Arc::clone(&next), Arc::clone(&record), options.goes_on);
        tasks.spawn(async move {
            loop {
                let first = next.fetch_add(BLOCK, Relaxed);
                if first >= end || pods.late() || (!goes_on && !record.findings().is_empty()) {
                    return Ok(());
                }
                pods.send(first, end).await?;
            }
        });
    }
    let mut report = Report::new(options.seed);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break,
                Some(ended) => ended.map_err(io::Error::other)??,
            },
            _ = tick.tick() => {
                let process = stage.mesh.process();
                let progress = progress(options.until, record.sent(), begun);
                report.health.look(progress, process)?;
                if options.tells {
                    eprintln!("attack: {}", report.progress(&record, begun.elapsed()));
                }
            }
        }
    }
    // The requests that arrived last may not have been judged yet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    report.finish(&record, begun.elapsed(), stage.mesh.process())?;
    Ok(report)
}

/// How much of a run is done, in hundredths.
fn progress(until: Until, sent: u64, begun: Instant) -> u64 {
    match until {
        Until::Requests(count) => sent * 100 / count.max(1),
        Until::Elapsed(duration) => {
            (begun.elapsed().as_millis() * 100 / duration.as_millis().max(1)) as u64
        }
    }
}
