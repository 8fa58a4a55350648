//! The ways in beside what a rule reads of a request's headers: bodies, the keys of limits, and
//! answers of authorization services. Each has a waypoint of its own, and laws of its own, which
//! are judged where requests arrive and where answers do.
//!
//! ```text
//! bodies.rs   no byte of a body that a simple model takes for forbidden comes to the origin
//! keys.rs     of one key no more than the limit is admitted, and other keys are not affected
//! answers.rs  what a service denied never arrives, nor anything that no answer may bring about
//! pod.rs      sends one request in a tunnel of its own; tally.rs: what came of all of them
//! ```

mod answers;
mod bodies;
mod keys;
mod pod;
mod tally;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::arrived::Arrived;
use super::health::Health;
use super::record::Finding;
use super::request::Field;
use super::{AttackError, Options, Until, origin, progress};
use crate::envoy::{Waypoint, WaypointOptions, bodies_wasm, filter_wasm};
use crate::http1::Response;
use crate::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};

use pod::Pod;
use tally::Tally;
pub use tally::WayReport;

/// How many requests are under way at once.
const TASKS: usize = 48;

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Bodies that rules read, in the module for bodies.
    Bodies,
    /// Keys of local limits, made by the caller.
    Keys,
    /// Answers of an authorization service.
    Answers,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Bodies, Way::Keys, Way::Answers];

    /// Its name in reports and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Way::Bodies => "bodies",
            Way::Keys => "keys",
            Way::Answers => "answers",
        }
    }
}

/// A request of a way, as it is sent.
#[derive(Debug, Clone, Default)]
struct Sent {
    /// The service that it is sent to.
    host: &'static str,
    /// The pod, by its place.
    pod: usize,
    /// Whether the pod speaks HTTP/2, as one stream of a connection.
    http2: bool,
    /// Its bytes; a pause follows each piece.
    pieces: Vec<Vec<u8>>,
    /// Whether the end never comes, so that there may be no answer to wait for.
    withholds: bool,
}

/// How a request was answered.
#[derive(Debug)]
enum Answered {
    /// With a response of HTTP/1.1.
    Response(Response),
    /// With a response of HTTP/2, of which the status is known.
    Status(u16),
    /// Its tunnel or its stream was closed.
    CutOff,
    /// Not at all.
    Hung,
}

impl Answered {
    fn status(&self) -> Option<u16> {
        match self {
            Answered::Response(response) => Some(response.status),
            Answered::Status(status) => Some(*status),
            Answered::CutOff | Answered::Hung => None,
        }
    }
}

/// What an attack sends, and what must not come of it.
trait Attack: Send + Sync {
    /// The hosts of its policies.
    fn hosts(&self) -> &'static [&'static str];
    /// The filter's configuration.
    fn configuration(&self) -> Value;
    /// What the waypoint needs beside services and the configuration.
    fn prepare(&self, options: WaypointOptions) -> WaypointOptions {
        options
    }
    /// A request by its number.
    fn request(&self, number: u64) -> Sent;
    /// Judges what came to the origin, and whether its body came as a whole.
    fn judge_arrived(&self, tally: &Tally, arrived: &Arrived, is_whole: bool);
    /// Judges how a request was answered.
    fn judge_answer(&self, tally: &Tally, number: u64, answer: &Answered);
    /// Judges the whole.
    fn judge_end(&self, _: &Tally) {}
}

fn attack(way: Way, seed: u64) -> io::Result<Arc<dyn Attack>> {
    Ok(match way {
        Way::Bodies => Arc::new(bodies::Bodies { seed }),
        Way::Keys => Arc::new(keys::Keys::new(seed)),
        Way::Answers => Arc::new(answers::Answers::start(seed)?),
    })
}

