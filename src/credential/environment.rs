//! Where the values of environment variables come from.

use std::collections::BTreeMap;

use super::secret::{REDACTED, Secret};

/// Something that knows environment variables.
pub trait Environment {
    /// The value of a variable; `None` if there is no such variable.
    fn value(&self, name: &str) -> Option<Value>;
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This value.
    Known(Secret),
    /// A value that is not known here. Tools see `<redacted>` in its place.
    Redacted,
}

impl Value {
    /// The bytes that a credential is made of.
    pub(crate) fn expose(&self) -> &[u8] {
        match self {
            Value::Known(secret) => secret.expose(),
            Value::Redacted => REDACTED.as_bytes(),
        }
    }
}

/// The environment of tools, which check and explain a configuration without its secrets: every
/// variable is there, and no value is known.
#[derive(Debug, Clone, Copy)]
pub struct NamesOnly;

impl Environment for NamesOnly {
    fn value(&self, _name: &str) -> Option<Value> {
        Some(Value::Redacted)
    }
}

impl Environment for BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<Value> {
        self.get(name).map(|value| Value::Known(Secret::new(value.as_bytes())))
    }
}
