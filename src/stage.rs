//! The stages of a decision. Their order is that of `crate::order`.
//!
//! A stage looks at a request, and passes it to the next stage, ends it, or calls a service and
//! waits. The caller's identity has no stage: it is read when a stage first needs it, so that
//! requests which are decided without it do not pay for it.

mod admission;
mod answer_headers;
mod authorization;
pub(crate) mod body;
mod choose;
mod collected;
mod credentials;
mod direct_response;
mod ext_auth;
mod global_limit;
mod header_modifiers;
mod late_authorization;
mod local_limit;
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
pub(crate) use collected::{Collected, Write, add_to};

use std::sync::Arc;
use std::time::Duration;

use crate::call::{Answer, Call, CallId, Failure};
use crate::cel::data::Data;
use crate::cel::meter::Meter;
use crate::config::Direction;
use crate::credential::Secret;
use crate::decision::{Change, Decision, Reason, Reply};
use crate::order::Stage;
use crate::path::PathSafety;
use crate::policy::conditional::Conditional;
use crate::policy::{Engine, Policy, Transformation};
use crate::rate_limit::quota::Quota;
use crate::request::Facts;
use crate::request::headers::Headers;
use crate::trace::{Feature, Trace};
use global_limit::LimitCall;

/// What follows a stage.
#[derive(Debug)]
pub(crate) enum Flow {
    /// The next stage follows.
    Next,
    /// This call is made, and the request waits for the answer.
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
    /// What waits for services have brought, if there were any.
    pub(crate) services: Option<Box<Services>>,
    /// Whether nothing follows the request's headers.
    pub(crate) is_bodiless: bool,
    /// What stages that need bodies have found, where there are any.
    pub(crate) body: Option<Box<body::Found>>,
}

/// What services have said about a request. It is apart from the rest because few requests have it.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// The time that the calls have taken together.
    pub(crate) spent: Duration,
    /// How many policies of the stage that calls have been dealt with.
    pub(crate) asked: usize,
    /// What the authorization services have said, for expressions.
    pub(crate) metadata: Option<Arc<Data>>,
    /// The request's headers as the services have left them; none while those are as they came.
    pub(crate) provided: Option<Arc<Headers<'static>>>,
    /// The calls to rate limit services that are still to be answered, the next one last.
    pub(crate) limit_calls: Vec<LimitCall>,
    /// The policies, each with the form that was chosen, whose services get the request's body,
    /// and are still to be asked; the next one last.
    pub(crate) forwards: Vec<(usize, usize)>,
    /// What the pending call to an authorization service is about.
    pub(crate) asking: Option<ext_auth::Asking>,
    /// The credentials that authorization services have given, each with its number among those of
    /// the configuration.
    pub(crate) credentials: Vec<(usize, Secret)>,
    /// The headers of the request that authorization services have set or removed.
    pub(crate) written: Vec<String>,
    /// Lines for the response, whoever makes it.
    pub(crate) response_headers: Vec<Collected>,
    /// What the caller is told of rate limits with the response, unless the response tells it.
    pub(crate) quota: Option<Quota>,
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
            services: None,
            is_bodiless: false,
            body: None,
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
    pub(crate) headers: Option<Box<Headers<'a>>>,
    /// What to change of the request's headers, in order.
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) trace: Option<&'t mut Trace>,
    /// The number of the call that a stage may make.
    pub(crate) next_call: CallId,
    /// How long the wait took that has just ended; zero if none has.
    pub(crate) waited: Duration,
}

/// Makes room for as many changes as few requests have more of, unless there is some.
fn make_room(changes: &mut Vec<Change<'_>>) {
    if changes.capacity() == 0 {
        *changes = Vec::with_capacity(8);
    }
}

impl<'a, 'f, 't> Turn<'a, 'f, 't> {
    /// A turn of a request that has not waited, before it is admitted.
    pub(crate) fn new(
        engine: &'a Engine,
        facts: &'f Facts<'a>,
        meter: &'t Meter,
        found: &'t mut Found,
        trace: Option<&'t mut Trace>,
    ) -> Self {
        Turn {
            engine,
            facts,
            meter,
            found,
            admitted: None,
            headers: None,
            changes: Vec::new(),
            trace,
            next_call: CallId(0),
            waited: Duration::ZERO,
        }
    }

    /// The request's headers, to be changed, and the list of the changes.
    pub(crate) fn changing(&mut self) -> (&mut Headers<'a>, &mut Vec<Change<'a>>) {
        let facts = self.facts;
        let changes = &mut self.changes;
        let headers = self.headers.get_or_insert_with(|| {
            make_room(changes);
            Box::new(facts.headers.clone())
        });
        (headers, changes)
    }

    /// The request's headers as the stages so far have changed them.
    pub(crate) fn current(&self) -> &Headers<'a> {
        self.headers.as_deref().unwrap_or(&self.facts.headers)
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

    /// The policies in scope that do anything beside deciding. A stage before transformation that
    /// needs them finds them so.
    pub(crate) fn find_acting(&mut self) {
        if let Some(admitted) = &self.admitted {
            self.engine.index.acting(&admitted.groups, &mut self.found.applied);
        }
    }

