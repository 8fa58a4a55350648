//! Evaluates the rules: any matching Deny denies; else every Require must match; else any matching
//! Allow allows; else a request goes on only if no Allow is in scope and the default action is
//! Allow.

use super::{Ending, Flow, Found, NOT_ADMITTED, Turn};
use crate::attributes::view::View;
use crate::cel::meter::Meter;
use crate::cel::sort;
use crate::config::{Action, DefaultAction, Mode};
use crate::decision::{Decision, Reason, Reply, WHOLE};
use crate::policy::denial::Denial;
use crate::policy::index::Groups;
use crate::policy::rule::{Pass, Rule, RuleResult};
use crate::policy::{Engine, Policy};
use crate::request::headers::Headers;
use crate::trace::Trace;

/// Evaluates the rules that can matter to the request.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let Some(admitted) = &turn.admitted else {
        return Flow::End(Ending::internal_error(NOT_ADMITTED));
    };
    let engine = turn.engine;
    if engine.has_passes {
        return in_passes(turn, Pass::First);
    }
    let view = View::new(turn.facts, &engine.callers)
        .with_host(&admitted.host, admitted.path_has_escapes)
        .with_path(admitted.plain_path);
    let groups = &admitted.groups;
    let Found { candidates, decision, .. } = &mut *turn.found;
    let mut asking = Asking {
        view: &view,
        meter: turn.meter,
        errors: &mut decision.errors,
        trace: turn.trace.as_deref_mut(),
        opens_in_shadow: false,
    };
    engine.index.refusing(groups, &view, candidates);
    let refused = if engine.may_refuse || asking.trace.is_some() {
        asking.refused(Rules { policies: &engine.policies, candidates })
    } else {
        None
    };
    let (reason, policy) = match refused {
        Some(refused) => refused,
        None => {
            engine.index.add_allowing(groups, &view, candidates);
            let rules = Rules { policies: &engine.policies, candidates };
            match asking.allowed(rules, groups.allows()) {
                (Reason::NoAllowRule, _) => by_default(engine, groups),
                decided => decided,
            }
        }
    };
    if !reason.allows() {
        if !engine.composes_denials {
            return Flow::End(Ending { policy, ..Ending::because(reason) });
        }
        let (request, decision) = (&turn.facts.headers, &mut turn.found.decision);
        let denying = Denying { engine, groups, request, view: &view };
        return Flow::End(denying.end(reason, policy, decision));
    }
    let asks_shadow = engine.has_shadow || asking.trace.is_some();
    let rules = Rules { policies: &engine.policies, candidates };
    let mut shadow = if asks_shadow { asking.shadow(rules, reason) } else { Vec::new() };
    if reason == Reason::NoAllowRule {
        close_in_shadow(engine, groups, asking.opens_in_shadow, &mut shadow);
    }
    let decision = &mut turn.found.decision;
    (decision.reason, decision.policy, decision.shadow) = (reason, policy, shadow);
    Flow::Next
}

