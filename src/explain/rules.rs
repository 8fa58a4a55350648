//! The result of a rule for a request, expression by expression and line by line.

use super::{Choice, Expression, Step, Value, Variable};
use crate::attributes::view::{ChosenLine, View};
use crate::cel::Scope;
use crate::cel::explain::Explainable;
use crate::cel::meter::Allowance;
use crate::config::AuthorizationConfig;
use crate::policy::rule::readings::{Reading, Readings};
use crate::policy::rule::{Rule, RuleResult, TOO_MANY, ask_once, of_part, of_readings};

/// The results of an expression that was evaluated.
struct Asked<'a> {
    answer: RuleResult,
    /// One for each reading of the request that was evaluated. The request as it is has no chosen
    /// lines.
    choices: Vec<(Reading<'a>, RuleResult, Option<String>)>,
}

/// Evaluates a rule as for the decision, and returns the values of its parts.
pub(super) fn explain(
    rule: &Rule,
    config: &AuthorizationConfig,
    scope: Scope<'_>,
    view: &View<'_>,
) -> super::Rule {
    let allowance = Allowance::whole();
    let mut asked = Vec::new();
    let answer = rule.combined(rule.expressions().iter().map(|expression| {
        let this = ask_each(rule, expression, view, &allowance);
        let answer = this.answer;
        asked.push(this);
        answer
    }));
    let answer = rule.settled(answer, view);
    let mut asked = asked.into_iter();
    let expressions = config.expressions.iter().map(|expr| {
        let explainable = Explainable::of(&expr.source, scope);
        let asked = asked.next();
        let choices = match (&asked, &explainable) {
            (Some(asked), Some(explainable)) => asked
                .choices
                .iter()
                .map(|(reading, answer, message)| {
                    choice(explainable, view, reading, *answer, message)
                })
                .collect(),
            (None, Some(explainable)) => {
                vec![Choice { lines: Vec::new(), step: explainable.not_needed() }]
            }
            (_, None) => Vec::new(),
        };
        Expression { place: expr.place.clone(), answer: asked.map(|asked| asked.answer), choices }
    });
    let expressions = expressions.collect();
    super::Rule {
        action: rule.action(),
        combine: rule.combine(),
        answer: Some(answer),
        expressions,
    }
}

/// A rule for a request that was refused before any rule was evaluated.
pub(super) fn unasked(rule: &Rule, config: &AuthorizationConfig, scope: Scope<'_>) -> super::Rule {
    let expressions = config.expressions.iter().map(|expr| {
        let choices = Explainable::of(&expr.source, scope)
            .map(|whole| Choice { lines: Vec::new(), step: whole.not_needed() });
        Expression {
            place: expr.place.clone(),
            answer: None,
            choices: choices.into_iter().collect(),
        }
    });
    let expressions = expressions.collect();
    super::Rule { action: rule.action(), combine: rule.combine(), answer: None, expressions }
}

/// Evaluates one of the rule's expressions for each reading, and keeps the results.
fn ask_each<'a>(
    rule: &Rule,
    expression: &'a crate::cel::Expression,
    view: &View<'a>,
    allowance: &Allowance,
) -> Asked<'a> {
    let readings = match Readings::of(expression.uses(), rule.action(), view, allowance) {
        Readings::One => vec![Reading::default()],
        Readings::TooMany => {
            let answer = RuleResult::PassesLimit;
            return Asked {
                answer,
                choices: vec![(Reading::default(), answer, Some(TOO_MANY.to_owned()))],
            };
        }
        Readings::Several(choices) => choices,
    };
    let mut choices = Vec::new();
    let once = |reading: Reading<'a>| {
        let (answer, message) = ask_once(expression, &reading.of(view), allowance);
        let told = of_part(answer, &reading);
        choices.push((reading, told, message));
        told
    };
    let answer = if readings.len() == 1 {
        readings.into_iter().map(once).next().unwrap_or(RuleResult::PassesLimit)
    } else {
        of_readings(rule.action(), readings.into_iter().map(once))
    };
    Asked { answer, choices }
}

fn choice(
    whole: &Explainable,
    view: &View<'_>,
    reading: &Reading<'_>,
    answer: RuleResult,
    message: &Option<String>,
) -> Choice {
    let value = match (answer, message) {
        (RuleResult::Matches, _) => Value::Known("true".to_owned()),
        (RuleResult::DoesNotMatch, _) => Value::Known("false".to_owned()),
        (RuleResult::Fails | RuleResult::PassesLimit, message) => {
            Value::Error(message.clone().unwrap_or_default())
        }
    };
    let step = match message.as_deref() {
        Some(TOO_MANY) => Step { value, ..whole.not_needed() },
        _ => whole.explain(&reading.of(view), value),
    };
    let line = |line: &ChosenLine<'_>| Variable {
        name: line.name.to_string(),
        value: crate::cel::explain::of_bytes(line.value),
    };
    let cookies = reading.cookies.to_string();
    let cookies =
        (!cookies.is_empty()).then(|| Variable { name: "cookies".to_owned(), value: cookies });
    let path = reading.path.as_deref().map(|path| Variable {
        name: ":path".to_owned(),
        value: crate::cel::explain::of_bytes(path.as_bytes()),
    });
    Choice { lines: reading.lines.iter().map(line).chain(cookies).chain(path).collect(), step }
}
