//! Computes how the header rules of the policies in scope change the request, on a copy of its
//! headers: the changes are written once, when the request goes on.

use super::{Ending, Flow, NOT_ADMITTED, Turn};
use crate::attributes;
use crate::attributes::view::View;
use crate::cel::Expression;
use crate::cel::attributes::Set;
use crate::cel::meter::Allowance;
use crate::config::Direction;
use crate::decision::Reason;
use crate::request::headers::Headers;
use crate::trace::Applied;

/// Applies the header rules of each policy, in configuration order.
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let Some(admitted) = &turn.admitted else {
        return Flow::End(Ending::internal_error(NOT_ADMITTED));
    };
    let (engine, facts) = (turn.engine, turn.facts);
    let found = &mut *turn.found;
    engine.index.acting(&admitted.groups, &mut found.applied);
    let mut reads = Set::default();
    for (index, policy) in engine.policies_at(&found.applied) {
        if !policy.response.is_empty() {
            found.responds = true;
            reads = reads.or(policy.response.reads());
        }
        if policy.request.is_empty() {
            continue;
        }
        let headers = turn.headers.get_or_insert_with(|| {
            turn.changes.reserve(8);
            facts.headers.clone()
        });
        let value_of = |headers: &Headers<'_>, value: &Expression, allowance: &Allowance| {
            value.header_value(&View::new(facts, &engine.callers).with_request(headers), allowance)
        };
        let before = turn.changes.len();
        let applied = policy.request.apply(headers, &mut turn.changes, turn.meter, value_of);
        let errors = applied.errors.into_iter().map(|message| (index, message));
        found.decision.errors.extend(errors);
        if let Some(trace) = turn.trace.as_deref_mut() {
            let changed = turn.changes.len() > before;
            trace.applied.push(Applied { policy: index, direction: Direction::Request, changed });
        }
        if applied.unusable {
            let policy = Some(index);
            return Flow::End(Ending { policy, ..Ending::because(Reason::RewriteError) });
        }
    }
    // When the response arrives, the proxy no longer has all properties of the request.
    if found.responds {
        attributes::prefetch(reads, &View::new(facts, &engine.callers));
    }
    Flow::Next
}
