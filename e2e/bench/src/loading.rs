//! How long a configuration takes until it is in force, and what a worker costs in memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::envoys::{MAIN, Running, Setup};
use super::policies::{Audit, Shape};
use super::subject::{Asked, Contestants, Subject};
use super::{BenchError, load};
use e2e::ecds::PluginFile;
use e2e::envoy::filter_wasm;
use e2e::pki::TEAM_A_SPIFFE_ID;

/// How many workers take an update.
pub(super) const WORKERS: u32 = 2;

/// One update of the filter's configuration in a running Envoy.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) others: usize,
    /// The size of the configuration in bytes.
    pub(super) size: usize,
    /// From the file's change until every worker answered by the new configuration.
    pub(super) wall: Duration,
    /// Processor time of the main thread, and of each worker, meanwhile.
    pub(super) main: Duration,
    pub(super) workers: Vec<Duration>,
}

/// Updates an Envoy from the workshop's policies to ever more.
pub(super) async fn updates(
    contestants: &Contestants,
    others: &[usize],
) -> Result<Vec<Update>, BenchError> {
    let quiet = contestants.workshop.audit(Audit::None);
    let mut file =
        PluginFile::new(&filter_wasm()).map_err(|error| BenchError::other("envoy.yaml", error))?;
    file.publish(&quiet.text())?;
    let filter = file.filter();
    let envoy = Running::start(&Setup {
        name: "updates",
        filters: vec![filter],
        caller: TEAM_A_SPIFFE_ID,
        workers: WORKERS,
        route: None,
        services: &[],
    })?;
    // The first update of all finds a VM that has never loaded anything but the workshop's, so it
    // is not counted.
    let mut updates = Vec::new();
    for (number, others) in std::iter::once(&1).chain(others).enumerate() {
        let marker = format!("/repos/marker-{number}");
        await_status(&envoy, &marker, 200).await?;
        let text = quiet
            .amid(Shape::Mixed, *others)
            .denying("marker", &format!(r#"request.path == "{marker}""#))
            .text();
        let size = text.len();
        let (threads, begin) = (by_name(&envoy)?, Instant::now());
        file.publish(&text)?;
        await_status(&envoy, &marker, 403).await?;
        let wall = begin.elapsed();
        let used: BTreeMap<String, Duration> = by_name(&envoy)?
            .into_iter()
            .map(|(name, time)| {
                (name.clone(), time.saturating_sub(threads.get(&name).copied().unwrap_or_default()))
            })
            .collect();
        if number > 0 {
            updates.push(Update {
                others: *others,
                size,
                wall,
                main: used.get(MAIN).copied().unwrap_or_default(),
                workers: used
                    .iter()
                    .filter(|(name, _)| name.starts_with("wrk:worker_"))
                    .map(|(_, time)| *time)
                    .collect(),
            });
        }
    }
    Ok(updates)
}

/// The processor time of each thread; those of one name together.
fn by_name(envoy: &Running) -> Result<BTreeMap<String, Duration>, BenchError> {
    let mut threads: BTreeMap<String, Duration> = BTreeMap::new();
    for (name, time) in envoy.threads()? {
        *threads.entry(name).or_default() += time;
    }
    Ok(threads)
}

/// Waits until new connections, of which each worker gets some, are all answered with this status.
async fn await_status(envoy: &Running, path: &str, status: u16) -> Result<(), BenchError> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let mut right = 0;
        while right < 12 && load::check(envoy.address, path).await?.status == status {
            right += 1;
        }
        if right == 12 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let log = envoy.log_lines();
            let end = log.iter().rev().take(5).cloned().collect::<Vec<_>>().join(" | ");
            return Err(BenchError::other("an update was not in force within two minutes", end));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What an Envoy holds resident.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) subject: Subject,
    /// With one worker, in bytes.
    pub(super) one: u64,
    /// What each further worker takes.
    pub(super) further: f64,
}

/// Measures resident memory after some requests to each worker, with one worker and with three.
pub(super) async fn memory(
    contestants: &Contestants,
    most: usize,
) -> Result<Vec<Memory>, BenchError> {
    let subjects = [
        Subject::NoFilter,
        Subject::Empty,
        Subject::FloorBinding,
        Subject::WorkshopDenied,
        Subject::Amid(most),
        Subject::Native(most),
        Subject::Lua(most),
    ];
    memory_of(contestants, &subjects).await
}

/// What Envoys hold resident with each of these, and with the older module if there is one.
pub(super) async fn memory_of(
    contestants: &Contestants,
    subjects: &[Subject],
) -> Result<Vec<Memory>, BenchError> {
    let mut rows = Vec::new();
    for subject in subjects.iter().copied().chain(contestants.before()) {
        let mut resident = [0_u64; 2];
        for (workers, resident) in [1, 3].into_iter().zip(&mut resident) {
            let name = subject.name();
            let setup = Setup {
                name: &name,
                filters: contestants.filters(subject)?,
                caller: TEAM_A_SPIFFE_ID,
                workers,
                route: None,
                services: &[],
            };
            let envoy = Running::start(&setup)?;
            for _ in 0..4 {
                load::ask(envoy.address, Asked::Allowed.path(), 200, Duration::from_millis(100))
                    .await?;
            }
            settle(&envoy).await?;
            *resident = envoy.resident_bytes()?;
        }
        rows.push(Memory {
            subject,
            one: resident[0],
            further: (resident[1] as f64 - resident[0] as f64) / 2.0,
        });
    }
    Ok(rows)
}

/// How long an Envoy is watched to see whether it does anything.
const WATCHED: Duration = Duration::from_millis(200);

/// Waits until an Envoy does nothing, or for some seconds: as long as V8 compiles, it holds more.
async fn settle(envoy: &Running) -> Result<(), BenchError> {
    for _ in 0..30 {
        let before = envoy.processor_time()?;
        tokio::time::sleep(WATCHED).await;
        if envoy.processor_time()?.saturating_sub(before) < WATCHED / 20 {
            break;
        }
    }
    Ok(())
}
