//! Which policy's feature a request gets, where a feature can be applied once, and in which form.

use super::{Admitted, Ending, Turn};
use crate::attributes::view::View;
use crate::decision::Reason;
use crate::policy::conditional::Conditional;
use crate::policy::{Engine, Policy};
use crate::request::Facts;
use crate::trace::Feature;

/// The first policy in scope whose feature is for the request: it has a form for it, and the form
/// fits.
///
/// # Errors
/// A condition failed. That denies the request, because what the condition would have chosen is not
/// known.
pub(super) fn first<'a, T>(
    turn: &mut Turn<'a, '_, '_>,
    feature: Feature,
    of: impl Fn(&'a Policy) -> Option<&'a Conditional<T>>,
    fits: impl Fn(&T) -> bool,
) -> Result<Option<(usize, &'a T)>, Ending> {
    let engine = turn.engine;
    let view = original(engine, turn.facts, turn.admitted.as_ref());
    for (index, policy) in engine.policies_at(&turn.found.applied) {
        let Some(conditional) = of(policy) else { continue };
        let form = match conditional.choose(&view, turn.meter) {
            Ok(form) => form,
            Err(error) => {
                turn.found.decision.errors.push((index, error));
                return Err(failed(index));
            }
        };
        let Some((entry, form)) = form else { continue };
        let is_used = fits(form);
        if let Some(trace) = turn.trace.as_deref_mut() {
            trace.chose(index, feature, entry, is_used);
        }
        if is_used {
            return Ok(Some((index, form)));
        }
    }
    Ok(None)
}

/// The request as it came, with what services have made of its headers, which is what conditions
/// see.
pub(super) fn original<'v>(
    engine: &'v Engine,
    facts: &'v Facts<'v>,
    admitted: Option<&'v Admitted<'_, '_>>,
) -> View<'v> {
    let view = View::new(facts, &engine.callers);
    match admitted {
        Some(admitted) => view.with_host(&admitted.host, admitted.path_has_escapes),
        None => view,
    }
}

/// The end of a request because a condition of this policy failed.
pub(super) fn failed(policy: usize) -> Ending {
    Ending { policy: Some(policy), ..Ending::because(Reason::ConditionError) }
}
