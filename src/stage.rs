//! The stages of a decision: what each looks at, and the one order in which they come.
//!
//! A stage looks at what is known of a request, and lets it go to the next stage, ends it, or asks
//! a service and waits. Who the caller is has no stage of its own: the identity is read when a
//! stage first asks for it, so that requests which are decided without it do not pay for it.

mod admission;
mod authorization;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
pub(crate) mod response;
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
    /// Asks the Deny, Require and Allow rules.
    Authorization,
    /// Asks a service: for tests of requests that wait.
    #[cfg(any(test, feature = "trap-for-tests"))]
    Probe,
    /// Computes the changes of the request's headers.
    Transformation,
}

/// The order of the stages. It is written here, and nowhere else.
pub(crate) const ORDER: &[Stage] = &[
    Stage::Admission,
    Stage::Authorization,
    #[cfg(any(test, feature = "trap-for-tests"))]
    Stage::Probe,
    Stage::Transformation,
];

/// What comes after a stage.
#[derive(Debug)]
pub(crate) enum Flow {
    /// The next stage.
    Next,
    /// An answer to this call; until then, nothing.
    #[cfg_attr(
        not(any(test, feature = "trap-for-tests")),
        expect(dead_code, reason = "no stage of the shipped filter asks a service yet")
    )]
    Wait(Call),
    /// Nothing: the request ends here.
    End(Ending),
}

/// How a stage ends a request.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    /// What exactly was wrong, for the audit record.
    pub(crate) detail: Option<&'static str>,
    /// The policy that decided, where one did.
    pub(crate) policy: Option<usize>,
    /// The answer, where it is not the one that the reason implies.
    pub(crate) reply: Option<Reply>,
}

impl Ending {
    pub(crate) fn because(reason: Reason) -> Ending {
        Ending { reason, detail: None, policy: None, reply: None }
    }
}

/// What stages found out about a request, kept while it waits.
#[derive(Debug)]
pub(crate) struct Found {
    /// What is decided so far.
    pub(crate) decision: Decision,
    /// The policies whose rules can matter to the request.
    pub(crate) candidates: Vec<u32>,
    /// The policies whose header rules hold for the request, its response, and the trailers of
    /// either.
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
    /// What admission made of the request line.
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
    /// Finds out again what admission made of the request line, after a wait.
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

    /// Goes on with the answer to the call that the stage waits for. A stage that makes no calls
    /// has no business with answers, and lets nothing through because of one.
    pub(crate) fn answered(self, turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
        match self {
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::answered(turn, answer),
            Stage::Admission | Stage::Authorization | Stage::Transformation => {
                let _ = (turn, answer);
                Flow::End(Ending::because(Reason::InternalError))
            }
        }
    }
}
