//! A policy's authorization rule: its expressions, and their result for a request.

pub(crate) mod readings;

use serde::Serialize;

use super::bodies::reads_body;
use crate::attributes::view::View;
use crate::cel::guard::{self, Guard};
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{Action, AuthorizationConfig, Combine, ConfigError, MAX_ERRORS, OnError};
use readings::Readings;

/// A compiled `traffic.authorization`.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    combine: Combine,
    on_error: OnError,
    expressions: Vec<Expression>,
    /// Whether a look at it without steps may have its result.
    may_be_quick: bool,
    /// Whether some request has several readings of what an expression reads.
    may_have_readings: bool,
    /// When it can be evaluated.
    pub(crate) pass: Pass,
}

/// When a rule can be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Pass {
    /// Once the request's headers are there.
    #[default]
    First,
    /// Once the services that authorize requests have answered.
    Late,
    /// Once the request's body is there.
    Body,
}

/// The result of a rule, or of one of its expressions, for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleResult {
    /// It matches.
    Matches,
    /// It does not match.
    DoesNotMatch,
    /// An expression failed, and the others do not settle the rule.
    #[serde(rename = "errs")]
    Fails,
    /// The request exceeds a limit, or contains something that cannot be read, so the value of an
    /// expression does not count.
    PassesLimit,
}

impl RuleResult {
    /// The result of all of them together: one that does not match settles it.
    fn all(answers: impl Iterator<Item = RuleResult>) -> RuleResult {
        RuleResult::settled_by(RuleResult::DoesNotMatch, RuleResult::Matches, answers)
    }

    /// The result of any of them: one that matches settles it.
    fn any(answers: impl Iterator<Item = RuleResult>) -> RuleResult {
        RuleResult::settled_by(RuleResult::Matches, RuleResult::DoesNotMatch, answers)
    }

