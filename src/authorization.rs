//! Deny, Require, Allow.

#[cfg(not(target_arch = "wasm32"))]
mod explain;
mod lines;

use crate::attributes::TABLE;
use crate::attributes::view::View;
use crate::cel::guard::{self, Guard};
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase};
use crate::config::{Action, AuthorizationConfig, Combine, ConfigError, MAX_ERRORS, Mode, OnError};
use crate::outcome::{Denial, Reason};
use crate::policy::Policy;
use lines::Choices;

/// A compiled `traffic.authorization`.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    combine: Combine,
    on_error: OnError,
    expressions: Vec<Expression>,
}

/// What a rule says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// An expression erred, and the others do not settle it.
    Error,
    /// The request passes a limit, so that what an expression said, or would say, does not count.
    NotAsked,
}

impl Answer {
    /// All of them: one No settles it.
    fn all(answers: impl Iterator<Item = Answer>) -> Answer {
        Answer::settled_by(Answer::No, Answer::Yes, answers)
    }

    /// Any of them: one Yes settles it.
    fn any(answers: impl Iterator<Item = Answer>) -> Answer {
        Answer::settled_by(Answer::Yes, Answer::No, answers)
    }

    fn settled_by(
        decisive: Answer,
        otherwise: Answer,
        answers: impl Iterator<Item = Answer>,
    ) -> Answer {
        let mut result = otherwise;
        for answer in answers {
            if answer == decisive || answer == Answer::NotAsked {
                return answer;
            }
            if answer == Answer::Error {
                result = answer;
            }
        }
        result
    }
}

impl Rule {
    pub(crate) fn compile(
        policy: &str,
        config: &AuthorizationConfig,
        errors: &mut Vec<ConfigError>,
    ) -> Rule {
        let mut expressions = Vec::with_capacity(config.expressions.len());
        for expr in &config.expressions {
            if errors.len() > MAX_ERRORS {
                break;
            }
            match Expression::compile(&TABLE, &expr.source, Phase::Request, Expected::Rule) {
                Ok(expression) => expressions.push(expression),
                Err(found) => errors.extend(
                    found.into_iter().map(|error| ConfigError::of_expression(policy, expr, error)),
                ),
            }
        }
        Rule {
            action: config.action,
            combine: config.combine,
            on_error: config.on_error,
            expressions,
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn is_allow(&self) -> bool {
        self.action == Action::Allow
    }

    /// What an attribute must be for the rule to matter; any of these may be used. A Deny or Allow
    /// does not matter where it does not match, a Require where it does.
    pub(crate) fn guards(&self) -> Vec<Guard> {
        let settled = self.action == Action::Require;
        let each = self.expressions.iter().map(|expression| expression.guards(settled));
        // One false settles All, one true settles Any.
        match self.combine {
            Combine::All if !settled => guard::any_of(each),
            Combine::Any if settled => guard::any_of(each),
            Combine::All | Combine::Any => guard::all_of(each),
        }
    }

    pub(crate) fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    fn ask(&self, view: &View<'_>, allowance: &Allowance, errors: &mut Vec<String>) -> Answer {
        self.combined(
            self.expressions
                .iter()
                .map(|expression| ask(expression, self.action, view, allowance, errors)),
        )
    }

    /// What the expressions' answers come to.
    fn combined(&self, answers: impl Iterator<Item = Answer>) -> Answer {
        match self.combine {
            Combine::All => Answer::all(answers),
            Combine::Any => Answer::any(answers),
        }
    }

    /// What the rule says where a limit left it without an answer: what else it says may have
    /// settled it before the limit counts.
    fn settled(&self, answer: Answer, view: &View<'_>) -> Answer {
        match answer {
            Answer::NotAsked if view.settles(&self.guards()) => {
                if self.action == Action::Require {
                    Answer::Yes
                } else {
                    Answer::No
                }
            }
            answer => answer,
        }
    }
}

/// Why nothing is asked about a request that repeats headers too often.
const TOO_MANY: &str = "headers that the rule reads are repeated too often";

/// Asks an expression about each line of the headers that it reads: a Deny matches if it does for
/// any of them, an Allow or Require only if for all, so that no rule is dodged by sending a header
/// twice.
fn ask(
    expression: &Expression,
    action: Action,
    view: &View<'_>,
    allowance: &Allowance,
    errors: &mut Vec<String>,
) -> Answer {
    let mut once = |view: &View<'_>| {
        let (answer, message) = ask_once(expression, view, allowance);
        errors.extend(message.filter(|message| !errors.contains(message)));
        answer
    };
    let choices = match Choices::of(expression.uses(), action, view, allowance) {
        Choices::One => return once(view),
        Choices::TooMany => {
            errors.push(TOO_MANY.to_owned());
            return Answer::NotAsked;
        }
        Choices::Several(choices) => choices,
    };
    of_choices(
        action,
        choices.iter().map(|choice| {
            of_part(once(&view.at(&choice.lines, choice.cookies, choice.path.as_deref())), choice)
        }),
    )
}

/// Asks an expression about one choice of lines; where there is no answer, the message says why.
fn ask_once(
    expression: &Expression,
    view: &View<'_>,
    allowance: &Allowance,
) -> (Answer, Option<String>) {
    let (answer, message) = match expression.matches(view, allowance) {
        Ok(true) => (Answer::Yes, None),
        Ok(false) => (Answer::No, None),
        Err(message) => (Answer::Error, Some(message)),
    };
    // Whatever the expression made of it.
    match allowance.breached() {
        Some(breach) => (Answer::NotAsked, message.or_else(|| Some(breach.to_owned()))),
        None => (answer, message),
    }
}

/// What is missing in a part of a line is missing because of where it was cut: that is no error of
/// the rule.
fn of_part(answer: Answer, choice: &lines::Choice<'_>) -> Answer {
    if answer == Answer::Error && choice.is_part { Answer::No } else { answer }
}

/// What the answers about each choice of lines come to.
fn of_choices(action: Action, answers: impl Iterator<Item = Answer>) -> Answer {
    match action {
        Action::Deny => Answer::any(answers),
        Action::Allow | Action::Require => Answer::all(answers),
    }
}

/// What the policies in scope say together.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) denial: Option<Denial>,
    pub(crate) policy: Option<usize>,
    pub(crate) reason: Reason,
    pub(crate) shadow: Vec<usize>,
    pub(crate) errors: Vec<(usize, String)>,
}

