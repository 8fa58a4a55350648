//! What header rules do to a message, rule by rule.

use std::cell::RefCell;

use super::{HeaderRule, Operation, Step, Value};
use crate::attributes::view::View;
use crate::cel::explain::{Explainable, of_bytes};
use crate::cel::meter::Meter;
use crate::cel::{Expression, Phase, Scope};
use crate::config::{HeaderRulesConfig, HeaderValueConfig};
use crate::decision::Change;
use crate::identity::peer::Callers;
use crate::policy::header_rules::{Applied, HeaderRules, HeaderValue, ILLEGAL, is_legal};
use crate::request::Facts;
use crate::request::headers::Headers;

/// The value of an expression, and the values of its parts.
struct Evaluated<'e> {
    expression: &'e Expression,
    value: Step,
    error: Option<String>,
}

/// Applies header rules as [`HeaderRules::apply`] does, and returns the values of all parts of
/// their expressions.
pub(super) fn explain<'a>(
    rules: &'a HeaderRules,
    config: &HeaderRulesConfig,
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    meter: &Meter,
    (facts, callers, phase, scope): (&Facts<'_>, &Callers, Phase, Scope<'_>),
) -> (Applied, Vec<HeaderRule>) {
    let values = || {
        let add =
            rules.add.iter().zip(&config.add).map(|(rule, config)| (Operation::Add, rule, config));
        add.chain(
            rules.set.iter().zip(&config.set).map(|(rule, config)| (Operation::Set, rule, config)),
        )
    };
    let evaluated: RefCell<Vec<Evaluated<'_>>> = RefCell::default();
    let applied = rules.apply(headers, changes, meter, |headers, expression, allowance| {
        let view = View::new(facts, callers);
        let view = if phase == Phase::Request {
            view.with_request(headers)
        } else {
            view.with_response(headers)
        };
        let outcome = expression.header_value(&view, allowance);
        let breached = allowance.breached();
        if let Some((_, rule, config)) =
            values().find(|(_, rule, _)| std::ptr::eq(&rule.value, expression))
        {
            evaluated.borrow_mut().push(explained(rule, config, scope, &view, &outcome, breached));
        }
        outcome
    });
    let mut evaluated = evaluated.into_inner();
    let mut explained: Vec<HeaderRule> = values()
        .map(|(operation, rule, config)| {
            let found = evaluated.iter().position(|one| std::ptr::eq(one.expression, &rule.value));
            let (value, error) = match (found.map(|found| evaluated.remove(found)), &rule.constant)
            {
                (Some(found), _) => (Some(found.value), found.error),
                (None, Some(constant)) => (
                    Explainable::of(&config.value.source, scope).map(|whole| Step {
                        value: Value::Known(of_bytes(constant.as_bytes())),
                        ..whole.not_needed()
                    }),
                    None,
                ),
                (None, None) => (None, None),
            };
            HeaderRule { operation, name: rule.name.clone(), value, error }
        })
        .collect();
    explained.extend(rules.remove.iter().map(|name| HeaderRule {
        operation: Operation::Remove,
        name: name.clone(),
        value: None,
        error: None,
    }));
    (applied, explained)
}

fn explained<'e>(
    rule: &'e HeaderValue,
    config: &HeaderValueConfig,
    scope: Scope<'_>,
    view: &View<'_>,
    outcome: &Result<Vec<u8>, String>,
    breached: Option<&'static str>,
) -> Evaluated<'e> {
    let error = match outcome {
        Err(message) => Some(message.clone()),
        Ok(_) if breached.is_some() => breached.map(str::to_owned),
        Ok(value) if !is_legal(&rule.name, value) => Some(ILLEGAL.to_owned()),
        Ok(_) => None,
    };
    let value = match (outcome, breached) {
        (Ok(value), None) => Value::Known(of_bytes(value)),
        (Ok(_), Some(breach)) => Value::Error(breach.to_owned()),
        (Err(message), _) => Value::Error(message.clone()),
    };
    let step = Explainable::of(&config.value.source, scope)
        .map(|whole| whole.explain(view, value.clone()));
    let step = step.unwrap_or_else(|| Step {
        source: config.value.source.clone(),
        variables: Vec::new(),
        value,
        parts: Vec::new(),
        omitted: 0,
    });
    Evaluated { expression: &rule.value, value: step, error }
}
