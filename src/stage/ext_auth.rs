//! Asks the services that authorize requests, one after another: each must allow the request.

mod apply;
mod ask;

use std::sync::Arc;
use std::time::Duration;

use super::choose::{failed, original};
use super::{Ending, Flow, Turn};
use crate::attributes::view::View;
use crate::call::{Answer, Call, Failure};
use crate::cel::data::Data;
use crate::config::FailureMode;
use crate::decision::{Asked, Outcome, Reason, Service};
use crate::ext_auth::answer::{Allowed, Verdict};
use crate::policy::Engine;
use crate::policy::conditional::Conditional;
use crate::policy::ext_auth::{Cache, ExtAuth, Protocol, Ttl};
use crate::request::{Body, Facts};
use crate::trace::Feature;

/// What a pending call is about.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The index of the policy.
    policy: usize,
    /// The index of the form that was chosen.
    form: usize,
    /// How long the call may take.
    timeout: Duration,
    /// What the answer is kept under, if it is kept. It may hold a secret of the caller's.
    key: Option<crate::credential::Secret>,
}

/// Why there is nothing that can be applied.
enum Trouble {
    /// The service gave no answer that can be used.
    Failed(Failure),
    /// An expression failed, and its message has been noted.
    Expression,
}

/// Asks the services of the policies in scope.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    turn.find_acting();
    proceed(turn, 0)
}

/// Asks the services that get the request's body.
pub(super) fn enter_with_body(turn: &mut Turn<'_, '_, '_>) -> Flow {
    // The head's stage has chosen the forms: what they are chosen by may have changed since.
    turn.services().forwards.reverse();
    proceed_with_body(turn)
}

/// Continues with the answer of a service that got the request's body.
pub(super) fn answered_with_body(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
    conclude_call(turn, answer).unwrap_or_else(|| proceed_with_body(turn))
}

fn proceed_with_body(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let engine = turn.engine;
    while let Some((index, entry)) = turn.services().forwards.pop() {
        let policy = engine.policies.get(index);
        let Some(form) = policy.and_then(|policy| policy.ext_auth.as_ref()?.get(entry)) else {
            return Flow::End(Ending::internal_error("a service that does not exist"));
        };
        if let Some(flow) = ask_form(turn, index, (entry, form)) {
            return flow;
        }
    }
    Flow::Next
}

/// The most bytes that a request's body may have, if services get it.
pub(super) fn forwarded(engine: &Engine, found: &super::Found) -> Option<usize> {
    let forwards = &found.services.as_deref()?.forwards;
    let size = |(index, entry): &(usize, usize)| {
        engine.policies.get(*index)?.ext_auth.as_ref()?.get(*entry)?.forward_body
    };
    // One that does not exist is an error of the filter's own: nothing is short enough.
    forwards.iter().map(|forward| size(forward).unwrap_or(0)).min()
}

/// Continues with the answer of a service.
pub(super) fn answered(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
    let from = turn.services().asked;
    conclude_call(turn, answer).unwrap_or_else(|| proceed(turn, from))
}

/// Does what the answer to the pending call says. None if the request goes on.
fn conclude_call(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Option<Flow> {
    let engine = turn.engine;
    let asking = turn.services().asking.take();
    let Some((asking, form)) = asking.and_then(|asking| {
        let policy = engine.policies.get(asking.policy)?;
        let form = policy.ext_auth.as_ref()?.get(asking.form)?;
        Some((asking, form))
    }) else {
        let detail = "an answer of a service that was not asked";
        return Some(Flow::End(Ending::internal_error(detail)));
    };
    let errors = turn.found.decision.errors.len();
    let mut asked = Concluding { turn, index: asking.policy, form };
    match asked.read(answer, asking.timeout) {
        Ok(verdict) => {
            // What was left out because an expression failed is left out of this request alone.
            let is_whole = asked.turn.found.decision.errors.len() == errors;
            let key = asking.key.as_ref().filter(|_| is_whole);
            asked.apply(&Arc::new(verdict), key.map(|key| key.expose()))
        }
        Err(Trouble::Failed(failure)) => asked.fail(failure),
        Err(Trouble::Expression) => Some(asked.broken()),
    }
}

/// Asks the services of the policies in scope from this position on.
fn proceed(turn: &mut Turn<'_, '_, '_>, from: usize) -> Flow {
    let engine = turn.engine;
    let mut position = from;
    while let Some(index) = turn.found.applied.get(position).copied() {
        position = position.saturating_add(1);
        let Ok(index) = usize::try_from(index) else { continue };
        let Some(forms) = engine.policies.get(index).and_then(|policy| policy.ext_auth.as_deref())
        else {
            continue;
        };
        if let Some(flow) = ask(turn, index, forms) {
            if matches!(flow, Flow::Wait(_)) {
                turn.services().asked = position;
            }
            return flow;
        }
    }
    Flow::Next
}

/// Asks the service of a policy, unless the answer is known already or the request has no form of
/// it. `None` if the request goes on without a wait.
fn ask<'a>(
    turn: &mut Turn<'a, '_, '_>,
    index: usize,
    forms: &'a Conditional<ExtAuth>,
) -> Option<Flow> {
    if turn.meter.is_exhausted() {
        // The request is refused, whatever else there is.
        return Some(Flow::Next);
    }
    let view = original(turn.engine, turn.facts, turn.admitted.as_ref());
    let chosen = match forms.choose(&view, turn.meter) {
        Ok(chosen) => chosen,
        Err(error) => {
            turn.found.decision.errors.push((index, error));
            return Some(Flow::End(failed(index)));
        }
    };
    // What another form's service would set does not come from the caller either.
    let of_request = chosen.map(|(entry, _)| entry);
    for (entry, other) in forms.forms().enumerate() {
        if Some(entry) != of_request {
            apply::remove_named(turn, index, other);
        }
    }
    let (entry, form) = chosen?;
    if let Some(trace) = turn.trace.as_deref_mut() {
        trace.chose(index, Feature::ExtAuth, entry, true);
    }
    if form.forward_body.is_some() && !turn.found.is_bodiless {
        turn.services().forwards.push((index, entry));
        return None;
    }
    ask_form(turn, index, (entry, form))
}

