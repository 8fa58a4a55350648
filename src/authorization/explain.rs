//! What a rule says of a request, expression by expression and line by line.

use super::lines::Choices;
use super::{Answer, Rule, TOO_MANY, ask_once, of_choices};
use crate::cel::explain::Explainable;
use crate::cel::meter;
use crate::cel::view::{ChosenLine, View};
use crate::config::AuthorizationConfig;
use crate::explain::{self, Choice, Expression, Step, Value, Variable};

/// The answers of an expression that was asked.
struct Asked {
    answer: Answer,
    /// One for each choice of lines that was asked: with it, and without lines for the request as it is.
    choices: Vec<(Vec<ChosenLineOwned>, Answer, Option<String>)>,
}

type ChosenLineOwned = (String, Vec<u8>);

impl Rule {
    /// Asks the rule as it is asked to decide, and says what each part of it is.
    pub(crate) fn explain(&self, config: &AuthorizationConfig, view: &View<'_>) -> explain::Rule {
        // All of the rule spends from one meter, so that it is asked before its parts are looked at.
        meter::begin();
        let mut asked = Vec::new();
        let answer = self.combined(self.expressions.iter().map(|expression| {
            let this = self.ask_each(expression, view);
            let answer = this.answer;
            asked.push(this);
            answer
        }));
        let answer = self.settled(answer, view);
        let mut asked = asked.into_iter();
        let expressions = config.expressions.iter().map(|expr| {
            let explainable = Explainable::of(&expr.source);
            let asked = asked.next();
            let choices = match (&asked, &explainable) {
                (Some(asked), Some(explainable)) => {
                    asked.choices.iter().map(|(lines, answer, message)| choice(explainable, view, lines, *answer, message)).collect()
                }
                (None, Some(explainable)) => vec![Choice { lines: Vec::new(), step: explainable.not_needed() }],
                (_, None) => Vec::new(),
            };
            Expression { place: expr.place.clone(), answer: asked.map(|asked| asked.answer.into()), choices }
        });
        let expressions = expressions.collect();
        explain::Rule { action: self.action, combine: self.combine, answer: Some(answer.into()), expressions }
    }

    /// The rule of a request that was refused before any was asked.
    pub(crate) fn unasked(&self, config: &AuthorizationConfig) -> explain::Rule {
        let expressions = config.expressions.iter().map(|expr| {
            let choices = Explainable::of(&expr.source).map(|whole| Choice { lines: Vec::new(), step: whole.not_needed() });
            Expression { place: expr.place.clone(), answer: None, choices: choices.into_iter().collect() }
        });
        let expressions = expressions.collect();
        explain::Rule { action: self.action, combine: self.combine, answer: None, expressions }
    }

    /// As [`ask`](super::ask) does, keeping the answer about each choice.
    fn ask_each(&self, expression: &crate::cel::Expression, view: &View<'_>) -> Asked {
        let lines = match Choices::of(&expression.uses().request_headers, self.action, view) {
            Choices::One => vec![Vec::new()],
            Choices::TooMany => {
                let answer = Answer::NotAsked;
                return Asked { answer, choices: vec![(Vec::new(), answer, Some(TOO_MANY.to_owned()))] };
            }
            Choices::Several(choices) => choices,
        };
        let mut choices = Vec::new();
        let mut once = |lines: &Vec<ChosenLine<'_>>| {
            let (answer, message) = ask_once(expression, &view.at_lines(lines));
            let owned = lines.iter().map(|line| (line.name.to_owned(), line.value.to_vec())).collect();
            choices.push((owned, answer, message));
            answer
        };
        let answer = match lines.as_slice() {
            [only] => once(only),
            lines => of_choices(self.action, lines.iter().map(once)),
        };
        Asked { answer, choices }
    }
}

fn choice(whole: &Explainable, view: &View<'_>, lines: &[ChosenLineOwned], answer: Answer, message: &Option<String>) -> Choice {
    let value = match (answer, message) {
        (Answer::Yes, _) => Value::Known("true".to_owned()),
        (Answer::No, _) => Value::Known("false".to_owned()),
        (Answer::Error | Answer::NotAsked, message) => Value::Error(message.clone().unwrap_or_default()),
    };
    let chosen: Vec<ChosenLine<'_>> = lines.iter().map(|(name, value)| ChosenLine { name, value }).collect();
    let step = match message.as_deref() {
        Some(TOO_MANY) => Step { value, ..whole.not_needed() },
        _ => whole.explain(&view.at_lines(&chosen), value),
    };
    let lines = lines.iter().map(|(name, value)| Variable { name: name.clone(), value: crate::cel::explain::of_bytes(value) });
    Choice { lines: lines.collect(), step }
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
