//! The stages of a decision. Their order is that of `crate::order`.
//!
//! A stage looks at a request, and passes it to the next stage, ends it, or calls a service and
//! waits. The caller's identity has no stage: it is read when a stage first needs it, so that
//! requests which are decided without it do not pay for it.

mod admission;
mod authorization;
mod choose;
mod credentials;
mod direct_response;
mod header_modifiers;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
mod redirect;
pub(crate) mod response;
mod rewrite;
mod router_headers;
#[cfg(test)]
pub(crate) mod tests;
mod transformation;

pub(crate) use admission::{Admitted, request_host};

use crate::call::{Answer, Call, CallId};
use crate::cel::meter::Meter;
use crate::config::Direction;
use crate::decision::{Change, Decision, Reason, Reply};
use crate::order::Stage;
use crate::path::PathSafety;
use crate::policy::conditional::Conditional;
use crate::policy::{Engine, Policy, Transformation};
use crate::request::Facts;
use crate::request::headers::Headers;
use crate::trace::{Feature, Trace};

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
    Wait(Box<Call>),
    /// The request waits until a fetch of the token of this credential ends.
    Await(usize),
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
    pub(crate) reply: Option<Box<Reply>>,
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
    /// The policies that do anything with the request, its response, and the trailers of both,
    /// beside deciding.
    pub(crate) applied: Vec<u32>,
    /// Of these, those whose transformation has conditions, and the index of the form that was
    /// chosen. Those of which none was chosen are not here.
    pub(crate) chosen: Vec<(usize, usize)>,
    /// Whether any of them has rules for the response.
    pub(crate) responds: bool,
    /// The credentials whose tokens the request has waited for.
    pub(crate) waited: Vec<usize>,
}

impl Default for Found {
    fn default() -> Self {
        Found {
            decision: Decision::because(Reason::NoAllowRule),
            candidates: Vec::new(),
            applied: Vec::new(),
            chosen: Vec::new(),
            responds: false,
            waited: Vec::new(),
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
    /// The request's headers as the stages so far have changed them; none while they are as they
    /// came.
    pub(crate) headers: Option<Headers<'a>>,
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

impl<'a> Turn<'a, '_, '_> {
    /// The request's headers, to be changed, and the list of the changes.
    pub(crate) fn changing(&mut self) -> (&mut Headers<'a>, &mut Vec<Change<'a>>) {
        let facts = self.facts;
        let changes = &mut self.changes;
        let headers = self.headers.get_or_insert_with(|| {
            changes.reserve(8);
            facts.headers.clone()
        });
        (headers, changes)
    }

    /// The request's headers as the stages so far have changed them.
    pub(crate) fn current(&self) -> &Headers<'a> {
        self.headers.as_ref().unwrap_or(&self.facts.headers)
    }

    /// The path safety for the request's host.
    pub(crate) fn path_safety(&self) -> PathSafety {
        let of_host = self.admitted.as_ref().and_then(|admitted| admitted.groups.path_safety());
        of_host.unwrap_or(self.engine.path_safety)
    }

    /// Records what a policy has changed: the changes from this index on.
    pub(crate) fn trace_changes(&mut self, policy: usize, feature: Feature, from: usize) {
        if let Some(trace) = self.trace.as_deref_mut() {
            let changes = self.changes.get(from..).unwrap_or_default();
            trace.changed(policy, feature, Direction::Request, changes);
        }
    }

    /// Finds out again, after a wait, what admission found in the request line.
    pub(crate) fn readmit(&mut self) {
        self.admitted = Admitted::of(self.engine, self.facts).ok();
    }
}

impl Found {
    /// The form of a policy's transformation that was chosen for the request.
    pub(crate) fn transformation<'p>(
        &self,
        index: usize,
        policy: &'p Policy,
    ) -> Option<&'p Transformation> {
        match &policy.transformation {
            Conditional::Always(form) => Some(form),
            several @ Conditional::FirstTrue(_) => {
                let (_, entry) = self.chosen.iter().find(|(chosen, _)| *chosen == index)?;
                several.get(*entry)
            }
        }
    }
}

impl Stage {
    /// Runs the stage. Those that every request passes are part of the loop over the stages, as a
    /// [`Flow`] is large.
    #[inline(always)]
    pub(crate) fn enter(self, turn: &mut Turn<'_, '_, '_>) -> Flow {
        if let Some(trace) = turn.trace.as_deref_mut() {
            trace.stages.push(self.name());
        }
        match self {
            Stage::Admission => admission::enter(turn),
            Stage::Authorization => authorization::enter(turn),
            Stage::Transformation => transformation::enter(turn),
            _ => self.enter_further(turn),
        }
    }

    #[inline(never)]
    fn enter_further(self, turn: &mut Turn<'_, '_, '_>) -> Flow {
        match self {
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::enter(turn),
            Stage::Admission | Stage::Authorization | Stage::Transformation => {
                Flow::End(Ending::internal_error("a stage of all requests among the further ones"))
            }
            Stage::HeaderModifiers => header_modifiers::enter(turn),
            Stage::Rewrite => rewrite::enter(turn),
            Stage::RouterHeaders => router_headers::enter(turn),
            Stage::Redirect => redirect::enter(turn),
            Stage::DirectResponse => direct_response::enter(turn),
            Stage::Credentials => credentials::enter(turn),
        }
    }

    /// Continues with the answer to the call that the stage made. A stage that makes no calls can
    /// never get one, so the request is refused.
    pub(crate) fn answered(self, turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
        match self {
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::answered(turn, answer),
            Stage::Admission
            | Stage::Authorization
            | Stage::Transformation
            | Stage::HeaderModifiers
            | Stage::Rewrite
            | Stage::Redirect
            | Stage::RouterHeaders
            | Stage::DirectResponse
            | Stage::Credentials => {
                let _ = (turn, answer);
                Flow::End(Ending::internal_error("an answer for a stage that makes no calls"))
            }
        }
    }

    /// Continues after the token that the stage waits for was fetched, or could not be.
    pub(crate) fn fetched(self, turn: &mut Turn<'_, '_, '_>) -> Flow {
        match self {
            Stage::Credentials => credentials::enter(turn),
            _ => Flow::End(Ending::internal_error("a token for a stage that needs none")),
        }
    }
}