/// Asks the service of a form, unless the answer is known already.
fn ask_form<'a>(
    turn: &mut Turn<'a, '_, '_>,
    index: usize,
    (entry, form): (usize, &'a ExtAuth),
) -> Option<Flow> {
    if turn.meter.is_exhausted() {
        return Some(Flow::Next);
    }
    let mut errors = Vec::new();
    let prepared = ask::prepare(turn, form, &mut errors);
    let errors = errors.into_iter().map(|error| (index, format!("extAuth: {error}")));
    turn.found.decision.errors.extend(errors);
    let now = turn.facts.now();
    let mut asked = Concluding { turn, index, form };
    let Some(prepared) = prepared else { return Some(asked.broken()) };
    let kept = form
        .cache
        .as_ref()
        .zip(prepared.key.as_ref())
        .and_then(|(cache, key)| cache.answers.lock().ok()?.get(key.expose(), now));
    if let Some(verdict) = kept {
        return asked.conclude(&verdict, true);
    }
    let Some(timeout) = asked.turn.time_for(form.timeout) else {
        return asked.fail(Failure::Deadline);
    };
    let ask::Prepared { key, call } = prepared;
    turn.services().asking = Some(Asking { policy: index, form: entry, timeout, key });
    let cluster = form.service.cluster.clone();
    Some(Flow::Wait(Box::new(Call { id: turn.next_call, cluster, form: call, timeout })))
}

/// A policy whose service has answered, or failed to.
struct Concluding<'c, 'a, 'f, 't> {
    turn: &'c mut Turn<'a, 'f, 't>,
    index: usize,
    form: &'a ExtAuth,
}

impl Concluding<'_, '_, '_, '_> {
    /// What an answer says.
    fn read(&mut self, answer: &Answer<'_>, timeout: Duration) -> Result<Verdict, Trouble> {
        match self.turn.failure(answer, timeout) {
            // Less time was left of the deadline than the service has.
            Some(Failure::Timeout) if timeout < self.form.timeout => {
                return Err(Trouble::Failed(Failure::Deadline));
            }
            Some(failure) => return Err(Trouble::Failed(failure)),
            None => {}
        }
        let secret = &self.form.credential_headers;
        match (&self.form.protocol, answer) {
            (Protocol::Grpc(_), Answer::Message(message)) => {
                Verdict::of_grpc(message, secret).map_err(Trouble::Failed)
            }
            (Protocol::Http(http), Answer::Response { headers, body, is_cut }) => {
                let status = answer.status().unwrap_or_default();
                let names = (http.response_headers.as_slice(), secret.as_slice());
                let mut verdict = Verdict::of_http((status, headers), (body, *is_cut), names)
                    .map_err(Trouble::Failed)?;
                if let Verdict::Allowed(allowed) = &mut verdict {
                    self.add_metadata(allowed, headers, body)?;
                }
                Ok(verdict)
            }
            _ => Err(Trouble::Failed(Failure::Unusable)),
        }
    }