    fn settled_by(
        decisive: RuleResult,
        otherwise: RuleResult,
        answers: impl Iterator<Item = RuleResult>,
    ) -> RuleResult {
        let mut result = otherwise;
        for answer in answers {
            if answer == decisive || answer == RuleResult::PassesLimit {
                return answer;
            }
            if answer == RuleResult::Fails {
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
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Rule {
        let mut expressions = Vec::with_capacity(config.expressions.len());
        for expr in &config.expressions {
            if errors.len() > MAX_ERRORS {
                break;
            }
            match Expression::compile(scope, &expr.source, Phase::RequestBody, Expected::Rule) {
                Ok(expression) => expressions.push(expression),
                Err(found) => errors.extend(
                    found.into_iter().map(|error| ConfigError::of_expression(policy, expr, error)),
                ),
            }
        }
        let pass = if expressions.iter().any(reads_body) { Pass::Body } else { Pass::First };
        let may_have_readings =
            expressions.iter().any(|each| Readings::may_be_several(each.uses(), config.action));
        Rule {
            may_be_quick: expressions.first().is_none_or(Expression::may_be_quick),
            may_have_readings,
            action: config.action,
            combine: config.combine,
            on_error: config.on_error,
            expressions,
            pass,
        }
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    pub(crate) fn combine(&self) -> Combine {
        self.combine
    }

    /// Whether an expression that fails counts as one that does not match.
    pub(crate) fn ignores_errors(&self) -> bool {
        self.on_error == OnError::Ignore
    }

    pub(crate) fn is_allow(&self) -> bool {
        self.action == Action::Allow
    }

    /// Conditions on attributes without which the rule cannot matter; any one of them may be used.
    /// A Deny or Allow that does not match does not matter, nor does a Require that matches.
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

    /// Evaluates the rule for a request. If the result is that it fails, or that the request
    /// exceeds a limit, `errors` gets the reasons. A failure does not count if other expressions,
    /// or other lines of a header, settle the rule.
    pub(crate) fn ask(
        &self,
        view: &View<'_>,
        meter: &Meter,
        errors: &mut Vec<String>,
    ) -> RuleResult {
        if self.may_be_quick
            && let Some(answer) = self.quick(view, meter)
        {
            return answer;
        }
        if meter.is_exhausted() {
            return RuleResult::PassesLimit;
        }
        let answer = meter.rule(|allowance| {
            let mut one =
                |expression: &Expression| ask(expression, self.action, view, allowance, errors);
            // The result of one expression is the rule's, however more would be combined.
            let answer = match &*self.expressions {
                [only] => one(only),
                each => self.combined(each.iter().map(one)),
            };
            self.settled(answer, view)
        });
        if !errors.is_empty() && matches!(answer, RuleResult::Matches | RuleResult::DoesNotMatch) {
            errors.clear();
        }
        answer
    }

    /// The result where no expression fails, nothing that is read is long, and the request has one
    /// reading: the same that evaluating the rule in all ways has, for the same steps.
    #[inline]
    fn quick(&self, view: &View<'_>, meter: &Meter) -> Option<RuleResult> {
        let is_one = |expression: &Expression| {
            !self.may_have_readings || Readings::is_one(expression.uses(), self.action, view)
        };
        let decisive = self.combine == Combine::Any;
        let (mut matches, mut steps) = (!decisive, 0_u64);
        for expression in &self.expressions {
            if !is_one(expression) {
                return None;
            }
            let (holds, weight) = expression.quick(view)?;
            (matches, steps) = (holds, steps.saturating_add(weight));
            if holds == decisive {
                break;
            }
        }
        let answer = if matches { RuleResult::Matches } else { RuleResult::DoesNotMatch };
        meter.pay_for_rule(steps).then_some(answer)
    }

    /// Combines the results of the expressions.
    pub(crate) fn combined(&self, answers: impl Iterator<Item = RuleResult>) -> RuleResult {
        match self.combine {
            Combine::All => RuleResult::all(answers),
            Combine::Any => RuleResult::any(answers),
        }
    }

    /// The result of a rule that a limit left without one: other parts of the rule may settle it
    /// before the limit counts.
    #[inline]
    pub(crate) fn settled(&self, answer: RuleResult, view: &View<'_>) -> RuleResult {
        match answer {
            RuleResult::PassesLimit if view.settles(&self.guards()) => {
                if self.action == Action::Require {
                    RuleResult::Matches
                } else {
                    RuleResult::DoesNotMatch
                }
            }
            answer => answer,
        }
    }
}

/// The message for a request that repeats headers too often to be evaluated.
pub(crate) const TOO_MANY: &str = "headers that the rule reads are repeated too often";

/// Evaluates an expression for each line of the headers that it reads. A Deny matches if it does
/// for any line, an Allow or Require only if it does for all. So no rule can be evaded by sending a
/// header twice.
#[inline(never)]
fn ask(
    expression: &Expression,
    action: Action,
    view: &View<'_>,
    allowance: &Allowance,
    errors: &mut Vec<String>,
) -> RuleResult {
    if !Readings::is_one(expression.uses(), action, view) {
        return ask_of_each(expression, action, view, allowance, errors);
    }
    let value = expression.matches(view, allowance);
    match (&value, allowance.breached()) {
        (Ok(true), None) => RuleResult::Matches,
        (Ok(false), None) => RuleResult::DoesNotMatch,
        _ => noted(result(value, allowance), errors),
    }
}

/// Does what [`ask`] does, of a request that may have several readings.
#[inline(never)]
fn ask_of_each(
    expression: &Expression,
    action: Action,
    view: &View<'_>,
    allowance: &Allowance,
    errors: &mut Vec<String>,
) -> RuleResult {
    let mut once = |view: &View<'_>| noted(ask_once(expression, view, allowance), errors);
    let readings = match Readings::of(expression.uses(), action, view, allowance) {
        Readings::One => return once(view),
        Readings::TooMany => {
            errors.push(TOO_MANY.to_owned());
            return RuleResult::PassesLimit;
        }
        Readings::Several(readings) => readings,
    };
    of_readings(action, readings.iter().map(|reading| of_part(once(&reading.of(view)), reading)))
}

/// A result, whose message is put to the others.
fn noted((answer, message): (RuleResult, Option<String>), errors: &mut Vec<String>) -> RuleResult {
    errors.extend(message.filter(|message| !errors.contains(message)));
    answer
}

/// Evaluates an expression for one reading of a request. The message is that of an expression that
/// fails.
#[inline(never)]
pub(crate) fn ask_once(
    expression: &Expression,
    view: &View<'_>,
    allowance: &Allowance,
) -> (RuleResult, Option<String>) {
    result(expression.matches(view, allowance), allowance)
}

/// The result that an expression's value has.
#[inline(never)]
fn result(value: Result<bool, String>, allowance: &Allowance) -> (RuleResult, Option<String>) {
    let (answer, message) = match value {
        Ok(true) => (RuleResult::Matches, None),
        Ok(false) => (RuleResult::DoesNotMatch, None),
        Err(message) => (RuleResult::Fails, Some(message)),
    };
    // A breach counts, whatever the value of the expression.
    match allowance.breached() {
        Some(breach) => (RuleResult::PassesLimit, message.or_else(|| Some(breach.to_owned()))),
        None => (answer, message),
    }
}

/// The result for a part of a line. What is missing in a part is missing because of the cut, so
/// that is no failure of the rule.
pub(crate) fn of_part(answer: RuleResult, reading: &readings::Reading<'_>) -> RuleResult {
    if answer == RuleResult::Fails && reading.is_part { RuleResult::DoesNotMatch } else { answer }
}

/// Combines the results for all readings.
pub(crate) fn of_readings(action: Action, answers: impl Iterator<Item = RuleResult>) -> RuleResult {
    match action {
        Action::Deny => RuleResult::any(answers),
        Action::Allow | Action::Require => RuleResult::all(answers),
    }
}
