//! What the filter costs, beside no filter, an empty one, the workshop's policy written by hand,
//! and what Envoy brings.
//!
//! Two kinds of figures: of the emulated host, the same in every run (instructions, host calls,
//! bytes, memory); and of real Envoys that are alive at once and asked in turn, round after round,
//! so that a disturbance of the machine affects all alike.

mod bars;
mod chart;
pub mod cost;
mod emulated;
mod envoys;
pub mod features;
mod guests;
pub mod index;
mod load;
mod loading;
mod peers;
mod policies;
pub mod profile;
mod proxied;
mod report;
mod rounds;
mod starts;
mod statistics;
mod subject;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::envoy::{StartError, filter_wasm, workspace_root};
use proxy_wasm_host::{HostError, Module};

pub use emulated::{Emulated, amid_many, of_the_record, of_the_workshop};
pub use guests::Guests;
pub use subject::{Asked, Subject};

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many rounds.
    pub rounds: usize,
    /// How long each Envoy is asked in a round.
    pub round: Duration,
    /// How many requests the guest's memory is watched over.
    pub endurance: u64,
    /// How many policies for others there are in the largest configuration.
    pub most: usize,
    /// Whether to write the figures into the documents too: `docs/benchmarks.md`.
    pub document: bool,
    /// An older module, whose starts and memory are measured in the same run.
    pub before: Option<PathBuf>,
}

impl Options {
    /// Few rounds, few requests, few policies: to see whether it works.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            rounds: 4,
            round: Duration::from_millis(100),
            endurance: 10_000,
            most: 1_000,
            document: false,
            before: None,
        }
    }

    /// The numbers of policies for others, of which none is for the request.
    fn others(&self) -> Vec<usize> {
        [1, 10, 100, 1_000, 10_000].into_iter().filter(|others| *others <= self.most).collect()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 30,
            round: Duration::from_millis(250),
            endurance: 100_000,
            most: 10_000,
            document: false,
            before: None,
        }
    }
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An Envoy did not start.
    #[error("`{name}`: {source}")]
    Start {
        /// The name of the Envoy.
        name: String,
        /// The reason.
        source: StartError,
    },
    /// A file, a process or a connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A filter does not run in the emulated host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A guest could not be built.
    #[error("a filter to compare with does not build: `{0}` failed")]
    Build(String),
    /// A contestant does not do what it must, so its figures would be of something else.
    #[error("`{name}`: {what}: expected {expected}, got {got}")]
    Wrong {
        /// Which contestant.
        name: String,
        /// What was looked at.
        what: String,
        /// What is expected.
        expected: String,
        /// What was seen.
        got: String,
    },
    /// Another step failed.
    #[error("{what}: {why}")]
    Other {
        /// What was tried.
        what: String,
        /// What went wrong.
        why: String,
    },
}

impl BenchError {
    fn other(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Other { what: what.to_owned(), why: why.to_string() }
    }

    /// Checks what a contestant did.
    fn check<T: PartialEq + std::fmt::Debug>(
        name: &str,
        what: &str,
        expected: &T,
        got: &T,
    ) -> Result<(), Self> {
        if expected == got {
            return Ok(());
        }
        Err(Self::Wrong {
            name: name.to_owned(),
            what: what.to_owned(),
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
        })
    }
}

/// Everything that was measured.
#[derive(Debug)]
struct Figures {
    /// The size of the filter's file in bytes.
    size: u64,
    emulated: Vec<Emulated>,
    /// Groups of interleaved Envoys.
    groups: Vec<rounds::Group>,
    updates: Vec<loading::Update>,
    memory: Vec<loading::Memory>,
    starts: Vec<starts::Start>,
    features: features::Figures,
    index: index::Index,
    proxied: Vec<proxied::Proxied>,
    worst: Vec<cost::limits::Worst>,
}

