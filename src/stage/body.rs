//! The stages that need the request's body, and what they need of it.

use super::authorization::in_passes;
use super::{Ending, Flow, Turn};
use crate::attributes::view::View;
use crate::cel::Expression;
use crate::cel::data::Data;
use crate::cel::meter::Meter;
use crate::config::{Direction, Mode};
use crate::decision::Reason;
use crate::order::Stage;
use crate::policy::Engine;
use crate::policy::header_rules::COPIED_A_STEP;
use crate::policy::rule::{Pass, Rule};
use crate::request::Body;
use crate::request::headers::Headers;

/// What stages that need bodies have found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The request's headers as rules read them, in the form that [`Headers::from_pairs`] reads;
    /// none while they are as they came. Only services have changed them: what policies change,
    /// and the credentials, is not in them.
    pub(crate) judged: Option<Vec<u8>>,
    /// The body that services get, as it came.
    pub(crate) came: Vec<u8>,
    /// The new body of the request.
    pub(crate) new: Option<Vec<u8>>,
}

/// Keeps the request's headers for the rules that read its body. They are evaluated once policies
/// have changed the headers, and do not see that.
#[cold]
#[inline(never)]
pub(crate) fn keep_judged(headers: Option<&Headers<'_>>, found: &mut Option<Box<Found>>) {
    if let Some(headers) = headers {
        found.get_or_insert_default().judged = Some(headers.to_pairs());
    }
}

/// What a request needs its body for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Rules that read it are among those that can matter.
    pub(crate) judges: bool,
    /// The result of one of them may matter, if only for a report.
    pub(crate) reads: bool,
    /// Without the body, the request must not go on.
    pub(crate) enforces: bool,
    /// The most bytes that it may have, if services get it.
    pub(crate) forwards: Option<usize>,
    /// It is to be replaced.
    pub(crate) replaces: bool,
}

/// What a request needs its body for that has passed the other stages.
pub(crate) fn needs(engine: &Engine, found: &super::Found) -> Needs {
    let mut needs = Needs::default();
    for (_, policy) in engine.policies_at(&found.candidates) {
        if policy.rule.as_ref().is_none_or(|rule| rule.pass != Pass::Body) {
            continue;
        }
        needs.judges = true;
        let is_allow = policy.rule.as_ref().is_some_and(Rule::is_allow);
        let is_enforced = policy.mode == Mode::Enforce;
        // A request that is allowed already needs no further Allow.
        let is_moot = is_enforced && is_allow && found.decision.reason == Reason::AllowMatched;
        needs.reads |= !is_moot;
        needs.enforces |= is_enforced && !is_moot;
    }
    needs.replaces = engine.body_order.contains(&Stage::BodyTransformation)
        && engine.policies_at(&found.applied).any(|(index, policy)| {
            found.transformation(index, policy).is_some_and(|form| form.request_body.is_some())
        });
    needs.forwards = super::ext_auth::forwarded(engine, found);
    needs.enforces |= needs.replaces;
    needs
}

/// Evaluates the rules that read the body.
#[inline(never)]
pub(super) fn authorize(turn: &mut Turn<'_, '_, '_>) -> Flow {
    in_passes(turn, Pass::Body)
}

/// Computes the new body, policy by policy in configuration order. Each sees what the one before
/// has made.
#[inline(never)]
pub(super) fn transform(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let (engine, facts) = (turn.engine, turn.facts);
    let mut new: Option<Vec<u8>> = None;
    let mut failed = None;
    for (index, policy) in engine.policies_at(&turn.found.applied) {
        let form = turn.found.transformation(index, policy);
        let Some(expression) = form.and_then(|form| form.request_body.as_ref()) else { continue };
        let now = facts.again().with_body(new.as_deref().map_or(facts.body(), Body::Read));
        turn.found.tell(&now);
        let view = View::new(&now, &engine.callers);
        match new_body(expression, &view.with_request(turn.current()), turn.meter) {
            Ok(bytes) => {
                new = Some(bytes);
                if let Some(trace) = turn.trace.as_deref_mut() {
                    trace.replaced_body(index, Direction::Request);
                }
            }
            Err(message) => {
                failed = Some((index, message));
                break;
            }
        }
    }
    if let Some((index, message)) = failed {
        turn.found.decision.errors.push((index, message));
        return Flow::End(Ending { policy: Some(index), ..Ending::because(Reason::RewriteError) });
    }
    turn.found.body.get_or_insert_default().new = new;
    Flow::Next
}

/// Evaluates the expression of a new body.
///
/// # Errors
/// Why there is none.
pub(super) fn new_body(
    expression: &Expression,
    view: &View<'_>,
    meter: &Meter,
) -> Result<Vec<u8>, String> {
    let bytes = meter.rule(|allowance| {
        let bytes = match expression.data(view, allowance)? {
            Data::Text(text) => text.into_bytes(),
            Data::Bytes(bytes) => bytes,
            other => other.json().ok_or("the result has no form in JSON")?.into_bytes(),
        };
        allowance.spend_on(bytes.len(), COPIED_A_STEP);
        match allowance.breached() {
            Some(breach) => Err(breach.to_owned()),
            None => Ok(bytes),
        }
    });
    bytes.map_err(|message| format!("new body: {message}"))
}
