//! The innermost layer: the engine itself, natively.

use std::collections::BTreeMap;
use std::time::Duration;

use egress_filter::config::{Config, IdentityConfig};
use egress_filter::policy::Engine;
use egress_filter::request::SharedData;
use egress_filter::trial::Trial;
use egressctl::cases::{Case, Layer, Observed, Step, Suite, Update, observed};

use super::run::Runner;

/// Why cases with services are not for this layer.
const NO_CALLS: &str = "no stage of the engine calls services, only one in the build for tests \
    of the compiled filter: leave out `engine`";

/// Runs cases on the engine, one for each worker.
#[derive(Debug, Default)]
pub struct EngineRunner {
    workers: Vec<Engine>,
    identity: IdentityConfig,
    environment: BTreeMap<String, String>,
    shared: SharedData,
    now: Duration,
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

    fn start(&mut self, suite: &Suite, cases: &[&Case]) -> Result<(), String> {
        if cases.iter().any(|case| !case.services.is_empty()) {
            return Err(NO_CALLS.to_owned());
        }
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

    fn run(&mut self, _suite: &Suite, _case: &Case, step: &Step) -> Result<Observed, String> {
        let engine = self.workers.get(step.worker).ok_or("no configuration is in force")?;
        let trial = Trial { now: self.now, ..step.trial(&self.identity) };
        let tried = trial.run_with(engine, &self.shared);
        // What was decided is to be in the audit record, here as in the outer layers.
        Ok(Observed { decision: None, ..observed(step, &tried) })
    }
}
