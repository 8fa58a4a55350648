//! Gives headers of the request the values that the policies in scope state, on the exchange's own
//! copy.

use super::{Flow, Turn};
use crate::trace::Feature;

/// Applies the modifiers of each policy, in configuration order.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let engine = turn.engine;
    let applied = std::mem::take(&mut turn.found.applied);
    for (index, policy) in engine.policies_at(&applied) {
        let modifiers = policy.header_modifiers.as_ref().map(|both| &both.request);
        let Some(modifiers) = modifiers.filter(|modifiers| !modifiers.is_empty()) else { continue };
        let (meter, before) = (turn.meter, turn.changes.len());
        let (headers, changes) = turn.changing();
        modifiers.apply(headers, changes, meter);
        turn.trace_changes(index, Feature::HeaderModifiers, before);
    }
    turn.found.applied = applied;
    Flow::Next
}
