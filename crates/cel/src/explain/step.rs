//! The steps of an explanation.

use serde::Serialize;

/// A variable and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value, as CEL writes it.
    pub value: String,
}

/// A part of an expression, and its value for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The part as it is written.
    pub source: String,
    /// The values of the variables of the macro around it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Its value.
    #[serde(flatten)]
    pub value: Value,
    /// Its parts without literals; the turns of a loop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Step>,
    /// How many of a loop's turns are left out between the first and the last.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

/// The value of a part of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "value", rename_all = "camelCase")]
pub enum Value {
    /// This value, as CEL writes it. Of a very long one, it is the start and `...`.
    Known(String),
    /// It has no value, for this reason.
    Error(String),
    /// It was not evaluated, because other parts settle the whole.
    NotNeeded,
    /// It is random, so it differs each time.
    Varies,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
