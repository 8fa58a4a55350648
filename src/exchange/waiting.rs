//! An exchange that waits: what for, and how it goes on.

use super::kept::Kept;
use super::{Exchange, Step};
use crate::call::{Answer, CallId};
use crate::order::Stage;
use crate::policy::Engine;
use crate::request::Source;
use crate::stage::{Ending, Flow, Turn};
use crate::trace::Trace;

/// How many bytes of an answer cost a step.
const ANSWER_BYTES_A_STEP: usize = 64;

/// What an exchange waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) on: On,
    /// The index, in the order of stages, of the stage that waits.
    pub(super) stage: usize,
}

impl Pending {
    /// A wait of the stage before this index.
    pub(super) fn before(next: usize, on: On) -> Pending {
        Pending { on, stage: next.saturating_sub(1) }
    }
}

/// What an exchange can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// The answer to a call of its own.
    Call(CallId),
    /// The end of a fetch of the token of this credential, for which others may wait as well.
    Token(usize),
}

/// What a stage has waited for, and what came of it.
#[derive(Debug)]
pub(super) struct Resumed<'r> {
    pub(super) stage: usize,
    /// The answer to the call, if it was a call.
    pub(super) answer: Option<Answer<'r>>,
}

impl Resumed<'_> {
    /// Tells the stage that has waited. It is apart from the loop over the stages, which most
    /// requests run through once.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&self, turn: &mut Turn<'_, '_, '_>, order: &[Stage]) -> Flow {
        turn.readmit();
        let Some(stage) = order.get(self.stage) else {
            return Flow::End(Ending::internal_error("an answer for a stage that does not exist"));
        };
        match &self.answer {
            None => stage.fetched(turn),
            Some(answer) => {
                let waited = turn.waited;
                let spent = &mut turn.services().spent;
                *spent = spent.saturating_add(waited);
                // Reading what a service sends takes steps, as reading what the caller sends does.
                turn.meter.rule(|allowance| {
                    allowance.spend_on(answer.size(), ANSWER_BYTES_A_STEP);
                });
                stage.answered(turn, answer)
            }
        }
    }
}

impl Exchange {
    /// Runs the stages from the one that has waited. What those before it have changed was kept.
    pub(super) fn resume<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        resumed: Resumed<'_>,
        trace: Option<&'s mut Trace>,
    ) -> Step<'s> {
        let Some(kept) = self.kept.take() else {
            return self.run(engine, source, Some((resumed, None)), trace);
        };
        let changes = match self.run(engine, source, Some((resumed, Some(&kept))), trace) {
            Step::Forward(changes) => Box::new(Kept::of(None, &changes)),
            // The other steps borrow nothing of what was kept.
            Step::Call(call) => return Step::Call(call),
            Step::Await(credential) => return Step::Await(credential),
            Step::Hold => return Step::Hold,
            Step::Replace(new) => return Step::Replace(new),
            Step::Reply(reply) => return Step::Reply(reply),
            Step::Reset => return Step::Reset,
            Step::Ignore => return Step::Ignore,
        };
        Step::Forward(self.kept.insert(changes).changes())
    }
}