/// Attacks in one of these ways.
///
/// # Errors
/// When the waypoint does not start or is gone. A finding is not an error; it is in the report.
pub async fn run_way(way: Way, options: &Options) -> Result<WayReport, AttackError> {
    let attack = attack(way, options.seed)?;
    let tally = Arc::new(Tally::new(way.name()));
    let port = start_origin(&attack, &tally).await?;
    let pki = Arc::new(Pki::new());
    let asked = waypoint(way, &attack, options, &pki, port);
    let waypoint = tokio::task::spawn_blocking(move || Waypoint::start(asked));
    let waypoint = waypoint.await.map_err(io::Error::other)?.map_err(Box::new)?;

    let begun = Instant::now();
    let (end, deadline) = match options.until {
        Until::Requests(count) => (count, None),
        Until::Elapsed(duration) => (u64::MAX, Some(begun + duration)),
    };
    let next = Arc::new(AtomicU64::new(0));
    let vips: Vec<_> = attack.hosts().iter().map(|host| (*host, waypoint.vip(host))).collect();
    let mut tasks = tokio::task::JoinSet::<Result<(), AttackError>>::new();
    for _ in 0..TASKS {
        let callers = [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID].map(|id| waypoint.caller(id));
        let mut pod = Pod::new(callers.to_vec(), vips.clone());
        let (attack, tally, next) = (Arc::clone(&attack), Arc::clone(&tally), Arc::clone(&next));
        let goes_on = options.goes_on;
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                if number >= end || is_late || (!goes_on && tally.has_findings()) {
                    return Ok(());
                }
                tally.sends();
                let answer = pod.send(&attack.request(number)).await?;
                tally.answered(answer.status(), matches!(answer, Answered::Hung));
                attack.judge_answer(&tally, number, &answer);
            }
        });
    }
    let mut health = Health::default();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break,
                Some(ended) => ended.map_err(io::Error::other)??,
            },
            _ = tick.tick() => {
                let percent = progress(options.until, tally.sent(), begun);
                health.look(percent, waypoint.process())?;
            }
        }
    }
    // The requests that arrived last may not have been judged yet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    attack.judge_end(&tally);
    health.finish(waypoint.process())?;
    Ok(tally.report(health, begun.elapsed()))
}

/// Starts an origin without TLS, and gives its port.
async fn start_origin(attack: &Arc<dyn Attack>, tally: &Arc<Tally>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let (attack, tally) = (Arc::clone(attack), Arc::clone(tally));
    // It ends with the runtime.
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (attack, tally) = (Arc::clone(&attack), Arc::clone(&tally));
            drop(tokio::spawn(async move {
                let judge = |arrived: &Arrived, is_whole| {
                    tally.arrives(is_whole);
                    attack.judge_arrived(&tally, arrived, is_whole);
                };
                let _ = origin::http1(stream, "", judge).await;
            }));
        }
    }));
    Ok(port)
}

/// The waypoint of a way.
fn waypoint(
    way: Way,
    attack: &Arc<dyn Attack>,
    options: &Options,
    pki: &Arc<Pki>,
    port: u16,
) -> WaypointOptions {
    let mut configuration = attack.configuration();
    if !options.unmended.is_empty() {
        configuration["unmended"] = json!(options.unmended);
    }
    // A module that was chosen is taken for all ways; the shipped ones are two.
    let wasm = match way {
        Way::Bodies if options.wasm == filter_wasm() => bodies_wasm(),
        _ => options.wasm.clone(),
    };
    let hosts = attack.hosts();
    let mut asked = WaypointOptions::new(pki, port)
        .workers(2)
        .wasm(wasm)
        .plugin_configuration(configuration.to_string());
    for host in hosts {
        asked = asked.service(host);
    }
    attack.prepare(asked).edit(move |envoy| hosts.iter().for_each(|host| plain(envoy, host, port)))
}

/// Has the waypoint speak plain HTTP/1.1 to a service's origin, so that bytes are seen as they are.
fn plain(envoy: &mut Value, host: &str, port: u16) {
    let name = format!("inbound-vip|80|http|{host}");
    let clusters = envoy["static_resources"]["clusters"].as_array_mut();
    for cluster in clusters.into_iter().flatten().filter(|one| one["name"] == name.as_str()) {
        if let Some(fields) = cluster.as_object_mut() {
            fields.remove("transport_socket");
            fields.remove("typed_extension_protocol_options");
        }
        let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(port);
    }
}

/// The header by which the origin tells a request.
fn numbered(number: u64) -> Field {
    (super::request::NUMBER.into(), number.to_string().into_bytes())
}

/// A finding of a law.
fn finding(law: &'static str, rule: &'static str, reads: String, number: Option<u64>) -> Finding {
    Finding {
        rule,
        reader: law,
        reads,
        number,
        sent: String::new(),
        arrived: String::new(),
        after: 0,
        again: 0,
    }
}
