//! Runs cases, and keeps what came of them.

use std::time::{Duration, Instant};

use egress_filter::policy::Engine;
use egress_filter::policy::coverage::{Part, Said};
use egress_filter::suggest::did_you_mean;
use egress_filter::trial::Tried;

use super::coverage::Coverage;
use crate::cases::compare::{self, Fact};
use crate::cases::load::Configurations;
use crate::cases::model::{Case, File, Suite, Verdict};

/// What came of all cases of the files.
#[derive(Debug)]
pub(crate) struct Results<'f> {
    pub(crate) cases: Vec<Ran<'f>>,
    /// Cases that the filter left out.
    pub(crate) left_out: usize,
    /// Cases whose policies do not load.
    pub(crate) not_run: Vec<(&'f File, &'f Suite, usize)>,
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) took: Duration,
}

/// A case that was run.
#[derive(Debug)]
pub(crate) struct Ran<'f> {
    pub(crate) file: &'f File,
    pub(crate) suite: &'f Suite,
    pub(crate) case: &'f Case,
    /// The line of its name.
    pub(crate) line: usize,
    /// The index of its configuration.
    pub(crate) configuration: usize,
    /// The files of its policies.
    pub(crate) policies: &'f str,
    pub(crate) facts: Vec<Fact>,
    pub(crate) tried: Tried,
    /// What helps to see why, in sentences.
    pub(crate) notes: Vec<String>,
    pub(crate) took: Duration,
}

impl Ran<'_> {
    pub(crate) fn passed(&self) -> bool {
        self.facts.iter().all(|fact| fact.holds)
    }
}

impl Results<'_> {
    pub(crate) fn passed(&self) -> usize {
        self.cases.iter().filter(|ran| ran.passed()).count()
    }

    pub(crate) fn failed(&self) -> impl Iterator<Item = &Ran<'_>> {
        self.cases.iter().filter(|ran| !ran.passed())
    }
}

/// Runs the cases whose names have one of these words in them; all, if there are none.
pub(crate) fn run<'f>(
    files: &'f [File],
    configurations: &'f Configurations,
    wanted: &[String],
) -> Results<'f> {
    let began = Instant::now();
    let mut coverage: Vec<Coverage> = configurations
        .all
        .iter()
        .enumerate()
        .map(|(index, loaded)| Coverage::new(index, loaded))
        .collect();
    let (mut cases, mut not_run, mut left_out) = (Vec::new(), Vec::new(), 0_usize);
    for (file_index, file) in files.iter().enumerate() {
        for (suite_index, suite) in file.suites.iter().enumerate() {
            let Some((index, loaded)) = configurations.of(file_index, suite_index) else {
                continue;
            };
            let is_wanted = |case: &&Case| {
                wanted.is_empty() || wanted.iter().any(|word| case.name.contains(word))
            };
            let chosen: Vec<&Case> = suite.cases.iter().filter(is_wanted).collect();
            left_out = left_out.saturating_add(suite.cases.len().saturating_sub(chosen.len()));
            let Some(engine) = &loaded.engine else {
                if !chosen.is_empty() {
                    not_run.push((file, suite, chosen.len()));
                }
                continue;
            };
            for case in chosen {
                let began = Instant::now();
                let tried = case.trial.run(engine);
                let took = began.elapsed();
                let parts = case
                    .trial
                    .with_facts(|facts| engine.parts(facts, &case.trial.response_headers()));
                if let Some(coverage) = coverage.get_mut(index) {
                    coverage.count(&parts, &tried);
                }
                let facts = compare::compare(&case.expect, &tried);
                let notes = notes(engine, case, &tried, &parts);
                let (line, _) = file.source.line_and_column(case.span.start);
                cases.push(Ran {
                    file,
                    suite,
                    case,
                    line,
                    configuration: index,
                    policies: &loaded.label,
                    facts,
                    tried,
                    notes,
                    took,
                });
            }
        }
    }
    coverage.retain(|coverage| coverage.cases > 0);
    Results { cases, left_out, not_run, coverage, took: began.elapsed() }
}

/// The most policies that are named in a note.
const MAX_NAMED: usize = 8;

fn notes(engine: &Engine, case: &Case, tried: &Tried, parts: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    let names = || (0..engine.policy_count()).filter_map(|index| engine.policy_name(index));
    if tried.reason == egress_filter::outcome::Reason::NoAllowMatched {
        let allows: Vec<&str> = engine
            .outlines()
            .enumerate()
            .filter(|(index, outline)| {
                outline.enforces_allow()
                    && parts
                        .iter()
                        .any(|part| part.policy == *index && part.rule != Some(Said::Matched))
            })
            .map(|(_, outline)| outline.name)
            .collect();
        let shown: Vec<String> =
            allows.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
        let more = allows.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notes.push(format!("of the Allows in scope none matched: {}{more}", shown.join(", ")));
    }
    let facts_of_caller = case.trial.with_facts(|facts| {
        let caller = engine.caller(facts);
        (caller.rejected().map(str::to_owned), caller.spiffe_id().is_some(), caller.is_workload())
    });
    match facts_of_caller {
        (Some(rejected), _, _) => {
            notes.push(format!("`{rejected}` is of none of the configuration's `trustDomains`, so the caller has no identity"))
        }
        (None, false, _) if case.caller != "none" => {
            notes.push(format!("`{}` is no SPIFFE ID, so the caller has no identity", case.caller))
        }
        (None, true, false) => notes.push(format!("`{}` is no workload's SPIFFE ID, so the caller has no `source.identity`", case.caller)),
        _ => {}
    }
    if tried.reason == egress_filter::outcome::Reason::HostMismatch {
        let service = case.trial.service.as_deref().unwrap_or_default();
        notes.push(format!("the caller dialled `{service}` and named `{}`", case.trial.authority));
    }
    if let Some(detail) = tried.denial.and_then(|denial| denial.detail) {
        notes.push(detail.to_owned());
    }
    notes.extend(
        tried
            .errors
            .iter()
            .map(|(policy, message)| format!("policy `{policy}`: evaluation error: {message}")),
    );
    let expected = case
        .expect
        .policy
        .iter()
        .flatten()
        .chain(case.expect.shadow.iter().flatten())
        .chain(case.expect.errors.iter().flatten());
    for policy in expected {
        if !names().any(|name| name == policy) {
            notes.push(format!("there is no policy `{policy}`{}", did_you_mean(policy, names())));
        }
    }
    notes
}

/// What was decided, in a line: `denied with 403 by `github-api-paths`: deny-matched`.
pub(crate) fn decision(tried: &Tried) -> String {
    let verdict = match (compare::verdict(tried), tried.denial) {
        (Verdict::Deny, Some(denial)) => format!("denied with {}", denial.status),
        _ => "allowed".to_owned(),
    };
    let by = tried.policy.as_ref().map(|policy| format!(" by `{policy}`")).unwrap_or_default();
    format!("{verdict}{by}: {}", tried.reason.as_str())
}

/// The request as one line.
pub(crate) fn request(case: &Case) -> String {
    let trial = &case.trial;
    visible(&format!("{} http://{}{}", trial.method, trial.authority, trial.path))
}

/// A text of a file of cases on one line, and nothing in it that a terminal would obey.
pub(crate) fn visible(text: &str) -> String {
    let shown =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}
