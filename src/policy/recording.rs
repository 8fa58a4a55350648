//! `audit.filter` and `audit.fields`, compiled: which decisions are logged, and with which values.
//!
//! They are evaluated once a request is decided, over the request as it came. They spend steps of
//! their own, each the same share, so that what is only reported can neither use up the steps of a
//! decision nor those of another field.

use std::sync::Arc;

use crate::attributes::view::View;
use crate::cel::Scope;
use crate::cel::limits::MAX_STEPS;
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase};
use crate::config::{ConfigError, Expr, RecordConfig};
use crate::printable;

/// The steps that the filter and all fields together may take for a request.
const ALL_STEPS: u64 = MAX_STEPS;

/// The filter and the fields of a configuration that has any.
#[derive(Debug)]
pub(crate) struct Recording {
    filter: Option<Expression>,
    fields: Vec<RecordField>,
    /// The steps that the filter may take, and each field.
    share: u64,
}

/// A field, and the expression of its value.
#[derive(Debug)]
struct RecordField {
    name: Arc<str>,
    value: Expression,
}

/// A field's value for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The field's name.
    pub name: Arc<str>,
    /// The value: JSON in printable ASCII.
    pub json: String,
    /// Whether something is left out of it.
    pub is_cut: bool,
}

impl FieldValue {
    /// The value for the proxy's access log. A text is without its quotes: what it consists of is
    /// escaped as in JSON, so that it can neither split a line nor end a quoted text.
    #[must_use]
    pub fn text(&self) -> &str {
        let inner = self.json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        inner.unwrap_or(&self.json)
    }
}

impl Recording {
    /// Compiles what a configuration has of these; none where it has none, or an error.
    #[inline(never)]
    pub(super) fn compile(
        config: &RecordConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Box<Recording>> {
        let mut compiled = |expr: &Expr, expected| {
            Expression::compile(scope, &expr.source, Phase::Request, expected)
                .map_err(|found| {
                    let error = |error| ConfigError::of_expression("", expr, error);
                    errors.extend(found.into_iter().map(error));
                })
                .ok()
        };
        let filter = config.filter.as_ref().and_then(|filter| compiled(filter, Expected::Rule));
        let fields: Vec<RecordField> = config
            .fields
            .iter()
            .filter_map(|field| {
                let name = Arc::from(field.name.as_str());
                Some(RecordField { name, value: compiled(&field.value, Expected::Any)? })
            })
            .collect();
        let expressions =
            u64::try_from(fields.len()).ok()?.saturating_add(u64::from(filter.is_some()));
        let share = ALL_STEPS.checked_div(expressions)?;
        Some(Box::new(Recording { filter, fields, share }))
    }

    /// Whether the filter lets a decision be logged. If it fails, the decision is logged.
    pub(crate) fn selects(&self, view: &View<'_>, errors: &mut u32) -> bool {
        let Some(filter) = &self.filter else { return true };
        let selected = Meter::of(self.share).rule(|allowance| {
            let selected = filter.matches(view, allowance).ok()?;
            allowance.breached().is_none().then_some(selected)
        });
        selected.unwrap_or_else(|| {
            *errors = errors.saturating_add(1);
            true
        })
    }

    /// The values of the fields.
    pub(crate) fn fields(&self, view: &View<'_>, errors: &mut u32) -> Vec<FieldValue> {
        let value_of = |field: &RecordField| {
            let evaluate = |allowance: &Allowance| field.value.recorded(view, allowance);
            match Meter::of(self.share).rule(evaluate) {
                Ok(value) => value.map(|value| FieldValue {
                    name: Arc::clone(&field.name),
                    json: printable::ascii(value.json),
                    is_cut: value.is_cut,
                }),
                Err(_) => {
                    *errors = errors.saturating_add(1);
                    None
                }
            }
        };
        self.fields.iter().filter_map(value_of).collect()
    }
}
