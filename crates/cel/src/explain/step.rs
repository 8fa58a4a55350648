//! What an explanation of an expression is made of.

use serde::Serialize;

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value, as CEL writes it.
    pub value: String,
}

/// A part of an expression and what it is for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The part as it is written.
    pub source: String,
    /// What the variables of the macro around it are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// What it is.
    #[serde(flatten)]
    pub value: Value,
    /// Its parts, of those that are not literals. Of a loop, its turns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Step>,
    /// How many of a loop's turns are left out between the first and the last.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

/// What a part of an expression is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "value", rename_all = "camelCase")]
pub enum Value {
    /// This value, as CEL writes it; where it is very long, its start and `...`.
    Known(String),
    /// No value: what is wrong.
    Error(String),
    /// What else there is settles the whole.
    NotNeeded,
    /// Something else each time, as it is made at random.
    Varies,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