    /// What services have said so far.
    pub(crate) fn services(&mut self) -> &mut Services {
        self.found.services.get_or_insert_default()
    }

    /// Has expressions that are evaluated from now on see the headers as they are now, which a
    /// service has changed.
    pub(crate) fn provide(&mut self) {
        let provided = Arc::new(self.current().owned());
        self.facts.set_provided(Arc::clone(&provided));
        self.services().provided = Some(provided);
    }

    /// How long a call may take that may itself take `timeout`: no longer than what is left of the
    /// time for all calls about the request. None if nothing is left.
    pub(crate) fn time_for(&self, timeout: Duration) -> Option<Duration> {
        let spent = self.found.services.as_ref().map_or(Duration::ZERO, |said| said.spent);
        let left = self.engine.deadline.checked_sub(spent)?;
        // Proxies count milliseconds.
        (left.as_millis() > 0).then(|| timeout.min(left))
    }

    /// Why a call to a service of HTTP or gRPC failed that was to take no longer than `timeout`;
    /// none if there is an answer to be read.
    ///
    /// Envoy answers in the service's place where there is no answer in time (504), where it cannot
    /// reach the service (503), and where what comes is no HTTP (502). To the service's own answers
    /// it adds a header. For gRPC, all of these are the status 14 (`UNAVAILABLE`), as it can be the
    /// service's own: how long it took tells a timeout from the others.
    pub(crate) fn failure(&self, answer: &Answer<'_>, timeout: Duration) -> Option<Failure> {
        /// The clocks of Envoy's timer and of this may differ by this much: a timer counts from
        /// when its worker last looked at the clock.
        const SLACK: Duration = Duration::from_millis(10);
        const OF_THE_SERVICE: &[u8] = b"x-envoy-upstream-service-time";
        let is_late = self.waited.saturating_add(SLACK) >= timeout;
        match answer {
            Answer::Message(_) => None,
            Answer::NotSent => Some(Failure::NotSent),
            Answer::CutOff | Answer::Status(13) => Some(Failure::CutOff),
            Answer::TooLarge => Some(Failure::TooLarge),
            Answer::Status(4) => Some(Failure::Timeout),
            Answer::Status(14) if is_late => Some(Failure::Timeout),
            Answer::Status(14) => Some(Failure::Unreachable),
            Answer::Status(_) => Some(Failure::Error),
            Answer::Response { headers, .. } => match answer.status() {
                Some(500..) if headers.first(OF_THE_SERVICE).is_some() => Some(Failure::Error),
                Some(502) => Some(Failure::CutOff),
                Some(503) => Some(Failure::Unreachable),
                Some(504) => Some(Failure::Timeout),
                Some(500..) => Some(Failure::Error),
                Some(100..) => None,
                _ => Some(Failure::Unusable),
            },
        }
    }

    /// Finds out again, after a wait, what admission found in the request line.
    pub(crate) fn readmit(&mut self) {
        self.admitted = Admitted::of(self.engine, self.facts).ok();
    }
}

impl Found {
    /// Tells the facts of the request what services have said about it.
    #[inline]
    pub(crate) fn tell(&self, facts: &Facts<'_>) {
        let Some(said) = self.services.as_deref() else { return };
        if let Some(metadata) = &said.metadata {
            facts.set_extauthz(Arc::clone(metadata));
        }
        if let Some(headers) = &said.provided {
            facts.set_provided(Arc::clone(headers));
        }
    }

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
            Stage::ExternalAuthorization => ext_auth::enter(turn),
            Stage::LateAuthorization => late_authorization::enter(turn),
            Stage::LocalRateLimit => local_limit::enter(turn),
            Stage::GlobalRateLimit => global_limit::enter(turn),
            Stage::HeaderModifiers => header_modifiers::enter(turn),
            Stage::Rewrite => rewrite::enter(turn),
            Stage::RouterHeaders => router_headers::enter(turn),
            Stage::Redirect => redirect::enter(turn),
            Stage::DirectResponse => direct_response::enter(turn),
            Stage::Credentials => credentials::enter(turn),
            Stage::BodyAuthorization => body::authorize(turn),
            Stage::BodyExternalAuthorization => ext_auth::enter_with_body(turn),
            Stage::BodyTransformation => body::transform(turn),
        }
    }

    /// Continues with the answer to the call that the stage made. A stage that makes no calls can
    /// never get one, so the request is refused.
    pub(crate) fn answered(self, turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
        match self {
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => probe::answered(turn, answer),
            Stage::ExternalAuthorization => ext_auth::answered(turn, answer),
            Stage::BodyExternalAuthorization => ext_auth::answered_with_body(turn, answer),
            Stage::GlobalRateLimit => global_limit::answered(turn, answer),
            Stage::Admission
            | Stage::Authorization
            | Stage::LateAuthorization
            | Stage::LocalRateLimit
            | Stage::Transformation
            | Stage::HeaderModifiers
            | Stage::Rewrite
            | Stage::Redirect
            | Stage::RouterHeaders
            | Stage::DirectResponse
            | Stage::Credentials
            | Stage::BodyAuthorization
            | Stage::BodyTransformation => {
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
