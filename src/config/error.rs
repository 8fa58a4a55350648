//! What is wrong with a configuration, and where.

use std::borrow::Cow;
use std::fmt;

/// One error of a configuration: the policy and the place it is in, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The policy's name, where the error is in a policy that has one.
    pub policy: Option<String>,
    /// The JSON path, such as `policies[2].traffic.authorization.action`; empty for the configuration as a whole.
    pub place: String,
    /// What of the value there the error is about.
    pub spot: Spot,
    /// What is wrong and what was expected, in lower case, without a full stop.
    pub message: String,
}

/// What of a value an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// All of it.
    Whole,
    /// The field of this name, of an object.
    Field(String),
    /// A point in an expression's source.
    Source {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
}

impl ConfigError {
    /// The message, with line and column where it is about a point in an expression.
    #[must_use]
    pub fn detail(&self) -> Cow<'_, str> {
        match self.spot {
            Spot::Source { line, column } => Cow::Owned(format!("line {line}, column {column}: {}", self.message)),
            Spot::Whole | Spot::Field(_) => Cow::Borrowed(&self.message),
        }
    }
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
