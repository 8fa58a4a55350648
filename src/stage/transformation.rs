//! Computes how the header rules of the policies in scope change the request, on a copy of its
//! headers: the changes are written once, when the request goes on.

use super::choose::{failed, original};
use super::{Ending, Flow, Found, NOT_ADMITTED, Turn, body, make_room};
use crate::attributes;
use crate::attributes::view::View;
use crate::cel::Expression;
use crate::cel::attributes::Set;
use crate::cel::meter::{Allowance, Meter};
use crate::config::Direction;
use crate::decision::Reason;
use crate::policy::Transformation;
use crate::policy::conditional::Conditional;
use crate::request::headers::{Headers, Known};
use crate::trace::{Applied, Feature};

/// Applies the header rules of each policy, in configuration order.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let Some(admitted) = &turn.admitted else {
        return Flow::End(Ending::internal_error(NOT_ADMITTED));
    };
    let (engine, facts) = (turn.engine, turn.facts);
    if engine.bodies().is_some() {
        body::keep_judged(turn.headers.as_deref(), &mut turn.found.body);
    }
    let Found { applied, chosen, responds, decision, .. } = &mut *turn.found;
    engine.index.acting(&admitted.groups, applied);
    let mut reads = Set::default();
    let came = View::new(facts, &engine.callers);
    for (index, policy) in engine.policies_at(applied) {
        if policy.header_modifiers.as_ref().is_some_and(|both| !both.response.is_empty()) {
            *responds = true;
        }
        let form = match &policy.transformation {
            Conditional::Always(form) => form,
            several => {
                let view = original(engine, facts, Some(admitted));
                match choose(several, &view, turn.meter) {
                    Ok(None) => continue,
                    Ok(Some((entry, form))) => {
                        chosen.push((index, entry));
                        if let Some(trace) = turn.trace.as_deref_mut() {
                            trace.chose(index, Feature::Transformation, entry, true);
                        }
                        form
                    }
                    Err(error) => {
                        decision.errors.push((index, error));
                        return Flow::End(failed(index));
                    }
                }
            }
        };
        if form.response_body.is_some() {
            *responds = true;
        }
        if !form.response.is_empty() {
            *responds = true;
            reads = reads.or(form.response.reads());
        }
        if form.request.is_empty() {
            continue;
        }
        let headers = turn.headers.get_or_insert_with(|| {
            make_room(&mut turn.changes);
            Box::new(facts.headers.clone())
        });
        let value_of = |headers: &Headers<'_>, value: &Expression, allowance: &Allowance| {
            value.header_value(&came.with_request(headers), allowance)
        };
        let before = turn.changes.len();
        let applied = form.request.apply(headers, &mut turn.changes, turn.meter, value_of);
        let errors = applied.errors.into_iter().map(|message| (index, message));
        decision.errors.extend(errors);
        if let Some(trace) = turn.trace.as_deref_mut() {
            let changed = turn.changes.len() > before;
            trace.applied.push(Applied { policy: index, direction: Direction::Request, changed });
        }
        if applied.unusable {
            let policy = Some(index);
            return Flow::End(Ending { policy, ..Ending::because(Reason::RewriteError) });
        }
        if form.request.makes_path {
            let safety = admitted.groups.path_safety().unwrap_or(engine.path_safety);
            let path = headers.known(Known::PATH).unwrap_or_default();
            if let Some(why) = safety.objection(path) {
                let (detail, policy) = (Some(why), Some(index));
                let ending = Ending { detail, policy, ..Ending::because(Reason::RewriteError) };
                return Flow::End(ending);
            }
        }
    }
    // When the response arrives, the proxy no longer has all properties of the request.
    if *responds {
        attributes::prefetch(reads, &came);
    }
    Flow::Next
}

/// Chooses the form of a transformation that has conditions. It is kept apart because inlining it
/// would cost requests whose transformations have none.
#[cold]
#[inline(never)]
fn choose<'p>(
    several: &'p Conditional<Transformation>,
    view: &View<'_>,
    meter: &Meter,
) -> Result<Option<(usize, &'p Transformation)>, String> {
    several.choose(view, meter)
}