/// Evaluates the rules of one pass that can matter to the request, where some rules need more than
/// the request's headers. Each pass has its Deny and Require rules. If no Allow of a pass matches,
/// the next pass may have one that does; nothing lets a request through that then ends without one
/// (`decided` in `exchange`).
#[cold]
#[inline(never)]
pub(super) fn in_passes(turn: &mut Turn<'_, '_, '_>, pass: Pass) -> Flow {
    let Some(admitted) = &turn.admitted else {
        return Flow::End(Ending::internal_error(NOT_ADMITTED));
    };
    let (engine, groups) = (turn.engine, &admitted.groups);
    let came =
        View::new(turn.facts, &engine.callers).with_host(&admitted.host, admitted.path_has_escapes);
    // While a request waits, its candidates are kept; they are not once its headers have gone on.
    if pass != Pass::Late {
        engine.index.candidates(groups, &came, &mut turn.found.candidates);
    }
    let candidates = &turn.found.candidates;
    let of_pass = |wanted: fn(Pass, Pass) -> bool| {
        let is_wanted =
            move |policy: &Policy| policy.rule.as_ref().is_some_and(|rule| wanted(rule.pass, pass));
        engine.policies_at(candidates).filter(move |(_, policy)| is_wanted(policy))
    };
    let own: Vec<u32> = of_pass(|of_rule, pass| of_rule == pass)
        .filter_map(|(index, _)| index.try_into().ok())
        .collect();
    if own.is_empty() && pass != Pass::First {
        return Flow::Next;
    }
    let mut later = of_pass(|of_rule, pass| of_rule > pass).peekable();
    let is_last = later.peek().is_none();
    let may_still_allow = later.any(|(_, policy)| {
        policy.mode == Mode::Enforce && policy.rule.as_ref().is_some_and(Rule::is_allow)
    });
    let changed;
    let view = match &turn.headers {
        Some(headers) if pass != Pass::First => {
            changed = came.with_request(headers);
            &changed
        }
        _ => &came,
    };
    let decision = &mut turn.found.decision;
    let rules = Rules { policies: &engine.policies, candidates: &own };
    let mut asking = Asking {
        view,
        meter: turn.meter,
        errors: &mut decision.errors,
        trace: turn.trace.as_deref_mut(),
        opens_in_shadow: false,
    };
    let (reason, policy) = match asking.refused(rules) {
        Some(refused) => refused,
        None if pass != Pass::First && decision.reason == Reason::AllowMatched => {
            (decision.reason, decision.policy)
        }
        None => match asking.allowed(rules, groups.allows()) {
            (Reason::NoAllowRule, _) => by_default(engine, groups),
            decided => decided,
        },
    };
    let waits = reason == Reason::NoAllowMatched && may_still_allow;
    if !reason.allows() && !waits {
        let request = &turn.facts.headers;
        let denying = Denying { engine, groups, request, view };
        return Flow::End(denying.end(reason, policy, decision));
    }
    (decision.reason, decision.policy) = (reason, policy);
    if is_last {
        let mut shadow = asking.shadow(Rules { candidates, ..rules }, reason);
        if reason == Reason::NoAllowRule {
            close_in_shadow(engine, groups, asking.opens_in_shadow, &mut shadow);
        }
        decision.shadow = shadow;
    }
    Flow::Next
}

/// The decision about a request that nothing denies and no Allow is for.
#[inline(never)]
fn by_default(engine: &Engine, groups: &Groups<'_>) -> (Reason, Option<usize>) {
    match engine.default_action(groups) {
        (DefaultAction::Allow, _) => (Reason::NoAllowRule, None),
        (DefaultAction::Deny, policy) => (Reason::DefaultDeny, policy),
    }
}

/// A request that is being denied.
#[derive(Debug, Clone, Copy)]
struct Denying<'r> {
    engine: &'r Engine,
    groups: &'r Groups<'r>,
    request: &'r Headers<'r>,
    view: &'r View<'r>,
}

impl Denying<'_> {
    /// Ends the request, with the answer that the author of the policies has composed, if there is
    /// one.
    #[inline(never)]
    fn end(self, reason: Reason, policy: Option<usize>, decision: &mut Decision) -> Ending {
        let denial = Denial::of(self.engine, reason, policy, self.groups);
        let reply = denial.map(|denial| Box::new(self.reply(denial, reason, decision)));
        Ending { policy, reply, ..Ending::because(reason) }
    }

    /// Composes the answer.
    fn reply(self, denial: Denial<'_>, reason: Reason, decision: &mut Decision) -> Reply {
        // The reason stays what it is, whatever steps the answer takes.
        let meter = Meter::new();
        let composed = denial.rules.compose(self.request, &meter, |value, allowance| {
            value.header_value(self.view, allowance)
        });
        let errors = composed.errors.iter().map(|error| format!("denial: {error}"));
        let of = denial.policy.unwrap_or(WHOLE);
        decision.errors.extend(errors.map(|error| (of, error)));
        let mut reply = Reply::refusing(reason);
        composed.put_into(&mut reply);
        reply
    }
}

