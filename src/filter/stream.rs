//! One request and its response.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::facts::Properties;
use super::host::{self, HostError, Map};
use super::root::Loaded;
use crate::outcome::{Change, Denial, Outcome};
use crate::policy::Engine;
use crate::request::Facts;
use crate::request::headers::Headers;

/// The context of one HTTP stream.
#[derive(Debug)]
pub(super) struct Stream {
    loaded: Option<Rc<Loaded>>,
    /// The request, kept for the response's transformation where there is one.
    request: Option<Kept>,
}

/// A request that was let through.
#[derive(Debug)]
struct Kept {
    /// The policies that may change the response.
    responding: Vec<u32>,
    headers: Vec<u8>,
    properties: Properties,
}

impl Stream {
    pub(super) fn new(loaded: Option<Rc<Loaded>>) -> Self {
        Stream { loaded, request: None }
    }

    /// Decides about the request, and does what was decided.
    fn decide(&mut self, loaded: &Loaded) -> Action {
        let bytes = match host::headers(Map::Request) {
            Ok(bytes) => bytes,
            Err(error) => return refuse(Some(loaded), "host call failed", Some(error)),
        };
        let Some(headers) = Headers::from_pairs(&bytes) else { return refuse(Some(loaded), "unreadable headers", None) };
        let properties = Properties::default();
        let facts = Facts::new(headers, &properties);
        let outcome = loaded.engine.decide(&facts);
        if outcome.denial.is_none()
            && let Err(error) = apply(Map::Request, &outcome.changes)
        {
            return refuse(Some(loaded), "host call failed", Some(error));
        }
        let action = conclude(Some(loaded), &outcome, Some(&facts));
        if outcome.denial.is_none() && !outcome.responding.is_empty() {
            let responding = outcome.responding;
            self.request = Some(Kept { responding, headers: bytes, properties });
        }
        action
    }

    fn respond(&self, loaded: &Loaded) -> Result<(), HostError> {
        let Some(Kept { responding, headers, properties }) = &self.request else {
            return Ok(());
        };
        let bytes = host::headers(Map::Response)?;
        let unreadable = HostError::unreadable("proxy_get_header_map_pairs");
        let response = Headers::from_pairs(&bytes).ok_or(unreadable)?;
        let request = Headers::from_pairs(headers).ok_or(unreadable)?;
        let facts = Facts::new(request, properties);
        let outcome = loaded.engine.respond(responding, &facts, &response);
        outcome.count(|count| loaded.metrics.count(count));
        if outcome.exhausted {
            return Err(HostError::unreadable("the response's rules"));
        }
        apply(Map::Response, &outcome.changes)
    }
}

fn apply(map: Map, changes: &[Change<'_>]) -> Result<(), HostError> {
    for change in changes {
        match change {
            Change::Add(name, value) => host::add_header(map, name, value)?,
            Change::Replace(name, value) => host::replace_header(map, name, value)?,
            Change::Remove(name) => host::remove_header(map, name)?,
        }
    }
    Ok(())
}

/// Refuses a request because something failed that must not.
fn refuse(loaded: Option<&Loaded>, detail: &'static str, error: Option<HostError>) -> Action {
    match error {
        Some(error) => log::error!("egress filter: request refused: {detail}: {error}"),
        None => log::error!("egress filter: request refused: {detail}"),
    }
    conclude(loaded, &Outcome::internal_error(detail), None)
}

/// Logs, publishes and counts what was decided, and answers where that is a denial.
fn conclude(loaded: Option<&Loaded>, outcome: &Outcome<'_>, facts: Option<&Facts<'_>>) -> Action {
    if let Some(line) = &outcome.audit {
        host::log(host::Level::Info, line);
    }
    if let Some(Loaded { engine, metrics }) = loaded {
        if engine.tells_access_log()
            && let Err(error) = publish(engine, outcome, facts)
        {
            log::warn!("egress filter: the access log will lack the decision: {error}");
        }
        outcome.count(|count| metrics.count(count));
    }
    match &outcome.denial {
        Some(denial) => deny(denial),
        None => Action::Continue,
    }
}

/// Makes the decision visible to Envoy's access log: `%FILTER_STATE(wasm.egress_caller:PLAIN)%` and its like.
fn publish(engine: &Engine, outcome: &Outcome<'_>, facts: Option<&Facts<'_>>) -> Result<(), HostError> {
    if let Some(caller) = facts.and_then(|facts| engine.caller(facts).spiffe_id()) {
        host::set_filter_state("egress_caller", caller.as_bytes())?;
    }
    let decision = if outcome.denial.is_some() { "deny" } else { "allow" };
    host::set_filter_state("egress_decision", decision.as_bytes())?;
    match outcome.policy.and_then(|index| engine.policy_name(index)) {
        Some(policy) => host::set_filter_state("egress_policy", policy.as_bytes()),
        None => Ok(()),
    }
}

fn deny(denial: &Denial) -> Action {
    let details = format!("egress_filter:{}", denial.reason.as_str());
    if let Err(error) = host::answer(denial.status, &details, denial.body, denial.grpc_status) {
        log::error!("egress filter: cannot answer a denied request, so it is reset: {error}");
        host::reset();
    }
    Action::Pause
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        match self.loaded.clone() {
            Some(loaded) => self.decide(&loaded),
            None => refuse(None, "no configuration is loaded", None),
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        if let (Some(loaded), Some(_)) = (self.loaded.clone(), &self.request) {
            // A header that was to be removed must not pass, so the response does not pass either.
            if let Err(error) = self.respond(&loaded) {
                log::error!("egress filter: response refused: {error}");
                self.request = None;
                host::reset();
                return Action::Pause;
            }
        }
        Action::Continue
    }
}
