//! One request and its response.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::facts::Properties;
use super::host::{self, HostError, Map};
use super::metrics;
use super::root::Loaded;
use crate::config::Direction;
use crate::mends::{self, Mend};
use crate::outcome::{Change, Count, Counter, Denial, Outcome};
use crate::policy::{Engine, refuse_unconfigured};
use crate::request::Facts;
use crate::request::headers::Headers;

/// The context of one HTTP stream.
#[derive(Debug)]
pub(super) struct Stream {
    loaded: Option<Rc<Loaded>>,
    state: State,
    /// The policies whose header rules hold for it.
    applied: Vec<u32>,
    /// The request, kept for the response's transformation where there is one.
    request: Option<Kept>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its request was not let through, or not yet.
    Held,
    /// Its request was let through.
    Passing,
    /// It was reset after that.
    CutOff,
}

/// A request that was let through.
#[derive(Debug)]
struct Kept {
    headers: Vec<u8>,
    properties: Properties,
}

impl Stream {
    pub(super) fn new(loaded: Option<Rc<Loaded>>) -> Self {
        Stream { loaded, state: State::Held, applied: Vec::new(), request: None }
    }

    /// Decides about the request, and does what was decided.
    fn decide(&mut self, loaded: &Loaded) -> Action {
        let properties = Properties::default();
        let bytes = match host::headers(Map::Request) {
            Ok(bytes) => bytes,
            Err(error) => {
                let facts = Facts::new(Headers::default(), &properties);
                return refuse(loaded, "host call failed", Some(error), &facts);
            }
        };
        let Some(headers) = Headers::from_pairs(&bytes) else {
            let facts = Facts::new(Headers::default(), &properties);
            return refuse(loaded, "unreadable headers", None, &facts);
        };
        let facts = Facts::new(headers, &properties);
        let mut outcome = loaded.engine.decide(&facts);
        if outcome.denial.is_none()
            && let Err(error) = apply(Map::Request, &outcome.changes)
        {
            return refuse(loaded, "host call failed", Some(error), &facts);
        }
        let action = conclude(loaded, &outcome, &facts);
        if outcome.denial.is_none() {
            self.state = State::Passing;
            let responds = outcome.responds;
            self.applied = std::mem::take(&mut outcome.applied);
            drop(outcome);
            if responds {
                self.request = Some(Kept { headers: bytes, properties });
            }
        }
        action
    }

    fn respond(&self, loaded: &Loaded) -> Result<(), HostError> {
        let Some(Kept { headers, properties }) = &self.request else {
            return Ok(());
        };
        let bytes = host::headers(Map::Response)?;
        let unreadable = HostError::unreadable("proxy_get_header_map_pairs");
        let response = Headers::from_pairs(&bytes).ok_or(unreadable)?;
        let request = Headers::from_pairs(headers).ok_or(unreadable)?;
        let facts = Facts::new(request, properties);
        let outcome = loaded.engine.respond(&self.applied, &facts, &response);
        outcome.count(|count| loaded.metrics.count(count));
        if outcome.exhausted {
            return Err(HostError::unreadable("the response's rules"));
        }
        apply(Map::Response, &outcome.changes)
    }

    /// Resets a stream whose request was let through, because something failed that must not:
    /// what was to be removed must not pass, so nothing does.
    fn cut_off(&mut self, loaded: &Loaded, detail: &'static str, error: HostError) -> Action {
        log::error!("egress filter: stream reset: {detail}: {error}");
        self.state = State::CutOff;
        let kept = self.request.take();
        let (bytes, properties) = match kept {
            Some(Kept { headers, properties }) => (headers, properties),
            None => (Vec::new(), Properties::default()),
        };
        let facts = Facts::new(Headers::from_pairs(&bytes).unwrap_or_default(), &properties);
        if let Some(line) = loaded.engine.cut_off_record(detail, &facts) {
            host::log(host::Level::Info, &line);
        }
        // The request itself was counted when it was let through.
        loaded.metrics.count(Count { policy: None, counter: Counter::InternalErrors });
        host::reset();
        Action::Pause
    }
}