/// Adds the shadow policies that would close the host by default. A shadow Allow that matches would
/// let the request through all the same.
#[cold]
#[inline(never)]
fn close_in_shadow(engine: &Engine, groups: &Groups<'_>, opens: bool, shadow: &mut Vec<usize>) {
    if opens || !groups.closes_in_shadow() {
        return;
    }
    let in_scope = groups.everyone();
    let closing = engine.policies_at(&in_scope).filter(|(_, policy)| {
        policy.mode == Mode::Shadow && policy.default_action == Some(DefaultAction::Deny)
    });
    shadow.extend(closing.map(|(index, _)| index));
    sort::by(shadow, usize::cmp);
    shadow.dedup();
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
struct Asking<'t> {
    view: &'t View<'t>,
    meter: &'t Meter,
    errors: &'t mut Vec<(usize, String)>,
    trace: Option<&'t mut Trace>,
    /// Whether a shadow Allow matches.
    opens_in_shadow: bool,
}

impl Asking<'_> {
    /// The Deny that matches, or the Require that does not, if there is one.
    #[inline(always)]
    fn refused(&mut self, rules: Rules<'_>) -> Option<(Reason, Option<usize>)> {
        self.begin(Mode::Enforce, Action::Deny);
        for (index, rule) in rules.of(Mode::Enforce, Action::Deny) {
            let reason = match self.ask(index, rule) {
                RuleResult::DoesNotMatch => continue,
                RuleResult::Fails if rule.ignores_errors() => continue,
                RuleResult::Matches => Reason::DenyMatched,
                RuleResult::Fails | RuleResult::PassesLimit => Reason::DenyError,
            };
            return Some(self.ended(reason, index));
        }
        self.begin(Mode::Enforce, Action::Require);
        for (index, rule) in rules.of(Mode::Enforce, Action::Require) {
            if self.ask(index, rule) != RuleResult::Matches {
                return Some(self.ended(Reason::RequireNotMatched, index));
            }
        }
        None
    }

    /// The Allow that matches, or that none does, or that none is in scope. `has_allows` is whether
    /// an enforced Allow is in scope, also if the index left it out.
    #[inline(always)]
    fn allowed(&mut self, rules: Rules<'_>, has_allows: bool) -> (Reason, Option<usize>) {
        self.begin(Mode::Enforce, Action::Allow);
        if !has_allows {
            return (Reason::NoAllowRule, None);
        }
        for (index, rule) in rules.of(Mode::Enforce, Action::Allow) {
            if self.ask(index, rule) == RuleResult::Matches {
                return self.ended(Reason::AllowMatched, index);
            }
        }
        (Reason::NoAllowMatched, None)
    }

    /// The shadow policies that would deny a request which is allowed for this reason.
    fn shadow(&mut self, rules: Rules<'_>, reason: Reason) -> Vec<usize> {
        let mut denying = Vec::new();
        if !rules.any(Mode::Shadow) && self.trace.is_none() {
            return denying;
        }
        // What is only reported must not use up the steps of what is enforced.
        let meter = Meter::new();
        let mut asking = Asking {
            view: self.view,
            meter: &meter,
            errors: &mut *self.errors,
            trace: self.trace.as_deref_mut(),
            opens_in_shadow: false,
        };
        asking.begin(Mode::Shadow, Action::Deny);
        for (index, rule) in rules.of(Mode::Shadow, Action::Deny) {
            match asking.ask(index, rule) {
                RuleResult::DoesNotMatch => {}
                RuleResult::Fails if rule.ignores_errors() => {}
                RuleResult::Matches | RuleResult::Fails | RuleResult::PassesLimit => {
                    denying.push(index)
                }
            }
        }
        asking.begin(Mode::Shadow, Action::Require);
        for (index, rule) in rules.of(Mode::Shadow, Action::Require) {
            if asking.ask(index, rule) != RuleResult::Matches {
                denying.push(index);
            }
        }
        // Shadow Allows would deny together: if no enforced Allow is in scope, and none of them
        // matches.
        if reason == Reason::NoAllowRule {
            asking.begin(Mode::Shadow, Action::Allow);
            let mut allows = rules.of(Mode::Shadow, Action::Allow);
            let opens = allows.any(|(index, rule)| asking.ask(index, rule) == RuleResult::Matches);
            if !opens {
                denying.extend(rules.of(Mode::Shadow, Action::Allow).map(|(index, _)| index));
            }
            self.opens_in_shadow = opens;
        }
        sort::by(&mut denying, usize::cmp);
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
        if !messages.is_empty() {
            self.errors.extend(messages.into_iter().map(|message| (index, message)));
        }
        if let Some(trace) = &mut self.trace {
            trace.asked(index, answer);
        }
        answer
    }
}
