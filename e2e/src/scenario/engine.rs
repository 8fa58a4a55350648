//! The innermost layer: the engine itself, natively.

use std::collections::BTreeMap;

use egress_filter::outcome::{Change, Count};
use egress_filter::policy::Engine;
use egress_filter::request::headers::Headers;
use egress_filter::request::{Facts, Given};

use super::model::{Case, Layer, Scenario};
use super::observed::{Observed, Reached, audit_records};
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
        let loaded = loaded.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "));
        self.engine = Some(loaded?);
        Ok(())
    }

    fn run(&mut self, _scenario: &Scenario, case: &Case) -> Result<Observed, String> {
        let engine = self.engine.as_ref().ok_or("no configuration is in force")?;
        let spec = &case.request;
        let mut headers = Headers::default();
        headers.add(b":method", spec.method.as_bytes());
        headers.add(b":scheme", b"http");
        headers.add(b":authority", spec.host.as_deref().unwrap_or_default().as_bytes());
        headers.add(b":path", spec.path.as_bytes());
        for (name, value) in &spec.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        // Envoy gives every request an ID.
        if headers.first(b"x-request-id").is_none() {
            headers.add(b"x-request-id", b"00000000-0000-4000-8000-000000000000");
        }
        let principal = case.caller.principal().unwrap_or_default();
        let service = format!("inbound-vip|80|http|{}", case.destination());
        let source = Given {
            peer_principal: principal.as_bytes(),
            filter_chain_name: service.as_bytes(),
            protocol: spec.version.as_bytes(),
            source_address: b"127.0.0.1:40000",
            destination_address: b"240.240.0.1:80",
            ..Given::default()
        };
        let facts = Facts::new(headers, &source);
        let outcome = engine.decide(&facts);
        let mut observed = Observed { audit: Some(audit_records(outcome.audit.as_deref())), ..Observed::default() };
        let mut counts = Vec::new();
        outcome.count(|count| counts.push(count));
        match &outcome.denial {
            Some(denial) => {
                observed.status = denial.status;
                observed.body = denial.body.as_bytes().to_vec();
                let length = denial.body.len().to_string().into_bytes();
                observed.headers = vec![("content-type".to_owned(), b"text/plain".to_vec()), ("content-length".to_owned(), length)];
            }
            None => {
                observed.upstream = Some(reached(&facts.headers, &outcome.changes));
                let mut response = Headers::default();
                response.add(b":status", case.origin.status.to_string().as_bytes());
                for (name, value) in &case.origin.headers {
                    response.add(name.as_bytes(), value.as_bytes());
                }
                let changed = engine.respond(&outcome.responding, &facts, &response);
                changed.count(|count| counts.push(count));
                let mut response = response.clone();
                apply(&mut response, &changed.changes);
                let status = response.first(b":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
                observed.status = status.unwrap_or(0);
                observed.headers = plain(&response);
            }
        }
        observed.counters = Some(counters(engine, &counts));
        Ok(observed)
    }
}

fn reached(headers: &Headers<'_>, changes: &[Change<'_>]) -> Reached {
    let mut headers = headers.clone();
    apply(&mut headers, changes);
    let text = |name: &[u8]| String::from_utf8_lossy(headers.first(name).unwrap_or_default()).into_owned();
    Reached { method: text(b":method"), host: text(b":authority"), path: text(b":path"), headers: plain(&headers) }
}

/// Does to headers what the host does on the filter's calls.
fn apply(headers: &mut Headers<'_>, changes: &[Change<'_>]) {
    for change in changes {
        match change {
            Change::Add(name, value) => headers.add(name.as_bytes(), value),
            Change::Replace(name, value) => {
                headers.remove(|line| line.eq_ignore_ascii_case(name.as_bytes()));
                headers.add(name.as_bytes(), value);
            }
            Change::Remove(name) => {
                headers.remove(|line| line.eq_ignore_ascii_case(name.as_bytes()));
            }
        }
    }
}

fn plain(headers: &Headers<'_>) -> Vec<(String, Vec<u8>)> {
    let lines = headers.lines().filter(|(name, _)| !name.starts_with(b":"));
    lines.map(|(name, value)| (String::from_utf8_lossy(name).to_lowercase(), value.to_vec())).collect()
}

fn counters(engine: &Engine, counts: &[Count]) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for count in counts {
        let policy = count.policy.and_then(|index| engine.policy_name(index));
        *counters.entry(count.counter.name(policy)).or_insert(0) += 1;
    }
    counters
}
