//! What happened to one request, step by step, in the order in which it happened.
//!
//! The run that decides writes the trace. `explain`, coverage and `egressctl test` read it, so none
//! of them needs to know the order of decision. In a proxy, the filter writes none.

use std::borrow::Cow;

use crate::config::{Action, Direction, Mode};
use crate::decision::Change;
use crate::order::{BODY_ORDER, ORDER, Stage};
use crate::policy::rule::RuleResult;

/// The names of all stages, in order. A request runs through those that some policy needs.
pub fn stages() -> impl Iterator<Item = &'static str> {
    ORDER.iter().chain(BODY_ORDER).copied().map(Stage::name)
}

/// The trace of one exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The stages that were entered, by name, in order.
    pub stages: Vec<&'static str>,
    /// The passes over the rules of one kind, in order.
    pub passes: Vec<Pass>,
    /// The policies whose header rules were applied, in order.
    pub applied: Vec<Applied>,
    /// The features that were chosen, in order.
    pub chosen: Vec<Chosen>,
    /// What features other than transformation have changed, in order.
    pub changed: Vec<Changed>,
}

/// A feature of a policy beside its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `extAuth`
    ExtAuth,
    /// `rateLimit.local`
    LocalRateLimit,
    /// `rateLimit.global`
    GlobalRateLimit,
    /// `transformation`
    Transformation,
    /// `headerModifiers`
    HeaderModifiers,
    /// `urlRewrite`
    UrlRewrite,
    /// `hostRewrite`
    HostRewrite,
    /// `timeouts`
    Timeouts,
    /// `retry`
    Retry,
    /// `requestRedirect`
    RequestRedirect,
    /// `directResponse`
    DirectResponse,
    /// The credentials of `backend`.
    Credentials,
}

impl Feature {
    /// The field of `traffic` that has it; for credentials, that of the policy.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Feature::ExtAuth => "extAuth",
            Feature::LocalRateLimit => "rateLimit",
            Feature::GlobalRateLimit => "rateLimit.global",
            Feature::Transformation => "transformation",
            Feature::HeaderModifiers => "headerModifiers",
            Feature::UrlRewrite => "urlRewrite",
            Feature::HostRewrite => "hostRewrite",
            Feature::Timeouts => "timeouts",
            Feature::Retry => "retry",
            Feature::RequestRedirect => "requestRedirect",
            Feature::DirectResponse => "directResponse",
            Feature::Credentials => "backend",
        }
    }
}

/// A feature of a policy that has a form for the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The index of the policy.
    pub policy: usize,
    /// The feature.
    pub feature: Feature,
    /// The index of the form: of an entry of `conditional`, or 0.
    pub entry: usize,
    /// Whether it was used. It was not if the path is not below its prefix.
    pub is_used: bool,
}

/// What a policy has changed, beside its transformation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The index of the policy.
    pub policy: usize,
    /// The feature.
    pub feature: Feature,
    /// Whether the message is the request or the response.
    pub direction: Direction,
    /// The changes, in order.
    pub changes: Vec<Line>,
}

/// A change of a header's line; names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line was appended.
    Added(String, Vec<u8>),
    /// The header got this one value.
    Replaced(String, Vec<u8>),
    /// All lines were removed.
    Removed(String),
}

impl Feature {
    /// The stage that applies it to requests.
    pub(crate) fn stage(self) -> Stage {
        match self {
            Feature::ExtAuth => Stage::ExternalAuthorization,
            Feature::LocalRateLimit => Stage::LocalRateLimit,
            Feature::GlobalRateLimit => Stage::GlobalRateLimit,
            Feature::Transformation => Stage::Transformation,
            Feature::HeaderModifiers => Stage::HeaderModifiers,
            Feature::UrlRewrite | Feature::HostRewrite => Stage::Rewrite,
            Feature::Timeouts | Feature::Retry => Stage::RouterHeaders,
            Feature::RequestRedirect => Stage::Redirect,
            Feature::DirectResponse => Stage::DirectResponse,
            Feature::Credentials => Stage::Credentials,
        }
    }
}

impl Line {
    fn of(change: &Change<'_>) -> Line {
        match change {
            Change::Add(name, value) => Line::Added(name.to_string(), value.to_vec()),
            Change::Replace(name, value) => Line::Replaced(name.to_string(), value.to_vec()),
            Change::Remove(name) => Line::Removed(name.to_string()),
            Change::Inject(name, _) => Line::Replaced(name.to_string(), b"<redacted>".to_vec()),
        }
    }

    /// The same as a change to be made.
    #[must_use]
    pub fn as_change(&self) -> Change<'_> {
        match self {
            Line::Added(name, value) => Change::Add(Cow::Borrowed(name), Cow::Borrowed(value)),
            Line::Replaced(name, value) => {
                Change::Replace(Cow::Borrowed(name), Cow::Borrowed(value))
            }
            Line::Removed(name) => Change::Remove(Cow::Borrowed(name)),
        }
    }
}

/// One pass over the rules of one mode and action, in configuration order, until one of them
/// decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The mode of the rules.
    pub mode: Mode,
    /// The action of the rules.
    pub action: Action,
    /// The rules that were evaluated: the indices of their policies, and the results.
    pub asked: Vec<(usize, RuleResult)>,
    /// The policy whose rule ended the pass, so that none after it was evaluated.
    pub ended_at: Option<usize>,
}

/// The transformation of one policy, applied to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The index of the policy.
    pub policy: usize,
    /// Whether the message is the request or the response.
    pub direction: Direction,
    /// Whether anything in the message was changed.
    pub changed: bool,
}

impl Trace {
    /// Notes a feature that was chosen for the request.
    pub(crate) fn chose(&mut self, policy: usize, feature: Feature, entry: usize, is_used: bool) {
        self.chosen.push(Chosen { policy, feature, entry, is_used });
    }

    /// Notes what a feature of a policy changed of a message.
    pub(crate) fn changed(
        &mut self,
        policy: usize,
        feature: Feature,
        direction: Direction,
        changes: &[Change<'_>],
    ) {
        let changes = changes.iter().map(Line::of).collect();
        self.changed.push(Changed { policy, feature, direction, changes });
    }

    /// Notes that a policy replaces the body of a message.
    pub(crate) fn replaced_body(&mut self, policy: usize, direction: Direction) {
        let mut applied = self.applied.iter_mut();
        match applied.find(|one| one.policy == policy && one.direction == direction) {
            Some(applied) => applied.changed = true,
            None => self.applied.push(Applied { policy, direction, changed: true }),
        }
    }

    /// Begins a pass.
    pub(crate) fn pass(&mut self, mode: Mode, action: Action) {
        self.passes.push(Pass { mode, action, asked: Vec::new(), ended_at: None });
    }

    /// Notes a rule's result in the current pass.
    pub(crate) fn asked(&mut self, policy: usize, answer: RuleResult) {
        if let Some(pass) = self.passes.last_mut() {
            pass.asked.push((policy, answer));
        }
    }

    /// Notes that the rule of this policy ended the current pass.
    pub(crate) fn ended_at(&mut self, policy: usize) {
        if let Some(pass) = self.passes.last_mut() {
            pass.ended_at = Some(policy);
        }
    }

    /// Whether the pass came as far as the rule of this policy. The rule need not have been
    /// evaluated, because the index leaves out rules that cannot match.
    #[must_use]
    pub fn reached(&self, policy: usize, mode: Mode, action: Action) -> bool {
        self.passes.iter().any(|pass| {
            pass.mode == mode
                && pass.action == action
                && pass.ended_at.is_none_or(|last| policy <= last)
        })
    }
}
