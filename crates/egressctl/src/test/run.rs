//! Runs cases and collects their results.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use egress_filter::config::{Config, IdentityConfig};
use egress_filter::coverage::{self, Part, RuleResult};
use egress_filter::policy::Engine;
use egress_filter::request::SharedData;
use egress_filter::suggest::did_you_mean;
use egress_filter::trial::{Service, Trial, Tried};

use super::coverage::Coverage;
use crate::cases::load::{Configurations, Loaded, engine};
use crate::cases::{self, Caller, Case, Fact, File, Layer, Step, Suite, Update, Verdict};

/// The results of all cases of the files.
#[derive(Debug)]
pub(crate) struct Results<'f> {
    pub(crate) cases: Vec<Ran<'f>>,
    /// Cases that the filter left out.
    pub(crate) left_out: usize,
    /// Cases that are run behind a proxy only.
    pub(crate) behind_proxy: usize,
    /// Cases whose policies do not load.
    pub(crate) not_run: Vec<(&'f File, &'f Suite, usize)>,
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) took: Duration,
}

/// A case that was run, or a step of one.
#[derive(Debug)]
pub(crate) struct Ran<'f> {
    pub(crate) file: &'f File,
    pub(crate) suite: &'f Suite,
    pub(crate) step: &'f Step,
    /// The case's name, and where it has several steps, the step's number.
    pub(crate) name: String,
    /// The line of the case's name.
    pub(crate) line: usize,
    /// The index of its configuration; `None` behind an update that replaced it.
    pub(crate) configuration: Option<usize>,
    /// The files of its policies.
    pub(crate) policies: &'f str,
    pub(crate) facts: Vec<Fact>,
    pub(crate) tried: Tried,
    /// What the requests of the case have shared before.
    pub(crate) shared: SharedData,
    /// How much time has passed in the case.
    pub(crate) now: Duration,
    /// The services as they were when the request came.
    pub(crate) services: Vec<Service>,
    /// The status that the caller sees.
    pub(crate) status: Option<u16>,
    /// Remarks that help to find the cause.
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

/// Runs the cases whose names contain one of these words, or all cases where there are no words.
pub(crate) fn run<'f>(
    files: &'f [File],
    configurations: &'f Configurations,
    wanted: &[String],
) -> Results<'f> {
    let began = Instant::now();
    let all = configurations.all.iter().enumerate();
    let coverage = all.map(|(index, loaded)| Coverage::new(index, loaded)).collect();
    let mut results = Results {
        cases: Vec::new(),
        left_out: 0,
        behind_proxy: 0,
        not_run: Vec::new(),
        coverage,
        took: Duration::ZERO,
    };
    for (file_index, file) in files.iter().enumerate() {
        for (suite_index, suite) in file.suites.iter().enumerate() {
            let Some((index, loaded)) = configurations.of(file_index, suite_index) else {
                continue;
            };
            let is_wanted = |case: &&Case| {
                wanted.is_empty() || wanted.iter().any(|word| case.name.contains(word))
            };
            let chosen: Vec<&Case> = suite.cases.iter().filter(is_wanted).collect();
            let left_out = suite.cases.len().saturating_sub(chosen.len());
            results.left_out = results.left_out.saturating_add(left_out);
            let is_here = |case: &&Case| case.layers.contains(&Layer::Engine);
            let (here, elsewhere): (Vec<&Case>, Vec<&Case>) = chosen.into_iter().partition(is_here);
            results.behind_proxy = results.behind_proxy.saturating_add(elsewhere.len());
            if loaded.engine.is_some() {
                for case in here {
                    Running { file, suite, case, index, loaded }.run(&mut results);
                }
            } else if !here.is_empty() {
                results.not_run.push((file, suite, here.len()));
            }
        }
    }
    results.coverage.retain(|coverage| coverage.cases > 0);
    results.took = began.elapsed();
    results
}

/// A case that is being run.
#[derive(Clone, Copy)]
struct Running<'f> {
    file: &'f File,
    suite: &'f Suite,
    case: &'f Case,
    /// The index of the suite's configuration.
    index: usize,
    loaded: &'f Loaded,
}

