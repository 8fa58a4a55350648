//! Drives a layer through suites of cases.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use egressctl::cases::{
    Case, Fact, Layer, Observed, Step, Suite, Update, Verdict, compare, compare_counters,
};
use serde_json::json;

/// A layer that cases can run in.
pub trait Runner {
    /// Which layer it is.
    fn layer(&self) -> Layer;

    /// Starts a filter that has served no request, with the configuration of a suite, for these
    /// cases of it.
    ///
    /// # Errors
    /// If the configuration is refused, with what was logged, or if a case needs what the layer
    /// does not have.
    fn start(&mut self, suite: &Suite, cases: &[&Case]) -> Result<(), String>;

    /// Delivers another configuration to the running filter, and returns whether it was accepted.
    ///
    /// # Errors
    /// If that does not become known.
    fn update(&mut self, update: &Update) -> Result<bool, String>;

    /// Moves the clock forward.
    ///
    /// # Errors
    /// If the layer's clock cannot be moved so far.
    fn advance(&mut self, time: Duration) -> Result<(), String>;

    /// Sends the request of a step.
    ///
    /// # Errors
    /// If there is nothing to compare: a trap, a request that hangs, a connection that breaks.
    fn run(&mut self, suite: &Suite, case: &Case, step: &Step) -> Result<Observed, String>;
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The file, without its folder.
    pub file: String,
    /// The case's name, with the number of the step where there are several.
    pub case: String,
    /// Where it ran.
    pub layer: Layer,
    /// What differs: `status`, `headers.x-tag`, ...
    pub field: String,
    /// What the file says.
    pub expected: String,
    /// What the layer saw.
    pub got: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, case, layer, field, expected, got } = self;
        write!(f, "{file}: `{case}` ({layer:?}): {field}: expected {expected}, got {got}")
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many cases ran.
    pub cases: usize,
    /// Everything that differs, in all of them.
    pub mismatches: Vec<Mismatch>,
}

impl Report {
    /// Checks that cases ran and nothing differs.
    ///
    /// # Panics
    /// If not, with everything that differs, a line each.
    pub fn assert_ok(&self) {
        assert!(self.cases > 0, "no case of any suite runs in this layer");
        let lines: Vec<String> = self.mismatches.iter().map(ToString::to_string).collect();
        assert!(
            lines.is_empty(),
            "{} mismatches in {} cases:\n{}",
            lines.len(),
            self.cases,
            lines.join("\n")
        );
    }
}

/// Runs every case that names the runner's layer.
pub fn run(suites: &[Suite], runner: &mut dyn Runner) -> Report {
    let mut report = Report::default();
    for suite in suites {
        let mut running = Running { suite, runner: &mut *runner, report: &mut report };
        running.suite();
    }
    report
}

/// A suite that is being run.
struct Running<'r> {
    suite: &'r Suite,
    runner: &'r mut dyn Runner,
    report: &'r mut Report,
}

impl Running<'_> {
    fn suite(&mut self) {
        let layer = self.runner.layer();
        let here = self.suite.cases.iter().filter(|case| case.layers.contains(&layer));
        // The cases without steps of their own share a filter.
        let (own, shared): (Vec<&Case>, Vec<&Case>) = here.partition(|case| case.fresh);
        if !shared.is_empty() && self.start(&shared, "all cases") {
            shared.into_iter().for_each(|case| self.case(case));
        }
        for case in own {
            if self.start(&[case], &case.name) {
                self.case(case);
            }
        }
    }

    /// Whether the filter has started.
    fn start(&mut self, cases: &[&Case], name: &str) -> bool {
        let started = self.runner.start(self.suite, cases);
        if let Err(got) = &started {
            self.report.cases += 1;
            self.broken(name, "configuration", got.clone());
        }
        started.is_ok()
    }

    fn case(&mut self, case: &Case) {
        self.report.cases += 1;
        let mut counters: Option<BTreeMap<String, u64>> = Some(BTreeMap::new());
        for (number, step) in (1..).zip(&case.steps) {
            let name = match case.steps.len() {
                1 => case.name.clone(),
                _ => format!("{}, step {number}", case.name),
            };
            match self.step(case, step) {
                Ok((facts, seen)) => {
                    self.differ(&name, facts);
                    counters = counters.zip(seen.counters).map(|(mut sum, more)| {
                        more.into_iter().for_each(|(name, count)| {
                            *sum.entry(name).or_default() += count;
                        });
                        sum
                    });
                }
                // What comes later would differ for this reason.
                Err(got) => return self.broken(&name, "run", got),
            }
        }
        if let Some(counters) = counters {
            self.differ(&case.name, compare_counters(&case.counters, &counters));
        }
    }

    fn step(&mut self, case: &Case, step: &Step) -> Result<(Vec<Fact>, Observed), String> {
        let mut facts = Vec::new();
        if let Some(update) = &step.update {
            facts.push(Fact::new("update", update.accepted, self.runner.update(update)?));
        }
        if !step.after.is_zero() {
            self.runner.advance(step.after)?;
        }
        let seen = self.runner.run(self.suite, case, step)?;
        facts.extend(compare(step, &seen));
        facts.extend(refused(step, &seen));
        Ok((facts, seen))
    }

    fn differ(&mut self, case: &str, facts: Vec<Fact>) {
        let differing = facts.into_iter().filter(|fact| !fact.holds);
        let mismatches = differing.map(|fact| Mismatch {
            file: file_name(&self.suite.file),
            case: case.to_owned(),
            layer: self.runner.layer(),
            field: fact.path(),
            expected: fact.expected.to_string(),
            got: fact.got.to_string(),
        });
        self.report.mismatches.extend(mismatches);
    }

    fn broken(&mut self, case: &str, field: &str, got: String) {
        self.report.mismatches.push(Mismatch {
            file: file_name(&self.suite.file),
            case: case.to_owned(),
            layer: self.runner.layer(),
            field: field.to_owned(),
            expected: "success".to_owned(),
            got,
        });
    }
}

/// A request that is expected to get a status that the origin does not answer with must not reach
/// it, unless the case says otherwise.
fn refused(step: &Step, seen: &Observed) -> Option<Fact> {
    let expect = &step.expect;
    let let_through = expect.verdict == Some(Verdict::Allow) || !expect.headers.is_empty();
    let reached = seen.upstream.as_ref()?;
    (expect.is_refusal(step.origin.status) && !let_through).then(|| {
        Fact::new("origin", "no request", json!(format!("{} {}", reached.method, reached.path)))
    })
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
