//! One request and its response.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::facts::Gathered;
use super::host::{self, HostError, Map};
use super::root::Loaded;
use crate::outcome::{Change, Denial, Outcome};
use crate::policy::Scope;
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
    scope: Scope,
    headers: Vec<u8>,
    gathered: Gathered,
}

impl Stream {
    pub(super) fn new(loaded: Option<Rc<Loaded>>) -> Self {
        Stream { loaded, request: None }
    }

    /// Decides, changes the headers of a request that goes on, and gives what was decided.
    fn decide(&mut self, loaded: &Loaded) -> Result<Outcome, HostError> {
        let engine = &loaded.engine;
        let bytes = host::headers(Map::Request)?;
        let Some(headers) = Headers::from_pairs(&bytes) else {
            return Ok(Outcome::internal_error("unreadable headers"));
        };
        let scope = engine.scope(&headers);
        let gathered = Gathered::read(engine.identity(), scope.reads())?;
        let outcome = engine.decide(&scope, &gathered.facts(headers));
        if outcome.denial.is_none() {
            apply(Map::Request, &outcome.changes)?;
            if engine.changes_response(&scope) {
                self.request = Some(Kept { scope, headers: bytes, gathered });
            }
        }
        Ok(outcome)
    }

    fn respond(&self, loaded: &Loaded) -> Result<(), HostError> {
        let Some(Kept { scope, headers, gathered }) = &self.request else {
            return Ok(());
        };
        let bytes = host::headers(Map::Response)?;
        let unreadable = HostError::unreadable("proxy_get_header_map_pairs");
        let response = Headers::from_pairs(&bytes).ok_or(unreadable)?;
        let request = Headers::from_pairs(headers).ok_or(unreadable)?;
        let (changes, counts) = loaded.engine.respond(scope, &gathered.facts(request), &response);
        loaded.metrics.count(&loaded.engine, &counts);
        apply(Map::Response, &changes)
    }
}

fn apply(map: Map, changes: &[Change]) -> Result<(), HostError> {
    for change in changes {
        match change {
            Change::Add(name, value) => host::add_header(map, name, value)?,
            Change::Replace(name, value) => host::replace_header(map, name, value)?,
            Change::Remove(name) => host::remove_header(map, name)?,
        }
    }
    Ok(())
}

/// Makes the decision visible to Envoy's access log: `%FILTER_STATE(wasm.egress_caller:PLAIN)%` and its like.
fn publish(outcome: &Outcome) -> Result<(), HostError> {
    if let Some(caller) = &outcome.caller {
        host::set_filter_state("egress_caller", caller.as_bytes())?;
    }
    let decision = if outcome.denial.is_some() { "deny" } else { "allow" };
    host::set_filter_state("egress_decision", decision.as_bytes())?;
    match &outcome.policy_name {
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
        let loaded = self.loaded.clone();
        let outcome = match &loaded {
            Some(loaded) => self.decide(loaded).unwrap_or_else(|error| {
                log::error!("egress filter: request refused: {error}");
                Outcome::internal_error("host call failed")
            }),
            None => {
                log::error!("egress filter: request refused: no configuration is loaded");
                Outcome::internal_error("no configuration")
            }
        };
        if let Some(line) = &outcome.audit {
            host::log(host::Level::Info, line);
        }
        if let Err(error) = publish(&outcome) {
            log::warn!("egress filter: the access log will lack the decision: {error}");
        }
        if let Some(loaded) = &loaded {
            loaded.metrics.count(&loaded.engine, &outcome.counts);
        }
        match &outcome.denial {
            Some(denial) => deny(denial),
            None => Action::Continue,
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
