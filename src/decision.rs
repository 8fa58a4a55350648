//! What was decided about a request, and what is to be done with it. The two are apart because a
//! request that is answered here need not have been denied.

mod reason;
mod reply;

use std::borrow::Cow;

use crate::call::Failure;
pub use crate::call::Service;
use crate::counters::{Count, Counter};
use crate::credential::Secret;
pub use reason::Reason;
pub use reply::{
    ANSWER_ERROR_BODY, BAD_REQUEST_BODY, BODY_TOO_LARGE_BODY, DENIAL_BODY, EXTERNAL_BODY,
    RATE_LIMIT_FAILED_BODY, RATE_LIMITED_BODY, Reply, UNAVAILABLE_BODY,
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the origin.
    Allow,
    /// It may go on, and a policy answers it in the origin's place.
    Answer,
    /// It is refused.
    Deny,
}

impl Verdict {
    /// The word for it, in audit records and access logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Answer => "answer",
            Verdict::Deny => "deny",
        }
    }
}

/// What was decided about a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on, and why.
    pub reason: Reason,
    /// What exactly was wrong with a request that is refused, for the audit record.
    pub detail: Option<&'static str>,
    /// The index of the policy that decided, where one did.
    pub policy: Option<usize>,
    /// Shadow policies that would have denied the request if they were enforced.
    pub shadow: Vec<usize>,
    /// Expressions that failed: the index of their policy, or [`WHOLE`], and the message.
    pub errors: Vec<(usize, String)>,
    /// The policies whose credentials the request got.
    pub credentials: Vec<usize>,
    /// The services that were asked about the request, in order.
    pub calls: Vec<Asked>,
}

/// What came of asking a service about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The index of the policy for which it was asked: the first, if it was for several.
    pub policy: usize,
    /// What it was asked for.
    pub service: Service,
    /// What it said.
    pub outcome: Outcome,
    /// Whether the answer was kept from an earlier request, so that no call was made.
    pub is_cached: bool,
    /// Whether the request goes on although the call failed.
    pub fails_open: bool,
    /// How long the call took.
    pub milliseconds: u32,
}

impl Asked {
    /// Whether a call was made.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        let is_unsent =
            matches!(self.outcome, Outcome::Failed(Failure::NotSent | Failure::Deadline));
        !self.is_cached && !is_unsent
    }
}

/// What a service said about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The request may go on.
    Allowed,
    /// It may not.
    Denied,
    /// Nothing that can be used.
    Failed(Failure),
}

impl Outcome {
    /// The word for it, in audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Failed(failure) => failure.as_str(),
        }
    }
}

/// In place of a policy's index: the configuration as a whole, whose `denial` has expressions too.
pub const WHOLE: usize = usize::MAX;

impl Decision {
    /// A decision for this reason, without a policy or details.
    pub(crate) fn because(reason: Reason) -> Self {
        Decision {
            reason,
            detail: None,
            policy: None,
            shadow: Vec::new(),
            errors: Vec::new(),
            credentials: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Something failed that must never fail.
    pub(crate) fn internal_error(detail: &'static str) -> Self {
        Decision { detail: Some(detail), ..Decision::because(Reason::InternalError) }
    }

    /// Whether the request may go on.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.reason.allows()
    }

    /// What becomes of the request.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    /// Calls `step` for each counter that this decision raises.
    pub fn count(&self, mut step: impl FnMut(Count)) {
        let verdict = match self.verdict() {
            Verdict::Allow => Counter::Allowed,
            Verdict::Answer => Counter::Answered,
            Verdict::Deny => Counter::Denied,
        };
        step(Count { policy: None, counter: verdict });
        if let Some(index) = self.policy {
            step(Count { policy: Some(index), counter: verdict });
        }
        let more = match self.reason {
            Reason::InternalError => Some(Counter::InternalErrors),
            Reason::RateLimited => Some(Counter::RateLimited),
            _ => None,
        };
        if let Some(counter) = more {
            step(Count { policy: None, counter });
        }
        if !self.shadow.is_empty() {
            step(Count { policy: None, counter: Counter::ShadowDenied });
        }
        for index in &self.shadow {
            step(Count { policy: Some(*index), counter: Counter::ShadowDenied });
        }
        count_errors(&self.errors, &mut step);
        if !self.calls.is_empty() {
            self.count_calls(step);
        }
    }

    /// Calls `step` for each counter that the calls raise.
    #[inline(never)]
    fn count_calls(&self, mut step: impl FnMut(Count)) {
        for asked in &self.calls {
            let mut raise = |counter| {
                step(Count { policy: None, counter });
                step(Count { policy: Some(asked.policy), counter });
            };
            match asked.outcome {
                _ if asked.is_cached => raise(Counter::CachedAnswers),
                Outcome::Failed(Failure::Timeout | Failure::Deadline) => {
                    raise(Counter::Callouts);
                    raise(Counter::CalloutTimeouts);
                }
                Outcome::Failed(failure) => {
                    raise(Counter::Callouts);
                    raise(Counter::CalloutFailures);
                    if failure == Failure::NotSent {
                        raise(Counter::CalloutsNotSent);
                    }
                }
                Outcome::Allowed | Outcome::Denied => raise(Counter::Callouts),
            }
            if asked.fails_open {
                raise(Counter::FailedOpen);
            }
        }
    }
}

/// Calls `step` for the counters of expressions that failed.
pub(crate) fn count_errors(errors: &[(usize, String)], mut step: impl FnMut(Count)) {
    for (index, _) in errors {
        step(Count { policy: None, counter: Counter::EvaluationErrors });
        if *index != WHOLE {
            step(Count { policy: Some(*index), counter: Counter::EvaluationErrors });
        }
    }
}

/// A change of a header. Names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Appends a line.
    Add(Cow<'a, str>, Cow<'a, [u8]>),
    /// Gives a header that has at most one line this value.
    Replace(Cow<'a, str>, Cow<'a, [u8]>),
    /// Removes every line of this name.
    Remove(Cow<'a, str>),
    /// Gives a header that has at most one line this value, which holds a credential.
    Inject(&'a str, Cow<'a, Secret>),
}
