//! Asks the services that count requests whether there have been too many.
//!
//! All descriptors are made before the first call, so that a request which is refused because one
//! of them cannot be made is not counted by any service.

use std::mem;
use std::time::Duration;

use super::answer_headers::{all_legal, collect, legal, overwrite};
use super::choose::{failed, original};
use super::{Ending, Flow, Found, Turn};
use crate::call::{Answer, Call, Failure, Form};
use crate::config::{Direction, FailureMode, QuotaHeaders};
use crate::decision::{Asked, Outcome, Reason, Reply, Service};
use crate::policy::Engine;
use crate::policy::global_limit::GlobalLimit;
use crate::policy::reply_rules::is_grpc;
use crate::rate_limit::quota::Quota;
use crate::rate_limit::service::{
    Code, Descriptor, DescriptorStatus, RateLimitRequest, RateLimitResponse,
};
use crate::trace::Feature;

/// How many bytes of a message can be made for one step.
const BYTES_A_STEP: usize = 64;
/// How many lines can be examined for one step.
const LINES_A_STEP: usize = 64;
/// The longest body that a caller of gRPC gets: it is sent as a header.
const MAX_MESSAGE: usize = 1024;

/// A call that is to be made, or whose answer is awaited.
#[derive(Debug)]
pub(crate) struct LimitCall {
    /// The first policy that asks, and which of its forms: they say what is called, and how.
    policy: usize,
    entry: usize,
    /// The policy of each descriptor, in their order.
    owners: Vec<usize>,
    /// Whether the caller is told of the limits with the response.
    tells: bool,
    message: Vec<u8>,
    /// How long the answer is waited for, once the call was made.
    timeout: Duration,
}

impl LimitCall {
    fn limit<'e>(&self, engine: &'e Engine) -> Option<&'e GlobalLimit> {
        let limits = engine.policies.get(self.policy)?.rate_limit.as_ref()?;
        limits.get(self.entry)?.global.as_deref()
    }
}

/// What is asked with one call.
struct Together<'e> {
    limit: &'e GlobalLimit,
    call: LimitCall,
    descriptors: Vec<Descriptor<'e>>,
}

/// Makes the descriptors, and the first call.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    turn.find_acting();
    match prepare(turn) {
        Ok(calls) if calls.is_empty() => Flow::Next,
        Ok(calls) => {
            turn.services().limit_calls = calls;
            call(turn)
        }
        Err(ending) => Flow::End(ending),
    }
}

/// The calls to make, the last first.
fn prepare(turn: &mut Turn<'_, '_, '_>) -> Result<Vec<LimitCall>, Ending> {
    let (engine, meter) = (turn.engine, turn.meter);
    let came = original(engine, turn.facts, turn.admitted.as_ref());
    let changed;
    let view = match &turn.headers {
        Some(headers) => {
            changed = came.with_request(headers);
            &changed
        }
        None => &came,
    };
    let Found { applied, decision, .. } = &mut *turn.found;
    let mut calls: Vec<Together<'_>> = Vec::new();
    for (policy, compiled) in engine.policies_at(applied) {
        let Some(limits) = &compiled.rate_limit else { continue };
        let chosen = limits.choose_of(&came, meter, |form| form.global.is_some());
        let (entry, form) = match chosen {
            Ok(Some(form)) => form,
            Ok(None) => continue,
            Err(error) => {
                decision.errors.push((policy, error));
                return Err(failed(policy));
            }
        };
        let Some(limit) = form.global.as_deref() else { continue };
        if let Some(trace) = turn.trace.as_deref_mut() {
            trace.chose(policy, Feature::GlobalRateLimit, entry, true);
        }
        let tells = form.headers == QuotaHeaders::All;
        for (number, rules) in limit.descriptors.iter().enumerate() {
            let descriptor = match rules.of(view, meter) {
                Ok(Some(descriptor)) => descriptor,
                Ok(None) => continue,
                Err(error) => {
                    let number = number.to_string();
                    let error = ["descriptor ", &number, " of `rateLimit`: ", &error].concat();
                    decision.errors.push((policy, error));
                    if limit.failure_mode == FailureMode::FailOpen {
                        continue;
                    }
                    return Err(refusal(Reason::CalloutError, policy));
                }
            };
            let same = calls.iter().position(|other| other.limit.is_asked_with(limit));
            let Some(together) = (match same {
                Some(position) => calls.get_mut(position),
                None => {
                    let (owners, message) = (Vec::new(), Vec::new());
                    let timeout = limit.timeout;
                    let call = LimitCall { policy, entry, owners, tells, message, timeout };
                    calls.push(Together { limit, call, descriptors: Vec::new() });
                    calls.last_mut()
                }
            }) else {
                continue;
            };
            together.call.owners.push(policy);
            together.call.tells |= tells;
            together.descriptors.push(descriptor);
        }
    }
    let calls = calls.into_iter().rev().map(|Together { limit, mut call, descriptors }| {
        let request = RateLimitRequest { domain: &limit.domain, descriptors: &descriptors };
        call.message = request.encode();
        meter.spend_on(call.message.len(), BYTES_A_STEP);
        call
    });
    Ok(calls.collect())
}

