//! The stages of a decision, and their order.
//!
//! A stage looks at a request, and passes it to the next stage, ends it, or calls a service and
//! waits. The caller's identity has no stage: it is read when a stage first needs it, so that
//! requests which are decided without it do not pay for it.

mod admission;
mod authorization;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
pub(crate) mod response;
#[cfg(test)]
pub(crate) mod tests;
mod transformation;

pub(crate) use admission::{Admitted, request_host};

use crate::call::{Answer, Call, CallId};
use crate::cel::meter::Meter;
use crate::decision::{Change, Decision, Reason, Reply};
use crate::policy::Engine;
use crate::request::Facts;
use crate::trace::Trace;

/// A stage of the decision about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Refuses what no origin should get, whatever the rules say.
    Admission,
    /// Evaluates the Deny, Require and Allow rules.
    Authorization,
    /// Calls a service, for tests of requests that wait.
    #[cfg(any(test, feature = "trap-for-tests"))]
    Probe,
    /// Computes the changes of the request's headers.
    Transformation,
}

/// The order of the stages. It is written down only here; tests hold the documents to it.
pub(crate) const ORDER: &[Stage] = &[
    Stage::Admission,
    Stage::Authorization,
    #[cfg(any(test, feature = "trap-for-tests"))]
    Stage::Probe,
    Stage::Transformation,
];

/// What follows a stage.
#[derive(Debug)]
pub(crate) enum Flow {
    /// The next stage follows.
    Next,
    /// This call is made, and the request waits for the answer.
    #[cfg_attr(
        not(any(test, feature = "trap-for-tests")),
        expect(dead_code, reason = "no stage of the shipped filter asks a service yet")
    )]
    Wait(Call),
    /// The request ends here.
    End(Ending),
}

/// The detail where a stage runs whose request was not admitted.
const NOT_ADMITTED: &str = "a stage before admission";

/// How a stage ends a request.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    /// What exactly was wrong, for the audit record.
    pub(crate) detail: Option<&'static str>,
    /// The policy that decided, where one did.
    pub(crate) policy: Option<usize>,
    /// The answer, if it is another than the reason implies.
    pub(crate) reply: Option<Reply>,
}

impl Ending {
    pub(crate) fn because(reason: Reason) -> Ending {
        Ending { reason, detail: None, policy: None, reply: None }
    }

    /// The filter itself is at fault: `detail` says what should never happen.
    pub(crate) fn internal_error(detail: &'static str) -> Ending {
        Ending { detail: Some(detail), ..Ending::because(Reason::InternalError) }
    }
}

/// What stages found out about a request. It is kept while the request waits.
#[derive(Debug)]
pub(crate) struct Found {
    /// What is decided so far.
    pub(crate) decision: Decision,
    /// The policies whose rules can matter to the request.
    pub(crate) candidates: Vec<u32>,
    /// The policies whose header rules apply to the request, its response, and the trailers of
    /// both.
    pub(crate) applied: Vec<u32>,
    /// Whether any of them has rules for the response.
    pub(crate) responds: bool,
}

impl Default for Found {
    fn default() -> Self {
        Found {
            decision: Decision::because(Reason::NoAllowRule),
            candidates: Vec::new(),
            applied: Vec::new(),
            responds: false,
        }
    }
}

/// What the stages work on between two waits.
#[derive(Debug)]
pub(crate) struct Turn<'a, 'f, 't> {
    pub(crate) engine: &'a Engine,
    pub(crate) facts: &'f Facts<'a>,
    pub(crate) meter: &'t Meter,
    pub(crate) found: &'t mut Found,
    /// What admission found in the request line.
    pub(crate) admitted: Option<Admitted<'f, 'a>>,
    /// What to change of the request's headers, in order.
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) trace: Option<&'t mut Trace>,
    /// The number of the call that a stage may make.
    #[cfg_attr(
        not(any(test, feature = "trap-for-tests")),
        expect(dead_code, reason = "no stage of the shipped filter asks a service yet")
    )]
    pub(crate) next_call: CallId,
}

impl Turn<'_, '_, '_> {
    /// Finds out again, after a wait, what admission found in the request line.
    pub(crate) fn readmit(&mut self) {
        self.admitted = Admitted::of(self.engine, self.facts).ok();
    }
}

impl Stage {
    /// The stage's name, in traces and documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Admission => "admission",
            Stage::Authorization => "authorization",
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => "probe",
            Stage::Transformation => "transformation",
        }
    }

    /// Runs the stage.
    pub(crate) fn enter(self, turn: &mut Turn<'_, '_, '_>) -> Flow {
        if let Some(trace) = turn.trace.as_deref_mut() {
            trace.stages.push(self.name());
        }
        match self {
            Stage::Admission => admission::enter(turn),
            Stage::Authorization => authorization::enter(turn),
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::enter(turn),
            Stage::Transformation => transformation::enter(turn),
        }
    }

    /// Continues with the answer to the call that the stage made. A stage that makes no calls can
    /// never get one, so the request is refused.
    pub(crate) fn answered(self, turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
        match self {
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::answered(turn, answer),
            Stage::Admission | Stage::Authorization | Stage::Transformation => {
                let _ = (turn, answer);
                Flow::End(Ending::internal_error("an answer for a stage that makes no calls"))
            }
        }
    }
}
