//! Deny, Require, Allow.

use crate::cel::view::{ChosenLine, View};
use crate::cel::{Expected, Expression, HeadersRead, Phase};
use crate::config::{Action, AuthorizationConfig, Combine, ConfigError, Mode, OnError};
use crate::header_name::same_to_some_origin;
use crate::outcome::{Denial, Reason};
use crate::policy::Policy;
use crate::request::Reads;

/// The most ways to choose one line of each header that came on several; a request with more errs.
const MAX_CHOICES: usize = 64;

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
    /// The request passes a limit, so an expression was not asked, and the others do not settle it.
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

    fn settled_by(decisive: Answer, otherwise: Answer, answers: impl Iterator<Item = Answer>) -> Answer {
        let mut result = otherwise;
        for answer in answers {
            if answer == decisive {
                return decisive;
            }
            if answer == Answer::NotAsked || (answer == Answer::Error && result != Answer::NotAsked) {
                result = answer;
            }
        }
        result
    }
}

impl Rule {
    pub(crate) fn compile(policy: &str, config: &AuthorizationConfig, errors: &mut Vec<ConfigError>) -> Rule {
        let mut expressions = Vec::with_capacity(config.expressions.len());
        for expr in &config.expressions {
            match Expression::compile(&expr.source, Phase::Request, Expected::Rule) {
                Ok(expression) => expressions.push(expression),
                Err(found) => errors.extend(found.iter().map(|error| ConfigError {
                    policy: Some(policy.to_owned()),
                    place: expr.place.clone(),
                    message: error.to_string(),
                })),
            }
        }
        Rule { action: config.action, combine: config.combine, on_error: config.on_error, expressions }
    }

    pub(crate) fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    pub(crate) fn reads(&self) -> Reads {
        self.expressions.iter().fold(Reads::default(), |reads, expression| reads.or(expression.uses().reads))
    }

    fn ask(&self, view: &View<'_>, errors: &mut Vec<String>) -> Answer {
        let answers = self.expressions.iter().map(|expression| ask(expression, self.action, view, errors));
        match self.combine {
            Combine::All => Answer::all(answers),
            Combine::Any => Answer::any(answers),
        }
    }
}

/// Asks an expression about each line of the headers that it reads: a Deny matches if it does for any of them, an Allow or
/// Require only if for all, so that no rule is dodged by sending a header twice.
fn ask(expression: &Expression, action: Action, view: &View<'_>, errors: &mut Vec<String>) -> Answer {
    let mut once = |view: &View<'_>| match expression.matches(view) {
        Ok(true) => Answer::Yes,
        Ok(false) => Answer::No,
        Err(message) => {
            if !errors.contains(&message) {
                errors.push(message);
            }
            Answer::Error
        }
    };
    let repeated = repeated_headers(&expression.uses().request_headers, view);
    if repeated.is_empty() {
        return once(view);
    }
    let Some(choices) = repeated.iter().try_fold(1_usize, |product, (_, lines)| product.checked_mul(*lines)).filter(|n| *n <= MAX_CHOICES)
    else {
        errors.push("headers that the rule reads are repeated too often".to_owned());
        return Answer::NotAsked;
    };
    let answers = (0..choices).map(|choice| {
        let lines = choose(&repeated, choice);
        let view = View::new(view.facts, view.request, view.peer).with_lines(&lines);
        once(&view)
    });
    match action {
        Action::Deny => Answer::any(answers),
        Action::Allow | Action::Require => Answer::all(answers),
    }
}

/// The headers among those read that came on several lines, and on how many.
fn repeated_headers(read: &HeadersRead, view: &View<'_>) -> Vec<(String, usize)> {
    let headers = view.request_headers();
    let names: Vec<&str> = match read {
        HeadersRead::Names(names) => names.iter().map(String::as_str).collect(),
        HeadersRead::All => headers.names(),
    };
    let mut repeated: Vec<(String, usize)> = Vec::new();
    for name in names {
        let lines = headers.count(name);
        let counted = |(known, _): &(String, usize)| same_to_some_origin(known.as_bytes(), name.as_bytes());
        if lines > 1 && !repeated.iter().any(counted) {
            repeated.push((name.to_owned(), lines));
        }
    }
    repeated
}

