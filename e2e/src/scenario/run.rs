//! Drives a layer through scenarios.

use super::compare::{Mismatch, compare};
use super::model::{Case, Layer, Scenario};
use super::observed::Observed;

/// A layer that scenarios can run against.
pub trait Runner {
    /// Which layer it is.
    fn layer(&self) -> Layer;

    /// Puts a scenario's configuration in force, in place of any earlier one.
    ///
    /// # Errors
    /// If the configuration is refused, with what was logged.
    fn start(&mut self, scenario: &Scenario) -> Result<(), String>;

    /// Sends a case's request.
    ///
    /// # Errors
    /// If there is nothing to compare: a trap, a request that hangs, a connection that breaks.
    fn run(&mut self, scenario: &Scenario, case: &Case) -> Result<Observed, String>;
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
        assert!(self.cases > 0, "no case of any scenario runs in this layer");
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
pub fn run(scenarios: &[Scenario], runner: &mut dyn Runner) -> Report {
    let layer = runner.layer();
    let mut report = Report::default();
    for scenario in scenarios {
        let here = |case: &&Case| case.layers.contains(&layer);
        if !scenario.cases.iter().any(|case| here(&case)) {
            continue;
        }
        let broken = |case: &str, field: &str, got: String| Mismatch {
            file: scenario.file.clone(),
            case: case.to_owned(),
            layer,
            field: field.to_owned(),
            expected: "success".to_owned(),
            got,
        };
        if let Err(got) = runner.start(scenario) {
            report.cases += 1;
            report.mismatches.push(broken("all cases", "configuration", got));
            continue;
        }
        for case in scenario.cases.iter().filter(here) {
            report.cases += 1;
            match runner.run(scenario, case) {
                Ok(seen) => report.mismatches.extend(compare(scenario, case, layer, &seen)),
                Err(got) => report.mismatches.push(broken(&case.name, "run", got)),
            }
        }
    }
    report
}
