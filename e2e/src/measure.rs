//! What filters add to Envoy's processor time per request: several Envoys alive at once, asked in turn, round after round,
//! so that what disturbs the machine disturbs all of them alike.

mod contestant;
mod load;
mod report;
mod steps;

use std::io;
use std::time::Duration;

use crate::envoy::{StartError, workspace_root};
use crate::host::HostError;

use report::Row;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many rounds.
    pub rounds: usize,
    /// How long each Envoy is asked in a round.
    pub round: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 25, round: Duration::from_secs(1) }
    }
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// An Envoy did not start.
    #[error("`{name}`: {source}")]
    Start {
        /// Which.
        name: &'static str,
        /// Why.
        source: StartError,
    },
    /// A file, a process or a connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The filter does not run in the emulated host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The empty filter could not be built.
    #[error("the empty filter does not build: `{0}` failed")]
    Build(String),
    /// An Envoy answers with another status than it must: its figures would be of something else.
    #[error("`{name}` answers {got} where it must answer {expected}")]
    Status {
        /// Which.
        name: &'static str,
        /// The right status.
        expected: u16,
        /// What came.
        got: u16,
    },
    /// The filter refuses the configuration in the emulated host.
    #[error("the workshop's configuration is refused: {0}")]
    Refused(String),
}

/// Measures, and gives the report, which is also in `target/measure/report.md`.
///
/// # Errors
/// When an Envoy or a filter is missing, or one of them does not answer as it must.
pub async fn run(options: &Options) -> Result<String, MeasureError> {
    let contestants = contestant::start_all().await?;
    let mut rows: Vec<Row> = contestants.iter().map(|contestant| Row::new(contestant.series.name)).collect();
    for round in 0..options.rounds + 1 {
        for turn in 0..contestants.len() {
            // Rotated: nobody always runs behind the same neighbour.
            let index = (turn + round) % contestants.len();
            let (contestant, row) = (&contestants[index], &mut rows[index]);
            let before = contestant.processor_time()?;
            let requests = load::ask(contestant.address, contestant.series, options.round).await?;
            let used = contestant.processor_time()?.saturating_sub(before);
            // The first round warms up.
            if round > 0 {
                row.samples.push(used.as_secs_f64() * 1e6 / requests as f64);
                row.requests += requests;
            }
        }
        eprint!("\rround {round} of {}", options.rounds);
    }
    eprintln!();
    for (contestant, row) in contestants.iter().zip(&mut rows) {
        row.resident = contestant.waypoint.resident_bytes()?;
        row.start = contestant.start;
    }
    let text = report::render(options, &rows, &steps::of_the_workshop()?);
    let folder = workspace_root().join("target/measure");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("report.md"), &text)?;
    Ok(text)
}

/// The workshop's configuration as `envoy.yaml` has it, with another audit log.
fn workshop(audit: &str) -> Result<String, MeasureError> {
    let load = || {
        let mut configuration = crate::envoy::Configuration::load(&workspace_root().join("envoy.yaml"))?;
        configuration.plugin_configuration()
    };
    let text = load().map_err(|error| io::Error::other(error.to_string()))?;
    let mut json: serde_json::Value = serde_json::from_str(&text).map_err(io::Error::other)?;
    json["audit"] = serde_json::json!({ "log": audit });
    Ok(json.to_string())
}
