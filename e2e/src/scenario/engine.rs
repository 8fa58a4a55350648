//! The innermost layer: the engine itself, natively.

use egress_filter::policy::Engine;
use egress_filter::trial::{Lines, Response, Trial};

use super::model::{Case, Layer, Scenario};
use super::observed::{Observed, Reached, audit_records, short};
use super::run::Runner;

/// Runs scenarios against the engine.
#[derive(Debug, Default)]
pub struct EngineRunner {
    engine: Option<Engine>,
}

impl Runner for EngineRunner {
    fn layer(&self) -> Layer {
        Layer::Engine
    }

    fn start(&mut self, scenario: &Scenario) -> Result<(), String> {
        let loaded = Engine::load(scenario.config.to_string().as_bytes());
        let loaded = loaded.map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
        });
        self.engine = Some(loaded?);
        Ok(())
    }

    fn run(&mut self, _scenario: &Scenario, case: &Case) -> Result<Observed, String> {
        let engine = self.engine.as_ref().ok_or("no configuration is in force")?;
        let spec = &case.request;
        let trial = Trial {
            principal: case.caller.principal().unwrap_or_default(),
            service: Some(case.destination()),
            method: spec.method.clone(),
            authority: spec.host.clone().unwrap_or_default(),
            path: spec.path.clone(),
            protocol: spec.version.clone(),
            headers: spec.headers.clone(),
            response: Response { status: case.origin.status, headers: case.origin.headers.clone() },
            ..Trial::default()
        };
        let tried = trial.run(engine);
        let counters = tried.counters.iter().map(|(name, value)| (short(name), *value));
        let mut observed = Observed {
            audit: Some(audit_records(tried.audit.as_deref())),
            counters: Some(counters.collect()),
            ..Observed::default()
        };
        if let Some(denial) = &tried.denial {
            observed.status = denial.status;
            observed.body = denial.body.to_vec();
            let length = denial.body.len().to_string().into_bytes();
            observed.headers = vec![
                ("content-type".to_owned(), b"text/plain".to_vec()),
                ("content-length".to_owned(), length),
            ];
        }
        if let Some(lines) = &tried.upstream {
            observed.upstream = Some(reached(lines));
        }
        if let Some(lines) = &tried.downstream {
            observed.status = text(lines, ":status").parse().unwrap_or(0);
            observed.headers = plain(lines);
        }
        Ok(observed)
    }
}

fn reached(lines: &Lines) -> Reached {
    Reached {
        method: text(lines, ":method"),
        host: text(lines, ":authority"),
        path: text(lines, ":path"),
        headers: plain(lines),
    }
}

fn text(lines: &Lines, name: &str) -> String {
    let found = lines.iter().find(|(line, _)| line == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

fn plain(lines: &Lines) -> Lines {
    lines.iter().filter(|(name, _)| !name.starts_with(':')).cloned().collect()
}
