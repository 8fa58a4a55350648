//! What happened to one request, step by step, in the order in which it happened.
//!
//! The run that decides writes the trace. `explain`, coverage and `egressctl test` read it, so none
//! of them needs to know the order of decision. In a proxy, the filter writes none.

use crate::config::{Action, Direction, Location, Mode};
use crate::order::{ORDER, Stage};
use crate::policy::rule::RuleResult;

/// The names of all stages, in order. A request runs through those that some policy needs.
pub fn stages() -> impl Iterator<Item = &'static str> {
    ORDER.iter().copied().map(Stage::name)
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
    /// The credentials that the request got, in order.
    pub injected: Vec<Injected>,
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

/// The header rules of one policy, applied to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The index of the policy.
    pub policy: usize,
    /// Whether the message is the request or the response.
    pub direction: Direction,
    /// Whether anything in the message was changed.
    pub changed: bool,
}

/// A credential that a request got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// The index of the policy.
    pub policy: usize,
    /// Where the credential went.
    pub location: Location,
}

impl Trace {
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
