//! A feature of a policy in several forms, of which a request gets the first whose condition is
//! true.

use super::rule::{RuleResult, ask_once};
use crate::attributes::view::View;
use crate::cel::meter::Meter;
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{ConditionalConfig, ConfigError, Expr, MAX_ERRORS};

/// A compiled feature: one form for every request, or several with conditions.
#[derive(Debug)]
pub(crate) enum Conditional<T> {
    /// One form for every request.
    Always(T),
    /// The form of the first entry whose condition is true; none if no condition is.
    FirstTrue(Vec<Entry<T>>),
}

/// A form, and its condition.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// None for the fallback.
    condition: Option<Expression>,
    value: T,
}

impl<T: Default> Default for Conditional<T> {
    fn default() -> Self {
        Conditional::Always(T::default())
    }
}

impl<T> Conditional<T> {
    /// Compiles the conditions, and with `form` each form.
    pub(crate) fn compile<C>(
        policy: &str,
        config: &ConditionalConfig<C>,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
        mut form: impl FnMut(&C, &mut Vec<ConfigError>) -> T,
    ) -> Conditional<T> {
        let entries = match config {
            ConditionalConfig::Always(value) => return Conditional::Always(form(value, errors)),
            ConditionalConfig::FirstTrue { entries, .. } => entries,
        };
        let mut compiled = Vec::with_capacity(entries.len());
        for entry in entries {
            if errors.len() > MAX_ERRORS {
                break;
            }
            let condition = entry.condition.as_ref();
            let condition =
                condition.and_then(|expr| compile_condition(policy, expr, scope, errors));
            compiled.push(Entry { condition, value: form(&entry.value, errors) });
        }
        Conditional::FirstTrue(compiled)
    }

    /// The form for a request, with its index; none if no condition is true. The view must be that
    /// of the request as it came.
    ///
    /// # Errors
    /// Why a condition failed: what follows it cannot be chosen then.
    pub(crate) fn choose(
        &self,
        view: &View<'_>,
        meter: &Meter,
    ) -> Result<Option<(usize, &T)>, String> {
        self.choose_of(view, meter, |_| true)
    }

    /// The same, of the forms for which `counts` is true. The others are passed over, whatever
    /// their conditions are.
    pub(crate) fn choose_of(
        &self,
        view: &View<'_>,
        meter: &Meter,
        counts: impl Fn(&T) -> bool,
    ) -> Result<Option<(usize, &T)>, String> {
        let entries = match self {
            Conditional::Always(value) => return Ok(counts(value).then_some((0, value))),
            Conditional::FirstTrue(entries) => entries,
        };
        for (index, Entry { condition, value }) in entries.iter().enumerate() {
            if !counts(value) {
                continue;
            }
            let Some(condition) = condition else { return Ok(Some((index, value))) };
            let (result, message) = meter.rule(|allowance| ask_once(condition, view, allowance));
            match result {
                RuleResult::Matches => return Ok(Some((index, value))),
                RuleResult::DoesNotMatch => {}
                RuleResult::Fails | RuleResult::PassesLimit => {
                    return Err(format!("condition {index}: {}", message.unwrap_or_default()));
                }
            }
        }
        Ok(None)
    }

    /// The form at an index.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        match self {
            Conditional::Always(value) => (index == 0).then_some(value),
            Conditional::FirstTrue(entries) => entries.get(index).map(|entry| &entry.value),
        }
    }

    /// All forms, in order.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &T> {
        let (always, entries) = match self {
            Conditional::Always(value) => (Some(value), [].as_slice()),
            Conditional::FirstTrue(entries) => (None, entries.as_slice()),
        };
        always.into_iter().chain(entries.iter().map(|entry| &entry.value))
    }

    /// The conditions, in order; none for the fallback.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = Option<&Expression>> {
        let entries = match self {
            Conditional::Always(_) => [].as_slice(),
            Conditional::FirstTrue(entries) => entries.as_slice(),
        };
        entries.iter().map(|entry| entry.condition.as_ref())
    }
}

/// Compiles a condition. If that fails, `errors` gets the reasons, and the policy is not used.
fn compile_condition(
    policy: &str,
    expr: &Expr,
    scope: Scope<'_>,
    errors: &mut Vec<ConfigError>,
) -> Option<Expression> {
    match Expression::compile(scope, &expr.source, Phase::Request, Expected::Rule) {
        Ok(expression) => Some(expression),
        Err(found) => {
            let of = |error| ConfigError::of_expression(policy, expr, error);
            errors.extend(found.into_iter().map(of));
            None
        }
    }
}