/// Makes the next call, if there is one and time for it.
fn call(turn: &mut Turn<'_, '_, '_>) -> Flow {
    loop {
        let (engine, id) = (turn.engine, turn.next_call);
        let Some(pending) = turn.services().limit_calls.last_mut() else { return Flow::Next };
        let message = mem::take(&mut pending.message);
        let Some(limit) = pending.limit(engine) else {
            return Flow::End(Ending::internal_error(NO_LIMIT));
        };
        let Some(timeout) = turn.time_for(limit.timeout) else {
            let Some(pending) = turn.services().limit_calls.pop() else { return Flow::Next };
            match fail(turn, &pending, Failure::Deadline, Duration::ZERO) {
                Some(ending) => return Flow::End(ending),
                None => continue,
            }
        };
        if let Some(pending) = turn.services().limit_calls.last_mut() {
            pending.timeout = timeout;
        }
        return Flow::Wait(Box::new(Call {
            id,
            cluster: limit.service.cluster.clone(),
            form: Form::Grpc {
                authority: limit.service.host.clone(),
                service: "envoy.service.ratelimit.v3.RateLimitService",
                method: "ShouldRateLimit",
                message,
            },
            timeout,
        }));
    }
}

/// The detail where a call belongs to no limit.
const NO_LIMIT: &str = "a call about a limit that does not exist";

/// Takes the answer to a call.
pub(super) fn answered(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
    let Some(pending) = turn.services().limit_calls.pop() else {
        return Flow::End(Ending::internal_error(NO_LIMIT));
    };
    let waited = turn.waited;
    let outcome = match (turn.failure(answer, pending.timeout), answer) {
        (None, Answer::Message(message)) => match RateLimitResponse::decode(message) {
            Ok(said) if said.code == Code::OverLimit => {
                note(turn, &pending, (Outcome::Denied, false), waited);
                return Flow::End(too_many(turn, &pending, &said));
            }
            Ok(said) if said.code == Code::Ok => admit(turn, &pending, &said),
            // A service that does not say which of the two has not decided.
            _ => Err(Failure::Unusable),
        },
        (None, _) => Err(Failure::Unusable),
        (Some(Failure::Timeout), _) if is_cut_short(turn, &pending) => Err(Failure::Deadline),
        (Some(failure), _) => Err(failure),
    };
    match outcome {
        Ok(()) => note(turn, &pending, (Outcome::Allowed, false), waited),
        Err(failure) => {
            if let Some(ending) = fail(turn, &pending, failure, waited) {
                return Flow::End(ending);
            }
        }
    }
    call(turn)
}

/// Whether there was less time left than the limit gives its service.
fn is_cut_short(turn: &Turn<'_, '_, '_>, pending: &LimitCall) -> bool {
    pending.limit(turn.engine).is_some_and(|limit| pending.timeout < limit.timeout)
}

/// Notes what came of a call, whether the request goes on although it failed, and how long it took.
fn note(
    turn: &mut Turn<'_, '_, '_>,
    pending: &LimitCall,
    (outcome, fails_open): (Outcome, bool),
    waited: Duration,
) {
    turn.found.decision.calls.push(Asked {
        policy: pending.policy,
        service: Service::RateLimit,
        outcome,
        is_cached: false,
        fails_open,
        milliseconds: u32::try_from(waited.as_millis()).unwrap_or(u32::MAX),
    });
}

/// What becomes of a request about which a service gave no answer: its end, unless it goes on.
fn fail(
    turn: &mut Turn<'_, '_, '_>,
    pending: &LimitCall,
    failure: Failure,
    waited: Duration,
) -> Option<Ending> {
    let mode = pending.limit(turn.engine).map(|limit| limit.failure_mode).unwrap_or_default();
    let is_open = mode == FailureMode::FailOpen;
    note(turn, pending, (Outcome::Failed(failure), is_open), waited);
    (!is_open).then(|| refusal(Reason::NoAnswer, pending.policy))
}