/// Measures, and returns the report, which is also in `target/bench/report.md`, and the path of
/// that folder.
///
/// # Errors
/// When an Envoy or a filter is missing, or one of them does not do what it must.
pub async fn run(options: &Options) -> Result<(String, PathBuf), BenchError> {
    let guests = Guests::build()?;
    let contestants = subject::Contestants::new(&guests, options)?;
    let size = std::fs::metadata(filter_wasm())?.len();
    say("in the emulated host");
    let emulated = emulated::measure(&contestants, options)?;
    let mut groups = Vec::new();
    for plan in rounds::plans(options) {
        groups.push(rounds::run(&contestants, &plan, options).await?);
    }
    say("updates");
    let updates = loading::updates(&contestants, &options.others()).await?;
    say("memory");
    let memory = loading::memory(&contestants, options.most).await?;
    let starts = starts::measure(&contestants, options).await?;
    let features = features::measure(options).await?;
    let proxied = proxied::measure(&contestants, options).await?;
    let index = index::measure()?;
    let worst = worst().await?;
    let figures = Figures {
        size,
        emulated,
        groups,
        updates,
        memory,
        starts,
        features,
        index,
        proxied,
        worst,
    };
    let text = report::render(
        options,
        &figures,
        &std::fs::read_to_string(documents().join("notes.md")).unwrap_or_default(),
    );
    let pictures = chart::all(&figures);
    let folder = workspace_root().join("target/bench");
    let report = linked(&text, "../../docs/", "");
    write(&folder.join("report.md"), &report, &folder, &pictures)?;
    if options.document {
        let text = linked(&text, "", "benchmarks/");
        write(&workspace_root().join("docs/benchmarks.md"), &text, &documents(), &pictures)?;
    }
    Ok((report, folder))
}

/// Measures only how long Envoys take to start, and what they hold resident: of the module, of one
/// that is empty, and of the older one of the options. Gives a line for each.
///
/// # Errors
/// When a guest cannot be built, or an Envoy does not do what it should.
pub async fn run_starts(options: &Options) -> Result<String, BenchError> {
    let guests = Guests::build()?;
    let contestants = subject::Contestants::new(&guests, options)?;
    let subjects = [subject::Subject::Empty, subject::Subject::WorkshopDenied];
    let mut lines = String::new();
    let starts = starts::measure_of(&contestants, &subjects, options.rounds).await?;
    for start in starts {
        let mut seconds = start.seconds;
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
        let least = seconds.first().copied().unwrap_or_default();
        let name = start.subject.name();
        lines += &format!("{name}: first answer after {median:.2} s, at least {least:.2} s\n");
    }
    for _ in 0..options.rounds.div_ceil(5) {
        for row in loading::memory_of(&contestants, &subjects).await? {
            let (one, further) = (row.one as f64 / 1e6, row.further / 1e6);
            let name = row.subject.name();
            lines += &format!("{name}: {one:.1} MB resident, {further:.1} for each worker more\n");
        }
    }
    Ok(lines)
}

/// The report with its links to other documents, and to its charts, as they are from its folder.
fn linked(text: &str, documents: &str, charts: &str) -> String {
    text.replace(report::DOCUMENT, &format!("]({documents}"))
        .replace(report::CHART, &format!("]({charts}"))
}

/// The dearest known requests, on a thread of their own: an Envoy is asked, which blocks.
async fn worst() -> Result<Vec<cost::limits::Worst>, BenchError> {
    say("the dearest requests");
    let module = Module::load(filter_wasm())?;
    let worst = tokio::task::spawn_blocking(move || cost::limits::worst(&module)).await;
    worst
        .map_err(|error| BenchError::other("the dearest requests", error))?
        .map_err(|error| BenchError::other("the dearest requests", error))
}

/// Measures the features alone, and returns their section of the report.
///
/// # Errors
/// When Envoy or the filter is missing, or a feature does not do what it must.
pub async fn run_features(options: &Options) -> Result<String, BenchError> {
    let section = features::render(options, &features::measure(options).await?);
    if options.document {
        let path = workspace_root().join("docs/benchmarks.md");
        let page = std::fs::read_to_string(&path)?;
        std::fs::write(&path, features::documented(&page, &section))?;
    }
    Ok(section)
}

/// Where the documents' charts are, and `notes.md`, which is written by hand and becomes part of
/// every report.
fn documents() -> PathBuf {
    workspace_root().join("docs/benchmarks")
}

fn write(
    report: &Path,
    text: &str,
    folder: &Path,
    pictures: &[(&'static str, String)],
) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, picture) in pictures {
        std::fs::write(folder.join(name), picture)?;
    }
    std::fs::write(report, text)
}

/// Reports progress on the terminal.
fn say(what: &str) {
    eprintln!("bench: {what}");
}
