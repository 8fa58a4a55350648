//! Evaluates the rules: any matching Deny denies; else every Require must match; else any matching
//! Allow allows; else a request goes on only if no Allow is in scope.

use super::{Ending, Flow, NOT_ADMITTED, Turn};
use crate::attributes::view::View;
use crate::cel::meter::Meter;
use crate::config::{Action, Mode};
use crate::decision::Reason;
use crate::policy::Policy;
use crate::policy::rule::{Rule, RuleResult};
use crate::trace::Trace;

/// Evaluates the rules that can matter to the request.
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let Some(admitted) = &turn.admitted else {
        return Flow::End(Ending::internal_error(NOT_ADMITTED));
    };
    let engine = turn.engine;
    let view =
        View::new(turn.facts, &engine.callers).with_host(&admitted.host, admitted.path_has_escapes);
    let candidates = &mut turn.found.candidates;
    engine.index.candidates(&admitted.groups, &view, candidates);
    let mut asking = Asking {
        rules: Rules { policies: &engine.policies, candidates },
        view: &view,
        meter: turn.meter,
        errors: &mut turn.found.decision.errors,
        trace: turn.trace.as_deref_mut(),
    };
    let (reason, policy) = asking.enforced(admitted.groups.allows());
    if !reason.allows() {
        return Flow::End(Ending { policy, ..Ending::because(reason) });
    }
    let shadow = asking.shadow(reason);
    let decision = &mut turn.found.decision;
    (decision.reason, decision.policy, decision.shadow) = (reason, policy, shadow);
    Flow::Next
}

/// The rules among the candidates.
#[derive(Debug, Clone, Copy)]
struct Rules<'p> {
    policies: &'p [Policy],
    candidates: &'p [u32],
}

impl<'p> Rules<'p> {
    fn any(self, mode: Mode) -> bool {
        let policy =
            |index: &u32| usize::try_from(*index).ok().and_then(|index| self.policies.get(index));
        self.candidates.iter().filter_map(policy).any(|policy| policy.mode == mode)
    }

    fn of(self, mode: Mode, action: Action) -> impl Iterator<Item = (usize, &'p Rule)> + use<'p> {
        self.candidates.iter().filter_map(move |index| {
            let index = usize::try_from(*index).ok()?;
            let policy = self.policies.get(index).filter(|policy| policy.mode == mode)?;
            let rule = policy.rule.as_ref().filter(|rule| rule.action() == action)?;
            Some((index, rule))
        })
    }
}

/// The evaluation of rules for one request.
struct Asking<'p, 't> {
    rules: Rules<'p>,
    view: &'t View<'t>,
    meter: &'t Meter,
    errors: &'t mut Vec<(usize, String)>,
    trace: Option<&'t mut Trace>,
}

impl Asking<'_, '_> {
    /// The decision of the enforced rules, and the policy that decides. `has_allows` is whether an
    /// enforced Allow is in scope, also if the index left it out.
    fn enforced(&mut self, has_allows: bool) -> (Reason, Option<usize>) {
        self.begin(Mode::Enforce, Action::Deny);
        for (index, rule) in self.rules.of(Mode::Enforce, Action::Deny) {
            let reason = match self.ask(index, rule) {
                RuleResult::DoesNotMatch => continue,
                RuleResult::Fails if rule.ignores_errors() => continue,
                RuleResult::Matches => Reason::DenyMatched,
                RuleResult::Fails | RuleResult::PassesLimit => Reason::DenyError,
            };
            return self.ended(reason, index);
        }
        self.begin(Mode::Enforce, Action::Require);
        for (index, rule) in self.rules.of(Mode::Enforce, Action::Require) {
            if self.ask(index, rule) != RuleResult::Matches {
                return self.ended(Reason::RequireNotMatched, index);
            }
        }
        self.begin(Mode::Enforce, Action::Allow);
        if !has_allows {
            return (Reason::NoAllowRule, None);
        }
        for (index, rule) in self.rules.of(Mode::Enforce, Action::Allow) {
            if self.ask(index, rule) == RuleResult::Matches {
                return self.ended(Reason::AllowMatched, index);
            }
        }
        (Reason::NoAllowMatched, None)
    }

    /// The shadow policies that would deny a request which is allowed for this reason.
    fn shadow(&mut self, reason: Reason) -> Vec<usize> {
        let mut denying = Vec::new();
        if !self.rules.any(Mode::Shadow) && self.trace.is_none() {
            return denying;
        }
        // What is only reported must not use up the steps of what is enforced.
        let meter = Meter::new();
        let mut asking = Asking {
            rules: self.rules,
            view: self.view,
            meter: &meter,
            errors: &mut *self.errors,
            trace: self.trace.as_deref_mut(),
        };
        asking.begin(Mode::Shadow, Action::Deny);
        for (index, rule) in asking.rules.of(Mode::Shadow, Action::Deny) {
            match asking.ask(index, rule) {
                RuleResult::DoesNotMatch => {}
                RuleResult::Fails if rule.ignores_errors() => {}
                RuleResult::Matches | RuleResult::Fails | RuleResult::PassesLimit => {
                    denying.push(index)
                }
            }
        }
        asking.begin(Mode::Shadow, Action::Require);
        for (index, rule) in asking.rules.of(Mode::Shadow, Action::Require) {
            if asking.ask(index, rule) != RuleResult::Matches {
                denying.push(index);
            }
        }
        // Shadow Allows would deny together: if no enforced Allow is in scope, and none of them
        // matches.
        if reason == Reason::NoAllowRule {
            asking.begin(Mode::Shadow, Action::Allow);
            let rules = asking.rules;
            let mut allows = rules.of(Mode::Shadow, Action::Allow);
            if !allows.any(|(index, rule)| asking.ask(index, rule) == RuleResult::Matches) {
                denying.extend(rules.of(Mode::Shadow, Action::Allow).map(|(index, _)| index));
            }
        }
        denying.sort_unstable();
        denying
    }

    fn begin(&mut self, mode: Mode, action: Action) {
        if let Some(trace) = &mut self.trace {
            trace.pass(mode, action);
        }
    }

    fn ended(&mut self, reason: Reason, policy: usize) -> (Reason, Option<usize>) {
        if let Some(trace) = &mut self.trace {
            trace.ended_at(policy);
        }
        (reason, Some(policy))
    }

    fn ask(&mut self, index: usize, rule: &Rule) -> RuleResult {
        let mut messages = Vec::new();
        let answer = rule.ask(self.view, self.meter, &mut messages);
        self.errors.extend(messages.into_iter().map(|message| (index, message)));
        if let Some(trace) = &mut self.trace {
            trace.asked(index, answer);
        }
        answer
    }
}
