//! What a rule says of a request, expression by expression and line by line.

use super::lines::{self, Choices};
use super::{Answer, Rule, TOO_MANY, ask_once, of_choices, of_part};
use crate::attributes::TABLE;
use crate::attributes::view::{ChosenLine, View};
use crate::cel::explain::Explainable;
use crate::cel::meter::Allowance;
use crate::config::AuthorizationConfig;
use crate::explain::{self, Choice, Expression, Step, Value, Variable};

/// The answers of an expression that was asked.
struct Asked<'a> {
    answer: Answer,
    /// One for each reading that was asked about: with it, and without lines for the request as it
    /// is.
    choices: Vec<(lines::Choice<'a>, Answer, Option<String>)>,
}

impl Rule {
    /// Asks the rule as it is asked to decide, and says what each part of it is.
    pub(crate) fn explain(&self, config: &AuthorizationConfig, view: &View<'_>) -> explain::Rule {
        let allowance = Allowance::whole();
        let mut asked = Vec::new();
        let answer = self.combined(self.expressions.iter().map(|expression| {
            let this = self.ask_each(expression, view, &allowance);
            let answer = this.answer;
            asked.push(this);
            answer
        }));
        let answer = self.settled(answer, view);
        let mut asked = asked.into_iter();
        let expressions = config.expressions.iter().map(|expr| {
            let explainable = Explainable::of(&expr.source, &TABLE);
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
            Expression {
                place: expr.place.clone(),
                answer: asked.map(|asked| asked.answer.into()),
                choices,
            }
        });
        let expressions = expressions.collect();
        explain::Rule {
            action: self.action,
            combine: self.combine,
            answer: Some(answer.into()),
            expressions,
        }
    }

    /// The rule of a request that was refused before any was asked.
    pub(crate) fn unasked(&self, config: &AuthorizationConfig) -> explain::Rule {
        let expressions = config.expressions.iter().map(|expr| {
            let choices = Explainable::of(&expr.source, &TABLE)
                .map(|whole| Choice { lines: Vec::new(), step: whole.not_needed() });
            Expression {
                place: expr.place.clone(),
                answer: None,
                choices: choices.into_iter().collect(),
            }
        });
        let expressions = expressions.collect();
        explain::Rule { action: self.action, combine: self.combine, answer: None, expressions }
    }

    /// As [`ask`](super::ask) does, keeping the answer about each choice.
    fn ask_each<'a>(
        &self,
        expression: &'a crate::cel::Expression,
        view: &View<'a>,
        allowance: &Allowance,
    ) -> Asked<'a> {
        let readings = match Choices::of(expression.uses(), self.action, view, allowance) {
            Choices::One => vec![lines::Choice::default()],
            Choices::TooMany => {
                let answer = Answer::NotAsked;
                return Asked {
                    answer,
                    choices: vec![(lines::Choice::default(), answer, Some(TOO_MANY.to_owned()))],
                };
            }
            Choices::Several(choices) => choices,
        };
        let mut choices = Vec::new();
        let once = |reading: lines::Choice<'a>| {
            let (answer, message) = ask_once(
                expression,
                &view.at(&reading.lines, reading.cookies, reading.path.as_deref()),
                allowance,
            );
            let told = of_part(answer, &reading);
            choices.push((reading, told, message));
            told
        };
        let answer = if readings.len() == 1 {
            readings.into_iter().map(once).next().unwrap_or(Answer::NotAsked)
        } else {
            of_choices(self.action, readings.into_iter().map(once))
        };
        Asked { answer, choices }
    }
}

fn choice(
    whole: &Explainable,
    view: &View<'_>,
    reading: &lines::Choice<'_>,
    answer: Answer,
    message: &Option<String>,
) -> Choice {
    let value = match (answer, message) {
        (Answer::Yes, _) => Value::Known("true".to_owned()),
        (Answer::No, _) => Value::Known("false".to_owned()),
        (Answer::Error | Answer::NotAsked, message) => {
            Value::Error(message.clone().unwrap_or_default())
        }
    };
    let step = match message.as_deref() {
        Some(TOO_MANY) => Step { value, ..whole.not_needed() },
        _ => {
            whole.explain(&view.at(&reading.lines, reading.cookies, reading.path.as_deref()), value)
        }
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

impl From<Answer> for explain::Answer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => explain::Answer::Matches,
            Answer::No => explain::Answer::DoesNotMatch,
            Answer::Error => explain::Answer::Errs,
            Answer::NotAsked => explain::Answer::PassesLimit,
        }
    }
}
