//! Answers a request in the origin's place.

use super::choose::first;
use super::{Ending, Flow, Turn};
use crate::attributes::view::View;
use crate::decision::{Reason, Reply};
use crate::trace::Feature;

/// Answers with the first direct response in scope that is for the request.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let of_policy =
        first(turn, Feature::DirectResponse, |policy| policy.direct_response.as_deref(), |_| true);
    let (index, answer) = match of_policy {
        Ok(Some(found)) => found,
        Ok(None) => return Flow::Next,
        Err(ending) => return Flow::End(ending),
    };
    let (facts, engine, request) = (turn.facts, turn.engine, turn.current());
    let composed = answer.reply.compose(&facts.headers, turn.meter, |value, allowance| {
        value.header_value(&View::new(facts, &engine.callers).with_request(request), allowance)
    });
    let body_failed = composed.body_failed;
    let policy = Some(index);
    let errors = composed.errors.iter().map(|message| (index, message.clone()));
    turn.found.decision.errors.extend(errors);
    if body_failed {
        return Flow::End(Ending { policy, ..Ending::because(Reason::AnswerError) });
    }
    let mut reply = Reply::in_place(Reason::DirectResponse, answer.status);
    composed.put_into(&mut reply);
    Flow::End(Ending {
        policy,
        reply: Some(Box::new(reply)),
        ..Ending::because(Reason::DirectResponse)
    })
}