/// Judges a request: any matching Deny denies; else every Require must match; else any matching
/// Allow allows; else it is allowed only where no Allow is in scope (`allows` says whether one is,
/// be it among the candidates or not).
pub(crate) fn judge(
    policies: &[Policy],
    candidates: &[u32],
    allows: bool,
    view: &View<'_>,
    meter: &Meter,
) -> Judgement {
    let rules = Rules { policies, candidates };
    let mut errors = Vec::new();
    let enforced = verdict(rules, allows, view, meter, &mut errors);
    let mut judgement = Judgement {
        denial: None,
        policy: enforced.policy,
        reason: enforced.reason,
        shadow: Vec::new(),
        errors,
    };
    if enforced.denies() {
        judgement.denial = Some(Denial::forbidden(enforced.reason));
        return judgement;
    }
    if !rules.any(Mode::Shadow) {
        return judgement;
    }
    // What would be denied is looked at with steps of its own: it must not use up those of what is
    // enforced.
    let meter = &Meter::new();
    let errors = &mut judgement.errors;
    for (index, rule) in rules.of(Mode::Shadow, Action::Deny) {
        if denies(index, rule, view, meter, errors) != Answer::No {
            judgement.shadow.push(index);
        }
    }
    for (index, rule) in rules.of(Mode::Shadow, Action::Require) {
        if !matches(index, rule, view, meter, errors) {
            judgement.shadow.push(index);
        }
    }
    // Shadow Allows would deny together: where they are the first Allows in scope, and none
    // matches.
    if enforced.reason == Reason::NoAllowRule
        && !rules
            .of(Mode::Shadow, Action::Allow)
            .any(|(index, rule)| matches(index, rule, view, meter, errors))
    {
        judgement.shadow.extend(rules.of(Mode::Shadow, Action::Allow).map(|(index, _)| index));
    }
    judgement.shadow.sort_unstable();
    judgement
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

    fn of(self, mode: Mode, action: Action) -> impl Iterator<Item = (usize, &'p Rule)> {
        self.candidates.iter().filter_map(move |index| {
            let index = usize::try_from(*index).ok()?;
            let policy = self.policies.get(index).filter(|policy| policy.mode == mode)?;
            let rule = policy.rule.as_ref().filter(|rule| rule.action == action)?;
            Some((index, rule))
        })
    }
}

