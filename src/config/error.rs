//! What is wrong with a configuration, and where.

use std::fmt;

/// One error of a configuration: the policy and the place it is in, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The policy's name, where the error is in a policy that has one.
    pub policy: Option<String>,
    /// The JSON path, such as `policies[2].traffic.authorization.action`; empty for the configuration as a whole.
    pub place: String,
    /// What is wrong and what was expected, in lower case, without a full stop.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(policy) = &self.policy {
            write!(f, "policy `{}`: ", policy.escape_debug())?;
        }
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