    /// Evaluates `responseMetadata`.
    fn add_metadata(
        &mut self,
        allowed: &mut Allowed,
        headers: &crate::request::headers::Headers<'_>,
        body: &[u8],
    ) -> Result<(), Trouble> {
        let Protocol::Http(http) = &self.form.protocol else { return Ok(()) };
        let Turn { engine, facts, meter, ref admitted, .. } = *self.turn;
        for (name, expression) in &http.metadata {
            let view = original(engine, facts, admitted.as_ref());
            let view = view.with_response(headers).with_response_body(Body::Read(body));
            match meter.rule(|allowance| expression.data(&view, allowance)) {
                Ok(value) => allowed.metadata.push((name.clone(), value)),
                Err(error) => {
                    let error = format!("extAuth: responseMetadata `{name}`: {error}");
                    self.turn.found.decision.errors.push((self.index, error));
                    if self.form.failure_mode == FailureMode::FailClosed {
                        return Err(Trouble::Expression);
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies an answer that has just come, and keeps it under this key.
    fn apply(&mut self, verdict: &Arc<Verdict>, key: Option<&[u8]>) -> Option<Flow> {
        let calls = self.turn.found.decision.calls.len();
        let flow = self.conclude(verdict, false);
        let is_usable = self.turn.found.decision.calls.get(calls..).is_some_and(|asked| {
            asked.iter().all(|asked| !matches!(asked.outcome, Outcome::Failed(_)))
        });
        if let (Some(cache), Some(key), true) = (&self.form.cache, key, is_usable)
            && verdict.may_be_kept()
            && let Some(ttl) = self.ttl(cache)
            && let Ok(mut answers) = cache.answers.lock()
        {
            let until = self.turn.facts.now().saturating_add(ttl);
            answers.keep(key.to_vec(), Arc::clone(verdict), until);
        }
        flow
    }

    /// How long the answer is kept; none if it is not.
    fn ttl(&mut self, cache: &Cache) -> Option<Duration> {
        let expression = match &cache.ttl {
            Ttl::Fixed(ttl) => return Some(*ttl),
            Ttl::Computed(expression) => expression,
        };
        let Turn { engine, facts, meter, ref admitted, .. } = *self.turn;
        let view = original(engine, facts, admitted.as_ref());
        match meter.rule(|allowance| expression.data(&view, allowance)) {
            Ok(data) => apply::ttl(&data, since_1970(&view)),
            Err(error) => {
                let error = format!("extAuth: cache.ttl: {error}");
                self.turn.found.decision.errors.push((self.index, error));
                None
            }
        }
    }

    /// Does what an answer says.
    fn conclude(&mut self, verdict: &Verdict, is_cached: bool) -> Option<Flow> {
        match verdict {
            // Where services get the body, the request's headers have gone on.
            Verdict::Allowed(allowed)
                if self.form.forward_body.is_some() && allowed.changes_request() =>
            {
                self.fail(Failure::Unusable)
            }
            Verdict::Allowed(allowed) => {
                if let Err(failure) = apply::allowed(self.turn, self.index, self.form, allowed) {
                    return self.fail(failure);
                }
                tell(self.turn, verdict);
                self.note(Outcome::Allowed, is_cached, false);
                None
            }
            Verdict::Denied(denied) => {
                tell(self.turn, verdict);
                self.note(Outcome::Denied, is_cached, false);
                let reply = apply::denied(self.turn, self.form, denied);
                let (reason, reply) = match reply {
                    Ok(reply) => (Reason::ExternalDenied, Some(Box::new(reply))),
                    Err(error) => {
                        let error = format!("extAuth: redirect: {error}");
                        self.turn.found.decision.errors.push((self.index, error));
                        (Reason::CalloutError, None)
                    }
                };
                let policy = Some(self.index);
                Some(Flow::End(Ending { policy, reply, ..Ending::because(reason) }))
            }
        }
    }

    /// Does what the failure mode says.
    fn fail(&mut self, failure: Failure) -> Option<Flow> {
        let opens = self.form.failure_mode == FailureMode::FailOpen;
        self.note(Outcome::Failed(failure), false, opens);
        if opens {
            apply::remove_named(self.turn, self.index, self.form);
            return None;
        }
        Some(Flow::End(Ending {
            detail: Some(failure.as_str()),
            policy: Some(self.index),
            ..Ending::because(Reason::NoAnswer)
        }))
    }

    /// The end of a request for which an expression failed.
    fn broken(&self) -> Flow {
        let policy = Some(self.index);
        Flow::End(Ending { policy, ..Ending::because(Reason::CalloutError) })
    }

    fn note(&mut self, outcome: Outcome, is_cached: bool, fails_open: bool) {
        let took = if is_cached { Duration::ZERO } else { self.turn.waited };
        self.turn.found.decision.calls.push(Asked {
            policy: self.index,
            service: Service::Authorization,
            outcome,
            is_cached,
            fails_open,
            milliseconds: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        });
    }
}

/// Tells expressions what a service has said. Of two services that name one thing, the later one
/// counts.
fn tell(turn: &mut Turn<'_, '_, '_>, verdict: &Verdict) {
    let facts: &Facts<'_> = turn.facts;
    let services = turn.services();
    let mut entries = match services.metadata.as_deref() {
        Some(Data::Map(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    for (name, value) in verdict.metadata() {
        entries.retain(|(own, _)| own != name);
        entries.push((name.clone(), value.clone()));
    }
    let data = Arc::new(Data::Map(entries));
    facts.set_extauthz(Arc::clone(&data));
    services.metadata = Some(data);
}

/// When the request came, as the time since 1970.
fn since_1970(view: &View<'_>) -> Option<Duration> {
    let nanos = view.start_time()?.nanos()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}
