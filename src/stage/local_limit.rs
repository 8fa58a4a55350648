//! Takes tokens from the buckets of the local rate limits in scope. Each must have one, or the
//! request is refused; those that were taken before are not given back.

use super::choose::{failed, original};
use super::{Ending, Flow, Found, Turn};
use crate::attributes::view::View;
use crate::cel::data::Data;
use crate::cel::meter::Meter;
use crate::config::QuotaHeaders;
use crate::decision::{Reason, Reply};
use crate::policy::Engine;
use crate::policy::rate_limit::LocalLimit;
use crate::rate_limit::limiter::{Outcome, Owner};
use crate::rate_limit::quota::Quota;
use crate::request::Facts;
use crate::trace::Feature;

/// How many bytes of a key can be hashed for one step.
const BYTES_A_STEP: usize = 64;
/// The detail where shared data could not be read or written.
const NOT_SHARED: &str = "shared data could not be read or written";
/// The detail where a request found no room for a bucket of its own.
const CROWDED: &str = "too many keys of the limit are in use";

/// Why it is not known whether a limit admits the request.
enum Undecided {
    /// Its key failed.
    Key(String),
    /// Shared data could not be read or written.
    Unavailable,
    /// The request has no steps left, or something of it could not be read: it is refused for that.
    Unreadable,
}

/// Takes a token from each bucket, in configuration order.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    turn.find_acting();
    let (engine, facts, meter) = (turn.engine, turn.facts, turn.meter);
    let came = original(engine, facts, turn.admitted.as_ref());
    let changed;
    let view = match &turn.headers {
        Some(headers) => {
            changed = came.with_request(headers);
            &changed
        }
        None => &came,
    };
    let Found { applied, decision, responds, .. } = &mut *turn.found;
    let mut told: Option<Quota> = None;
    for (index, policy) in engine.policies_at(applied) {
        let Some(limits) = &policy.rate_limit else { continue };
        let (entry, form) = match limits.choose_of(&came, meter, |form| !form.local.is_empty()) {
            Ok(Some(form)) => form,
            Ok(None) => continue,
            Err(error) => {
                decision.errors.push((index, error));
                return Flow::End(failed(index));
            }
        };
        if let Some(trace) = turn.trace.as_deref_mut() {
            trace.chose(index, Feature::LocalRateLimit, entry, true);
        }
        for limit in &form.local {
            let outcome = match take(engine, facts, meter, view, limit) {
                Ok(outcome) => outcome,
                Err(Undecided::Unreadable) => return Flow::Next,
                Err(Undecided::Unavailable) => {
                    return Flow::End(Ending::internal_error(NOT_SHARED));
                }
                Err(Undecided::Key(error)) => {
                    decision.errors.push((index, ["key of `rateLimit`: ", &error].concat()));
                    return Flow::End(Ending {
                        policy: Some(index),
                        reply: Some(Box::new(Reply::limit_failed(Reason::CalloutError))),
                        ..Ending::because(Reason::CalloutError)
                    });
                }
            };
            if outcome.is_shared && engine.limiter.is_news_that_crowded() {
                log::warn!(
                    "egress filter: policy {}: {CROWDED}, and others share one",
                    policy.name
                );
            }
            if !outcome.is_admitted {
                return Flow::End(Ending {
                    detail: outcome.is_shared.then_some(CROWDED),
                    policy: Some(index),
                    reply: Some(Box::new(outcome.quota.refusal())),
                    ..Ending::because(Reason::RateLimited)
                });
            }
            if form.headers == QuotaHeaders::All {
                told = Some(outcome.quota.or_fewer(told));
            }
        }
    }
    if told.is_some() {
        *responds = true;
        turn.services().quota = told;
    }
    Flow::Next
}

/// Takes a token from the bucket that the request has of a limit.
fn take(
    engine: &Engine,
    facts: &Facts<'_>,
    meter: &Meter,
    view: &View<'_>,
    limit: &LocalLimit,
) -> Result<Outcome, Undecided> {
    let value;
    let owner = match &limit.key {
        Some(key) => {
            let data = meter.rule(|allowance| key.data(view, allowance));
            value = data.map_err(Undecided::Key).map(told_apart)?;
            Owner::Value(value.0, &value.1)
        }
        None => engine.caller(facts).spiffe_id().map_or(Owner::Nobody, Owner::Caller),
    };
    meter.spend_on(owner.size(), BYTES_A_STEP);
    if meter.is_exhausted() || facts.failed() {
        return Err(Undecided::Unreadable);
    }
    let taken = engine.limiter.take(limit.id, &limit.bucket, owner, facts.source());
    taken.map_err(|_| Undecided::Unavailable)
}

/// What tells a value of a key apart: its type and its bytes. An int and a uint of the same number
/// are one value. There are no others than these types ([`Expected::Scalar`]).
///
/// [`Expected::Scalar`]: crate::cel::Expected::Scalar
fn told_apart(data: Data) -> (u8, Vec<u8>) {
    match data {
        Data::Text(text) => (0, text.into_bytes()),
        Data::Bytes(bytes) => (1, bytes),
        Data::Int(number) => (2, number.to_string().into_bytes()),
        Data::Uint(number) => (2, number.to_string().into_bytes()),
        Data::Bool(value) => (3, vec![u8::from(value)]),
        _ => (4, Vec::new()),
    }
}
