//! Envoys that are alive at once and asked in turn.

use std::time::Duration;

use super::envoys::{Running, Setup};
use super::statistics::quartiles;
use super::subject::{Asked, Contestants, Subject};
use super::{BenchError, Options, load, say};
use e2e::pki::TEAM_A_SPIFFE_ID;

/// The group of the workshop's policies.
pub(super) const WORKSHOP: &str = "workshop";
/// The group of policies among others.
pub(super) const NUMBERS: &str = "number of policies";

/// Which Envoys are measured together.
#[derive(Debug)]
pub(super) struct Plan {
    name: &'static str,
    /// The first is the one without a filter.
    subjects: Vec<Subject>,
    asked: &'static [Asked],
    rounds: usize,
}

/// The groups. What is compared in a bar is in one group, and each has its own Envoy without a
/// filter.
pub(super) fn plans(options: &Options) -> Vec<Plan> {
    let both: &[Asked] = &[Asked::Allowed, Asked::Denied];
    let workshop = vec![
        Subject::NoFilter,
        Subject::Empty,
        Subject::Floor,
        Subject::FloorBinding,
        Subject::WorkshopUnbound,
        Subject::Workshop,
        Subject::WorkshopDenied,
        Subject::WorkshopAll,
        Subject::Native(0),
        Subject::Tree(0),
        Subject::Lua(0),
    ];
    let few = |make: fn(usize) -> Subject, from: usize, to: usize| {
        options.others().into_iter().filter(move |others| (from..=to).contains(others)).map(make)
    };
    let mut flat = vec![Subject::NoFilter];
    flat.extend(few(Subject::Amid, 1, 10_000));
    flat.extend(few(Subject::Native, 1, 100));
    flat.extend([Subject::Native(150), Subject::Native(250), Subject::NativeHalfway(250)]);
    let mut peers = vec![Subject::NoFilter, Subject::Amid(1)];
    peers.extend(few(Subject::Native, 1_000, 10_000).chain(few(
        Subject::NativeHalfway,
        1_000,
        10_000,
    )));
    peers.extend(few(Subject::Tree, 1, 1).chain(few(Subject::Tree, options.most, options.most)));
    peers.extend(few(Subject::Lua, 1, 1).chain(few(Subject::Lua, 100, 10_000)));
    vec![
        Plan { name: WORKSHOP, subjects: workshop, asked: both, rounds: options.rounds },
        Plan { name: NUMBERS, subjects: flat, asked: &[Asked::Allowed], rounds: options.rounds },
        // No bar is about these.
        Plan {
            name: "number of policies, peers",
            subjects: peers,
            asked: &[Asked::Allowed],
            rounds: options.rounds.div_ceil(2),
        },
    ]
}

/// The measurements of the Envoys of one plan.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Row>,
    pub(super) rounds: usize,
}

/// The measurements of one Envoy with one kind of request.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) asked: Asked,
    /// Microseconds of processor time a request, one for each round.
    pub(super) samples: Vec<f64>,
    pub(super) requests: u64,
    pub(super) resident: u64,
    pub(super) start: Duration,
}

impl Group {
    pub(super) fn row(&self, subject: Subject, asked: Asked) -> Option<&Row> {
        self.rows.iter().find(|row| (row.subject, row.asked) == (subject, asked))
    }

    /// What a filter adds to none in each round: paired, so that a slow moment counts for both.
    pub(super) fn added(&self, row: &Row) -> Vec<f64> {
        let Some(none) = self.row(Subject::NoFilter, Asked::Allowed) else { return Vec::new() };
        row.samples.iter().zip(&none.samples).map(|(own, none)| own - none).collect()
    }

    /// Quartiles of how many times as much one adds as another, round by round.
    pub(super) fn ratio(&self, of: Subject, to: Subject, asked: Asked) -> Option<[f64; 3]> {
        let (of, to) = (self.added(self.row(of, asked)?), self.added(self.row(to, asked)?));
        Some(quartiles(&of.iter().zip(&to).map(|(of, to)| of / to).collect::<Vec<_>>()))
    }
}

/// Runs the rounds of a plan.
pub(super) async fn run(
    contestants: &Contestants,
    plan: &Plan,
    options: &Options,
) -> Result<Group, BenchError> {
    say(&format!("{}: {} Envoys", plan.name, plan.subjects.len()));
    let mut envoys = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for subject in &plan.subjects {
        let envoy = start(contestants, *subject).await?;
        for asked in plan.asked {
            if *asked == Asked::Allowed || subject.denies() {
                let row = Row {
                    subject: *subject,
                    asked: *asked,
                    samples: Vec::new(),
                    requests: 0,
                    resident: 0,
                    start: envoy.start,
                };
                rows.push(row);
            }
        }
        envoys.push((*subject, envoy));
    }
    for round in 0..=plan.rounds {
        for turn in 0..rows.len() {
            // Rotated, so that no Envoy always runs after the same neighbour.
            let at = (turn + round) % rows.len();
            let row = &mut rows[at];
            let Some((_, envoy)) = envoys.iter().find(|(subject, _)| *subject == row.subject)
            else {
                continue;
            };
            let before = envoy.processor_time()?;
            let requests = load::ask(
                envoy.address,
                row.asked.path(),
                row.subject.status(row.asked),
                options.round,
            )
            .await?;
            let used = envoy.processor_time()?.saturating_sub(before);
            // The first round warms up.
            if round > 0 {
                row.samples.push(used.as_secs_f64() * 1e6 / requests.max(1) as f64);
                row.requests += requests;
            }
        }
        eprint!("\rbench:   round {round} of {}", plan.rounds);
    }
    eprintln!();
    for row in &mut rows {
        if let Some((_, envoy)) = envoys.iter().find(|(subject, _)| *subject == row.subject) {
            row.resident = envoy.resident_bytes()?;
        }
    }
    Ok(Group { name: plan.name, rows, rounds: plan.rounds })
}

/// Starts an Envoy and checks that it does what it must, with a second one for another caller
/// meanwhile.
async fn start(contestants: &Contestants, subject: Subject) -> Result<Running, BenchError> {
    let name = subject.name();
    let filters = contestants.filters(subject)?;
    if subject.denies() && subject.others() <= 1 {
        let caller = "spiffe://cluster.local/ns/team-b/sa/team-b";
        let other = Running::start(&Setup {
            name: &name,
            filters: filters.clone(),
            caller,
            workers: 1,
            route: None,
            services: &[],
        })?;
        let response = load::check(other.address, "/zen").await?;
        BenchError::check(&name, "another caller", &403, &response.status)?;
    }
    let envoy = Running::start(&Setup {
        name: &name,
        filters,
        caller: TEAM_A_SPIFFE_ID,
        workers: 1,
        route: None,
        services: &[],
    })?;
    for path in [Asked::Allowed.path(), "/repos/x/y", Asked::Denied.path()] {
        let response = load::check(envoy.address, path).await?;
        let asked = if path == Asked::Denied.path() { Asked::Denied } else { Asked::Allowed };
        BenchError::check(&name, path, &subject.status(asked), &response.status)?;
        if response.status == 200 {
            let seen = ["x-seen-caller", "x-seen-forwarded", "x-seen-debug"]
                .map(|name| response.header(name).unwrap_or_default());
            let expected = if subject.denies() {
                ["team-a/team-a", "agentgateway-egress", ""]
            } else {
                ["spoofed/admin", "", "1"]
            };
            BenchError::check(
                &name,
                "the headers that the origin would see",
                &expected.map(str::to_owned),
                &seen,
            )?;
        }
    }
    Ok(envoy)
}
