//! A policy's authorization rule: its expressions, and what they say together of a request.

pub(crate) mod readings;

use serde::Serialize;

use crate::attributes::TABLE;
use crate::attributes::view::View;
use crate::cel::guard::{self, Guard};
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase};
use crate::config::{Action, AuthorizationConfig, Combine, ConfigError, MAX_ERRORS, OnError};
use readings::Readings;

/// A compiled `traffic.authorization`.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    combine: Combine,
    on_error: OnError,
    expressions: Vec<Expression>,
}

/// What a rule, or one of its expressions, says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It matches.
    Matches,
    /// It does not match.
    DoesNotMatch,
    /// An expression failed, and the others do not settle the rule.
    #[serde(rename = "errs")]
    Fails,
    /// The request passes a limit, or holds something that cannot be read, so that what an
    /// expression said, or would say, does not count.
    PassesLimit,
}

impl Answer {
    /// What all of them come to: one that does not match settles it.
    fn all(answers: impl Iterator<Item = Answer>) -> Answer {
        Answer::settled_by(Answer::DoesNotMatch, Answer::Matches, answers)
    }

    /// What any of them come to: one that matches settles it.
    fn any(answers: impl Iterator<Item = Answer>) -> Answer {
        Answer::settled_by(Answer::Matches, Answer::DoesNotMatch, answers)
    }

    fn settled_by(
        decisive: Answer,
        otherwise: Answer,
        answers: impl Iterator<Item = Answer>,
    ) -> Answer {
        let mut result = otherwise;
        for answer in answers {
            if answer == decisive || answer == Answer::PassesLimit {
                return answer;
            }
            if answer == Answer::Fails {
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

    /// Asks the rule about a request. Where the answer is that it fails, or that the request passes
    /// a limit, `errors` gets the reasons; what the other expressions, or other lines of a header,
    /// have settled is no error of the rule.
    pub(crate) fn ask(&self, view: &View<'_>, meter: &Meter, errors: &mut Vec<String>) -> Answer {
        if meter.is_exhausted() {
            return Answer::PassesLimit;
        }
        let answer = meter.rule(|allowance| {
            let each = self.expressions.iter();
            let answers =
                each.map(|expression| ask(expression, self.action, view, allowance, errors));
            self.settled(self.combined(answers), view)
        });
        if matches!(answer, Answer::Matches | Answer::DoesNotMatch) {
            errors.clear();
        }
        answer
    }

    /// What the expressions' answers come to.
    pub(crate) fn combined(&self, answers: impl Iterator<Item = Answer>) -> Answer {
        match self.combine {
            Combine::All => Answer::all(answers),
            Combine::Any => Answer::any(answers),
        }
    }

    /// What the rule says where a limit left it without an answer: what else it says may have
    /// settled it before the limit counts.
    pub(crate) fn settled(&self, answer: Answer, view: &View<'_>) -> Answer {
        match answer {
            Answer::PassesLimit if view.settles(&self.guards()) => {
                if self.action == Action::Require { Answer::Matches } else { Answer::DoesNotMatch }
            }
            answer => answer,
        }
    }
}

/// Why nothing is asked about a request that repeats headers too often.
pub(crate) const TOO_MANY: &str = "headers that the rule reads are repeated too often";

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
    let readings = match Readings::of(expression.uses(), action, view, allowance) {
        Readings::One => return once(view),
        Readings::TooMany => {
            errors.push(TOO_MANY.to_owned());
            return Answer::PassesLimit;
        }
        Readings::Several(readings) => readings,
    };
    of_readings(
        action,
        readings.iter().map(|reading| {
            let view = view.at(&reading.lines, reading.cookies, reading.path.as_deref());
            of_part(once(&view), reading)
        }),
    )
}

/// Asks an expression about one reading of a request. The error is the message of an expression
/// that fails.
pub(crate) fn ask_once(
    expression: &Expression,
    view: &View<'_>,
    allowance: &Allowance,
) -> (Answer, Option<String>) {
    let (answer, message) = match expression.matches(view, allowance) {
        Ok(true) => (Answer::Matches, None),
        Ok(false) => (Answer::DoesNotMatch, None),
        Err(message) => (Answer::Fails, Some(message)),
    };
    // Whatever the expression made of it.
    match allowance.breached() {
        Some(breach) => (Answer::PassesLimit, message.or_else(|| Some(breach.to_owned()))),
        None => (answer, message),
    }
}

/// What is missing in a part of a line is missing because of where it was cut: that is no error of
/// the rule.
pub(crate) fn of_part(answer: Answer, reading: &readings::Reading<'_>) -> Answer {
    if answer == Answer::Fails && reading.is_part { Answer::DoesNotMatch } else { answer }
}

/// What the answers about each reading come to.
pub(crate) fn of_readings(action: Action, answers: impl Iterator<Item = Answer>) -> Answer {
    match action {
        Action::Deny => Answer::any(answers),
        Action::Allow | Action::Require => Answer::all(answers),
    }
}