/// The lines of one choice: the choice's digits, each in the base of how many lines that header has.
fn choose(repeated: &[(String, usize)], choice: usize) -> Vec<ChosenLine> {
    let mut rest = choice;
    let digit = |(name, lines): &(String, usize)| {
        let index = rest.checked_rem(*lines).unwrap_or(0);
        rest = rest.checked_div(*lines).unwrap_or(0);
        ChosenLine { name: name.clone(), index }
    };
    repeated.iter().map(digit).collect()
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

/// Judges a request: any matching Deny denies; else every Require must match; else any matching Allow allows; else it is
/// allowed only where no Allow is in scope.
pub(crate) fn judge<'p>(policies: impl Iterator<Item = (usize, &'p Policy)>, view: &View<'_>) -> Judgement {
    let rules: Vec<(usize, Mode, &Rule)> =
        policies.filter_map(|(index, policy)| Some((index, policy.mode, policy.rule.as_ref()?))).collect();
    let mut errors = Vec::new();
    let enforced = verdict(rules.iter().filter(|(_, mode, _)| *mode == Mode::Enforce), view, &mut errors);
    let mut judgement = Judgement { denial: None, policy: enforced.policy, reason: enforced.reason, shadow: Vec::new(), errors };
    if enforced.denies() {
        judgement.denial = Some(Denial::forbidden(enforced.reason));
        return judgement;
    }
    let shadows: Vec<_> = rules.iter().filter(|(_, mode, _)| *mode == Mode::Shadow).collect();
    if shadows.is_empty() {
        return judgement;
    }
    let would_deny = |index: usize, rule: &Rule, errors: &mut Vec<(usize, String)>| match rule.action {
        Action::Deny => !matches!(denies(index, rule, view, errors), Answer::No),
        Action::Require => !matches(index, rule, view, errors),
        Action::Allow => false,
    };
    for (index, _, rule) in &shadows {
        if would_deny(*index, rule, &mut judgement.errors) {
            judgement.shadow.push(*index);
        }
    }
    // Shadow Allows would deny together: where they are the first Allows in scope, or the others did not match.
    let allows: Vec<_> = shadows.iter().filter(|(_, _, rule)| rule.action == Action::Allow).collect();
    if enforced.reason == Reason::NoAllowRule && !allows.is_empty() {
        let any = allows.iter().any(|(index, _, rule)| matches(*index, rule, view, &mut judgement.errors));
        if !any {
            judgement.shadow.extend(allows.iter().map(|(index, ..)| *index));
            judgement.shadow.sort_unstable();
        }
    }
    judgement
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

fn verdict<'r, 'p: 'r>(
    rules: impl Iterator<Item = &'r (usize, Mode, &'p Rule)> + Clone,
    view: &View<'_>,
    errors: &mut Vec<(usize, String)>,
) -> Verdict {
    let of = |action: Action| rules.clone().filter(move |(_, _, rule)| rule.action == action).map(|(index, _, rule)| (*index, *rule));
    for (index, rule) in of(Action::Deny) {
        match denies(index, rule, view, errors) {
            Answer::Yes => return Verdict { policy: Some(index), reason: Reason::DenyMatched },
            Answer::Error | Answer::NotAsked => return Verdict { policy: Some(index), reason: Reason::DenyError },
            Answer::No => {}
        }
    }
    for (index, rule) in of(Action::Require) {
        if !matches(index, rule, view, errors) {
            return Verdict { policy: Some(index), reason: Reason::RequireNotMatched };
        }
    }
    let mut allows = false;
    for (index, rule) in of(Action::Allow) {
        if matches(index, rule, view, errors) {
            return Verdict { policy: Some(index), reason: Reason::AllowMatched };
        }
        allows = true;
    }
    Verdict { policy: None, reason: if allows { Reason::NoAllowMatched } else { Reason::NoAllowRule } }
}

/// Whether an Allow or Require matches; an error is no match.
fn matches(index: usize, rule: &Rule, view: &View<'_>, errors: &mut Vec<(usize, String)>) -> bool {
    asked(index, rule, view, errors) == Answer::Yes
}

/// Whether a Deny denies; an error denies, unless the policy says to ignore it. What a caller brought about by passing a
/// limit is not the policy's to ignore.
fn denies(index: usize, rule: &Rule, view: &View<'_>, errors: &mut Vec<(usize, String)>) -> Answer {
    match asked(index, rule, view, errors) {
        Answer::Error if rule.on_error == OnError::Ignore => Answer::No,
        answer => answer,
    }
}

fn asked(index: usize, rule: &Rule, view: &View<'_>, errors: &mut Vec<(usize, String)>) -> Answer {
    let mut messages = Vec::new();
    let answer = rule.ask(view, &mut messages);
    errors.extend(messages.into_iter().map(|message| (index, message)));
    answer
}
