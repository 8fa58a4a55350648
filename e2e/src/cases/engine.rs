//! The innermost layer: the engine itself, natively.

use std::collections::BTreeMap;
use std::time::Duration;

use egress_filter::config::{Config, IdentityConfig};
use egress_filter::policy::Engine;
use egress_filter::request::SharedData;
use egress_filter::trial::Trial;
use egressctl::cases::{Case, Layer, Observed, Step, Suite, Update, add_calls, observed};

use super::run::Runner;

/// Runs cases on the engine, one for each worker.
#[derive(Debug, Default)]
pub struct EngineRunner {
    workers: Vec<Engine>,
    identity: IdentityConfig,
    environment: BTreeMap<String, String>,
    shared: SharedData,
    now: Duration,
    /// The case whose services are called, and how often each of their clusters was.
    case: Option<String>,
    calls: BTreeMap<String, usize>,
}

/// The engines of some workers, or why the configuration does not load.
fn load(
    config: &str,
    workers: usize,
    environment: &BTreeMap<String, String>,
) -> Result<(Vec<Engine>, IdentityConfig), String> {
    let load = || Engine::load_with(config.as_bytes(), environment);
    let engines: Result<Vec<Engine>, _> = (0..workers).map(|_| load()).collect();
    let engines = engines
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))?;
    let identity = Config::parse(config.as_bytes()).map(|config| config.identity);
    Ok((engines, identity.unwrap_or_default()))
}

impl Runner for EngineRunner {
    fn layer(&self) -> Layer {
        Layer::Engine
    }

    fn start(&mut self, suite: &Suite, _cases: &[&Case]) -> Result<(), String> {
        (self.case, self.calls) = (None, BTreeMap::new());
        self.environment.clone_from(&suite.environment);
        (self.shared, self.now) = (SharedData::default(), Duration::ZERO);
        let config = suite.config.to_string();
        (self.workers, self.identity) = load(&config, suite.workers, &suite.environment)?;
        Ok(())
    }

    fn update(&mut self, update: &Update) -> Result<bool, String> {
        let loaded = load(&update.config.to_string(), self.workers.len(), &self.environment);
        let accepted = loaded.is_ok();
        if let Ok(loaded) = loaded {
            (self.workers, self.identity) = loaded;
        }
        Ok(accepted)
    }

    fn advance(&mut self, time: Duration) -> Result<(), String> {
        self.now = self.now.saturating_add(time);
        Ok(())
    }

    fn run(&mut self, _suite: &Suite, case: &Case, step: &Step) -> Result<Observed, String> {
        let engine = self.workers.get(step.worker).ok_or("no configuration is in force")?;
        if self.case.as_ref() != Some(&case.name) {
            (self.case, self.calls) = (Some(case.name.clone()), BTreeMap::new());
        }
        let services = case.services_after(&self.calls);
        let trial = Trial { now: self.now, services, ..step.trial(&self.identity) };
        let tried = trial.run_with(engine, &self.shared);
        add_calls(&mut self.calls, &tried.calls);
        self.now = self.now.saturating_add(tried.waited);
        // What was decided is to be in the audit record, here as in the outer layers.
        Ok(Observed { decision: None, ..observed(step, &tried) })
    }
}