impl<'f> Running<'f> {
    /// Runs the steps, one after another.
    fn run(self, results: &mut Results<'f>) {
        let mut update: Option<(Engine, IdentityConfig)> = None;
        let mut counters = BTreeMap::new();
        // Each case begins with limits that nobody has used.
        let (shared, mut now) = (SharedData::default(), Duration::ZERO);
        let mut calls = BTreeMap::new();
        for (number, step) in (1_usize..).zip(&self.case.steps) {
            let accepted = step.update.as_ref().map(|wanted| {
                let loaded = updated(wanted, self.loaded);
                let accepted = loaded.is_some();
                update = loaded.or(update.take());
                Fact::new("update", wanted.accepted, accepted)
            });
            let (engine, identity) = match (&update, &self.loaded.engine) {
                (Some((engine, identity)), _) => (engine, identity),
                (None, Some(engine)) => (engine, &self.loaded.identity),
                (None, None) => return,
            };
            let began = Instant::now();
            now = now.saturating_add(step.after);
            let services = self.case.services_after(&calls);
            let trial = Trial { now, services, ..step.trial(identity) };
            let before = shared.clone();
            let tried = trial.run_with(engine, &shared);
            let took = began.elapsed();
            cases::add_calls(&mut calls, &tried.calls);
            let parts = coverage::parts(engine, &trial);
            let configuration = update.is_none().then_some(self.index);
            if let Some(coverage) = configuration.and_then(|i| results.coverage.get_mut(i)) {
                coverage.count(&parts, &tried);
            }
            let seen = cases::observed(step, &tried);
            for (name, count) in seen.counters.iter().flatten() {
                let sum: &mut u64 = counters.entry(name.clone()).or_insert(0);
                *sum = sum.saturating_add(*count);
            }
            let mut facts = cases::compare(step, &seen);
            facts.extend(accepted);
            results.cases.push(Ran {
                file: self.file,
                suite: self.suite,
                step,
                name: match self.case.steps.len() {
                    1 => self.case.name.clone(),
                    _ => format!("{}, step {number}", self.case.name),
                },
                line: self.file.source.line_and_column(self.case.span.start).0,
                configuration,
                policies: &self.loaded.label,
                facts,
                status: seen.status,
                notes: notes(engine, step, &trial, &tried, &parts),
                tried,
                shared: before,
                now,
                services: trial.services.clone(),
                took,
            });
        }
        if let Some(ran) = results.cases.last_mut() {
            ran.facts.extend(cases::compare_counters(&self.case.counters, &counters));
        }
    }
}

/// The configuration of an update, if it loads.
fn updated(update: &Update, loaded: &Loaded) -> Option<(Engine, IdentityConfig)> {
    let json = update.config.to_string();
    let engine = engine(&json, &loaded.environment).ok()?;
    let config = Config::parse(json.as_bytes()).ok()?;
    Some((engine, config.identity))
}

/// The most policies that are named in a note.
const MAX_NAMED: usize = 8;

fn notes(
    engine: &Engine,
    step: &Step,
    trial: &Trial,
    tried: &Tried,
    parts: &[Part],
) -> Vec<String> {
    let mut notes = Vec::new();
    let names = || (0..engine.policy_count()).filter_map(|index| engine.policy_name(index));
    if tried.reason == egress_filter::decision::Reason::NoAllowMatched {
        let allows: Vec<&str> = coverage::outlines(engine)
            .enumerate()
            .filter(|(index, outline)| {
                outline.enforces_allow()
                    && parts
                        .iter()
                        .any(|part| part.policy == *index && part.rule != Some(RuleResult::Matches))
            })
            .map(|(_, outline)| outline.name)
            .collect();
        let shown: Vec<String> =
            allows.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
        let more = allows.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notes.push(format!("of the Allows in scope none matched: {}{more}", shown.join(", ")));
    }
    let facts_of_caller = trial.with_facts(|facts| {
        let caller = engine.caller(facts);
        (caller.rejected().map(str::to_owned), caller.spiffe_id().is_some(), caller.is_workload())
    });
    match facts_of_caller {
        (Some(rejected), _, _) => notes.push(format!(
            "`{rejected}` is of none of the configuration's `trustDomains`, so \
                the caller has no identity"
        )),
        (None, false, _) if step.caller != Caller::Anonymous => {
            notes.push(format!("`{}` is no SPIFFE ID, so the caller has no identity", step.caller))
        }
        (None, true, false) => notes.push(format!(
            "`{}` is no workload's SPIFFE ID, so the caller \
            has no `source.identity`",
            step.caller
        )),
        _ => {}
    }
    if tried.reason == egress_filter::decision::Reason::HostMismatch {
        let service = trial.service.as_deref().unwrap_or_default();
        notes.push(format!("the caller dialled `{service}` and named `{}`", trial.authority));
    }
    if let Some(detail) = tried.detail {
        notes.push(detail.to_owned());
    }
    notes.extend(
        tried
            .errors
            .iter()
            .map(|(policy, message)| format!("policy `{policy}`: evaluation error: {message}")),
    );
    let expected = step
        .expect
        .policy
        .iter()
        .flatten()
        .chain(step.expect.shadow.iter().flatten())
        .chain(step.expect.errors.iter().flatten());
    for policy in expected {
        if !names().any(|name| name == policy) {
            notes.push(format!("there is no policy `{policy}`{}", did_you_mean(policy, names())));
        }
    }
    notes
}

pub(crate) fn verdict(tried: &Tried) -> Verdict {
    tried.reason.verdict()
}

/// The decision in one line: `denied with 403 by `github-api-paths`: deny-matched`.
pub(crate) fn decision(tried: &Tried) -> String {
    let verdict = match (&tried.denial, tried.reason.verdict()) {
        (Some(reply), Verdict::Answer) => format!("answered with {}", reply.status),
        (Some(reply), _) => format!("denied with {}", reply.status),
        (None, _) => "allowed".to_owned(),
    };
    let by = tried.policy.as_ref().map(|policy| format!(" by `{policy}`")).unwrap_or_default();
    format!("{verdict}{by}: {}", tried.reason.as_str())
}

/// The request as one line.
pub(crate) fn request(step: &Step) -> String {
    let request = &step.request;
    let host = request.host.as_deref().unwrap_or_default();
    visible(&format!("{} http://{host}{}", request.method, request.path))
}

/// A text of a file of cases on one line, without control characters.
pub(crate) fn visible(text: &str) -> String {
    let shown =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}