/// The end of a request of which it cannot be said whether there have been too many.
fn refusal(reason: Reason, policy: usize) -> Ending {
    Ending {
        policy: Some(policy),
        reply: Some(Box::new(Reply::limit_failed(reason))),
        ..Ending::because(reason)
    }
}

/// Does what a service asks for with a request that it admits.
fn admit(
    turn: &mut Turn<'_, '_, '_>,
    pending: &LimitCall,
    said: &RateLimitResponse<'_>,
) -> Result<(), Failure> {
    let request = all_legal(&said.request_headers, Direction::Request);
    let response = all_legal(&said.response_headers, Direction::Response);
    let (Some(request), Some(response)) = (request, response) else {
        return Err(Failure::Unusable);
    };
    if !request.is_empty() {
        // A trailer of the same name must not follow.
        let names = request.iter().map(|(name, _)| name.clone());
        turn.services().written.extend(names);
        let lines = turn.current().len().saturating_mul(request.len());
        turn.meter.spend_on(lines, LINES_A_STEP);
        let (headers, changes) = turn.changing();
        let before = changes.len();
        for line in request {
            overwrite(headers, changes, line);
        }
        turn.provide();
        turn.trace_changes(pending.policy, Feature::GlobalRateLimit, before);
    }
    let quota = fewest(&said.statuses, |_| true).and_then(|(_, status)| quota(status));
    let quota = quota.filter(|_| pending.tells);
    turn.found.responds |= quota.is_some() || !response.is_empty();
    let services = turn.services();
    collect(response, &mut services.response_headers);
    if let Some(quota) = quota {
        services.quota = Some(quota.or_fewer(services.quota));
    }
    Ok(())
}

/// The end of a request that is over a limit. The answer is the service's, with what it says of the
/// limit that is reached.
fn too_many(
    turn: &mut Turn<'_, '_, '_>,
    pending: &LimitCall,
    said: &RateLimitResponse<'_>,
) -> Ending {
    // What was told of limits that admit the request does not belong to this answer.
    turn.services().quota = None;
    let reached = fewest(&said.statuses, |status| status.code == Code::OverLimit)
        .or_else(|| fewest(&said.statuses, |_| true));
    let (number, status) = reached.unzip();
    let mut reply = Reply::refusing(Reason::RateLimited);
    let is_grpc = is_grpc(&turn.facts.headers);
    let is_too_long = is_grpc && said.body.len() > MAX_MESSAGE;
    if !said.body.is_empty() && !is_too_long {
        reply.body = said.body.to_vec().into();
    }
    // A header that it must not set is no reason to let the request through. The proxy itself makes
    // an answer of gRPC, with these headers.
    let is_own = |name: &str| is_grpc && (name == "content-type" || name.starts_with("grpc-"));
    let lines = said.response_headers.iter();
    let lines = lines.filter_map(|header| legal(header, Direction::Response));
    reply.headers = lines.filter(|(name, _)| !is_own(name)).collect();
    if let Some(quota) = status.and_then(quota) {
        quota.tell(&mut reply);
    }
    if !reply.headers.iter().any(|(name, _)| name == "retry-after") {
        let wait = status.map_or(0, reset).max(1).to_string();
        reply.headers.push(("retry-after".to_owned(), wait.into_bytes()));
    }
    let owner = number.and_then(|number| pending.owners.get(number));
    Ending {
        policy: Some(owner.copied().unwrap_or(pending.policy)),
        reply: Some(Box::new(reply)),
        ..Ending::because(Reason::RateLimited)
    }
}

/// Of the statuses that count, that of the limit with the fewest hits left, and its number. One
/// without a limit comes last.
fn fewest<'s, 'm>(
    statuses: &'s [DescriptorStatus<'m>],
    counts: impl Fn(&DescriptorStatus<'m>) -> bool,
) -> Option<(usize, &'s DescriptorStatus<'m>)> {
    let counted = statuses.iter().enumerate().filter(|(_, status)| counts(status));
    counted.min_by_key(|(_, status)| (status.limit.is_none(), status.remaining))
}

/// What the caller is told of a limit.
fn quota(status: &DescriptorStatus<'_>) -> Option<Quota> {
    Some(Quota {
        limit: status.limit?.requests.into(),
        remaining: status.remaining.into(),
        reset: reset(status),
    })
}

/// The seconds until a limit allows its full number again, rounded up.
fn reset(status: &DescriptorStatus<'_>) -> u64 {
    let until = status.until_reset;
    until.as_secs().saturating_add(u64::from(until.subsec_nanos() > 0))
}