/// Drops what must not be among trailers.
fn filter_trailers(
    engine: &Engine,
    (map, direction): (Map, Direction),
    applied: &[u32],
    count: usize,
) -> Result<(), HostError> {
    if !mends::is_on(Mend::Trailers) {
        return Ok(());
    }
    let bytes = host::headers(map)?;
    let unreadable = HostError::unreadable("proxy_get_header_map_pairs");
    let trailers = Headers::from_pairs(&bytes).ok_or(unreadable)?;
    // The host gives no lines, and no error, of a map that it does not have.
    if trailers.lines().count() != count {
        return Err(unreadable);
    }
    apply(map, &engine.trailers(direction, applied, trailers))
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
fn refuse(
    loaded: &Loaded,
    detail: &'static str,
    error: Option<HostError>,
    facts: &Facts<'_>,
) -> Action {
    match error {
        Some(error) => log::error!("egress filter: request refused: {detail}: {error}"),
        None => log::error!("egress filter: request refused: {detail}"),
    }
    conclude(loaded, &loaded.engine.refuse(detail, facts), facts)
}

/// Refuses a request because there is nothing to decide by.
fn refuse_without_configuration() -> Action {
    log::error!("egress filter: request refused: no configuration is loaded");
    let bytes = host::headers(Map::Request).unwrap_or_default();
    let outcome = refuse_unconfigured(&Headers::from_pairs(&bytes).unwrap_or_default());
    if let Some(line) = &outcome.audit {
        host::log(host::Level::Info, line);
    }
    outcome.count(|count| metrics::count_at_once(count.counter));
    end(&outcome)
}

/// Logs, publishes and counts what was decided, and answers where that is a denial.
fn conclude(loaded: &Loaded, outcome: &Outcome<'_>, facts: &Facts<'_>) -> Action {
    if let Some(line) = &outcome.audit {
        host::log(host::Level::Info, line);
    }
    let Loaded { engine, metrics } = loaded;
    if engine.tells_access_log()
        && let Err(error) = publish(engine, outcome, facts)
    {
        log::warn!("egress filter: the access log will lack the decision: {error}");
    }
    outcome.count(|count| metrics.count(count));
    end(outcome)
}

/// Makes the decision visible to Envoy's access log: `%FILTER_STATE(wasm.egress_caller:PLAIN)%` and
/// its like.
fn publish(engine: &Engine, outcome: &Outcome<'_>, facts: &Facts<'_>) -> Result<(), HostError> {
    if let Some(caller) = engine.caller(facts).spiffe_id() {
        host::set_filter_state("egress_caller", caller.as_bytes())?;
    }
    let decision = if outcome.denial.is_some() { "deny" } else { "allow" };
    host::set_filter_state("egress_decision", decision.as_bytes())?;
    match outcome.policy.and_then(|index| engine.policy_name(index)) {
        Some(policy) => host::set_filter_state("egress_policy", policy.as_bytes()),
        None => Ok(()),
    }
}

/// Lets the request go on, or answers it.
fn end(outcome: &Outcome<'_>) -> Action {
    match &outcome.denial {
        Some(denial) => deny(denial),
        None => Action::Continue,
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
            None => refuse_without_configuration(),
        }
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        // To let the trailers of a request go on that is held would let the request itself go on.
        let (State::Passing, Some(loaded)) = (self.state, self.loaded.clone()) else {
            return Action::Pause;
        };
        if self.applied.is_empty() {
            return Action::Continue;
        }
        let what = (Map::RequestTrailers, Direction::Request);
        match filter_trailers(&loaded.engine, what, &self.applied, count) {
            Ok(()) => Action::Continue,
            Err(error) => self.cut_off(&loaded, "request trailers could not be changed", error),
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        if self.state == State::CutOff {
            return Action::Pause;
        }
        if let (Some(loaded), Some(_)) = (self.loaded.clone(), &self.request)
            && let Err(error) = self.respond(&loaded)
        {
            return self.cut_off(&loaded, "response headers could not be changed", error);
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        if self.state == State::CutOff {
            return Action::Pause;
        }
        let (Some(loaded), Some(_)) = (self.loaded.clone(), &self.request) else {
            return Action::Continue;
        };
        let what = (Map::ResponseTrailers, Direction::Response);
        match filter_trailers(&loaded.engine, what, &self.applied, count) {
            Ok(()) => Action::Continue,
            Err(error) => self.cut_off(&loaded, "response trailers could not be changed", error),
        }
    }
}
