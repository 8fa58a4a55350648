//! How long it takes from an Envoy's start to its first answer.

use std::time::Instant;

use super::envoys::{Running, Setup};
use super::subject::{Asked, Contestants, Subject};
use super::{BenchError, Options, load, say};
use e2e::pki::TEAM_A_SPIFFE_ID;

/// The starts of one contestant.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) subject: Subject,
    /// Seconds from the start of the process to the first answer, one for each start.
    pub(super) seconds: Vec<f64>,
}

/// Starts Envoys in turn, one at a time.
pub(super) async fn measure(
    contestants: &Contestants,
    options: &Options,
) -> Result<Vec<Start>, BenchError> {
    say("starts");
    let subjects =
        [Subject::NoFilter, Subject::Empty, Subject::FloorBinding, Subject::WorkshopDenied];
    // As many starts as take some twenty seconds.
    measure_of(contestants, &subjects, options.rounds.div_ceil(5)).await
}

/// Starts an Envoy of each of these, and of the older module if there is one, so many times.
pub(super) async fn measure_of(
    contestants: &Contestants,
    subjects: &[Subject],
    times: usize,
) -> Result<Vec<Start>, BenchError> {
    let start = |subject| Start { subject, seconds: Vec::new() };
    let subjects = subjects.iter().copied().chain(contestants.before());
    let mut starts: Vec<Start> = subjects.map(start).collect();
    for _ in 0..times {
        for start in &mut starts {
            let name = start.subject.name();
            let setup = Setup {
                name: &name,
                filters: contestants.filters(start.subject)?,
                caller: TEAM_A_SPIFFE_ID,
                workers: 1,
                route: None,
                services: &[],
            };
            let begin = Instant::now();
            let envoy = Running::start(&setup)?;
            let response = load::check(envoy.address, Asked::Allowed.path()).await?;
            start.seconds.push(begin.elapsed().as_secs_f64());
            BenchError::check(&name, "status", &200, &response.status)?;
        }
    }
    Ok(starts)
}
