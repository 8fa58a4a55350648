//! What is wrong with a configuration, and where.

use std::borrow::Cow;
use std::fmt;

use super::{Expr, MAX_ERRORS};
use egress_cel::ExprError;

/// One error of a configuration: its policy, its place, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The policy's name, if the error is in a policy that has a name.
    pub policy: Option<String>,
    /// The JSON path, such as `policies[2].traffic.authorization.action`; empty for the
    /// configuration as a whole.
    pub place: String,
    /// The part of the value at that place that the error is about.
    pub spot: Spot,
    /// What is wrong and what was expected, in lower case, without a full stop.
    pub message: String,
}

/// The part of a value that an error or a warning is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// The whole value.
    Whole,
    /// The object's field of this name.
    Field(String),
    /// A point in an expression's source.
    Source {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
}

impl Spot {
    /// A message, with line and column where it is about a point in an expression.
    pub fn with<'m>(&self, message: &'m str) -> Cow<'m, str> {
        match self {
            Spot::Source { line, column } => {
                Cow::Owned(format!("line {line}, column {column}: {message}"))
            }
            Spot::Whole | Spot::Field(_) => Cow::Borrowed(message),
        }
    }
}

impl ConfigError {
    /// An error in an expression of a policy.
    pub fn of_expression(policy: &str, expr: &Expr, error: ExprError) -> ConfigError {
        ConfigError {
            // A policy without a name has an empty one here.
            policy: (!policy.is_empty()).then(|| policy.to_owned()),
            place: expr.place.clone(),
            spot: Spot::Source { line: error.line, column: error.column },
            message: error.message,
        }
    }

    /// The message, with line and column where it is about a point in an expression.
    #[must_use]
    pub fn detail(&self) -> Cow<'_, str> {
        self.spot.with(&self.message)
    }
}

/// The errors that are reported; if there are more than the limit, the last one says so.
pub fn bounded(mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    if errors.len() > MAX_ERRORS {
        errors.truncate(MAX_ERRORS);
        let message =
            format!("there are more than {MAX_ERRORS} errors: mend those that are told first");
        errors.push(ConfigError { policy: None, place: String::new(), spot: Spot::Whole, message });
    }
    errors
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(policy) = &self.policy {
            write!(f, "policy `{}`: ", policy.escape_debug())?;
        }
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.detail())
    }
}

impl std::error::Error for ConfigError {}