/// What the enforced rules say.
#[derive(Debug)]
struct Verdict {
    policy: Option<usize>,
    reason: Reason,
}

impl Verdict {
    fn denies(&self) -> bool {
        !matches!(self.reason, Reason::AllowMatched | Reason::NoAllowRule)
    }
}

fn verdict(
    rules: Rules<'_>,
    allows: bool,
    view: &View<'_>,
    meter: &Meter,
    errors: &mut Vec<(usize, String)>,
) -> Verdict {
    for (index, rule) in rules.of(Mode::Enforce, Action::Deny) {
        match denies(index, rule, view, meter, errors) {
            Answer::Yes => return Verdict { policy: Some(index), reason: Reason::DenyMatched },
            Answer::Error | Answer::NotAsked => {
                return Verdict { policy: Some(index), reason: Reason::DenyError };
            }
            Answer::No => {}
        }
    }
    for (index, rule) in rules.of(Mode::Enforce, Action::Require) {
        if !matches(index, rule, view, meter, errors) {
            return Verdict { policy: Some(index), reason: Reason::RequireNotMatched };
        }
    }
    if !allows {
        return Verdict { policy: None, reason: Reason::NoAllowRule };
    }
    for (index, rule) in rules.of(Mode::Enforce, Action::Allow) {
        if matches(index, rule, view, meter, errors) {
            return Verdict { policy: Some(index), reason: Reason::AllowMatched };
        }
    }
    Verdict { policy: None, reason: Reason::NoAllowMatched }
}

/// Whether an Allow or Require matches; an error is no match.
fn matches(
    index: usize,
    rule: &Rule,
    view: &View<'_>,
    meter: &Meter,
    errors: &mut Vec<(usize, String)>,
) -> bool {
    asked(index, rule, view, meter, errors) == Answer::Yes
}

/// Whether a Deny denies; an error denies, unless the policy says to ignore it. What a caller
/// brought about by passing a limit is not the policy's to ignore.
fn denies(
    index: usize,
    rule: &Rule,
    view: &View<'_>,
    meter: &Meter,
    errors: &mut Vec<(usize, String)>,
) -> Answer {
    match asked(index, rule, view, meter, errors) {
        Answer::Error if rule.on_error == OnError::Ignore => Answer::No,
        answer => answer,
    }
}

/// What a rule says of a request, for tools.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It matches.
    Matched,
    /// It does not.
    NotMatched,
    /// An expression erred, or the request passes a limit.
    Erred,
}

/// Asks one rule, whatever others say.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn ask_alone(rule: &Rule, view: &View<'_>) -> Said {
    match asked(0, rule, view, &Meter::new(), &mut Vec::new()) {
        Answer::Yes => Said::Matched,
        Answer::No => Said::NotMatched,
        Answer::Error | Answer::NotAsked => Said::Erred,
    }
}

fn asked(
    index: usize,
    rule: &Rule,
    view: &View<'_>,
    meter: &Meter,
    errors: &mut Vec<(usize, String)>,
) -> Answer {
    let mut messages = Vec::new();
    if meter.is_exhausted() {
        return Answer::NotAsked;
    }
    let answer =
        meter.rule(|allowance| rule.settled(rule.ask(view, allowance, &mut messages), view));
    // What the other expressions, or other lines of a header, have settled is no error of the rule.
    if matches!(answer, Answer::Error | Answer::NotAsked) {
        errors.extend(messages.into_iter().map(|message| (index, message)));
    }
    answer
}
