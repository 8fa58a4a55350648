//! The `cel` crate's interpreter over values that are resolved when they are needed: the reference
//! that tests hold the evaluator to.

use std::sync::Arc;

use cel::common::ast::Expr;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{ExecutionError, IdedExpr};

use super::attributes::Attributes;
use super::check::string_literal;
use super::limits::children;
use super::presence;
use super::regex::Compiled;
use super::values::{self, NOT_UTF8, UNREAD};
use super::variables::{self, VARIABLE, Variable};

/// Resolves the names in an expression.
pub(super) struct Names<'a> {
    attributes: &'a dyn Attributes,
    patterns: &'a [Compiled],
    variables: &'a [Arc<Variable>],
}

impl<'a> Names<'a> {
    pub(super) fn new(
        attributes: &'a dyn Attributes,
        patterns: &'a [Compiled],
        variables: &'a [Arc<Variable>],
    ) -> Self {
        Names { attributes, patterns, variables }
    }
}

impl VariableResolver for Names<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = name.strip_prefix(super::PATTERN) {
            let compiled = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(compiled));
        }
        if let Some(index) = variables::index_of(name) {
            return Some(self.variables.get(index)?.outcome(self.attributes));
        }
        if let Some(found) = presence::named(self.attributes, name) {
            return found.map(CowVal::Owned);
        }
        // The interpreter looks up `request.path` before `request`, and a value saves it the
        // selection. A missing attribute is left to the selection, whose error says what is
        // missing.
        values::named(self.attributes, name.trim_start_matches('.')).map(CowVal::Owned)
    }
}

/// Why an evaluation was cut short.
pub(super) const EXCEEDED: &str =
    "the expression takes too many steps, or makes too much, for this request";

/// The message of an error without the values that caused it: neither a header's value nor a key
/// that came from one may get into a log.
pub(super) fn describe(error: &ExecutionError, root: &IdedExpr) -> String {
    match error {
        ExecutionError::NoSuchKey(name) if spells(root, name) => format!("no such key: {name}"),
        ExecutionError::NoSuchKey(_) => "no such key".to_owned(),
        ExecutionError::NoSuchOverload(error) => error.to_string(),
        // All names are known: what is left is an attribute that is not there.
        ExecutionError::UndeclaredReference(name) => match presence::asked_for(name) {
            Some(name) => format!("`{name}` cannot be read"),
            None => format!("no such key: {name}"),
        },
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "remainder by zero".to_owned(),
        ExecutionError::Overflow(operator, ..) => format!("overflow in `{operator}`"),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::FunctionError { function, message }
            if message == NOT_UTF8 && !spells(root, function) =>
        {
            NOT_UTF8.to_owned()
        }
        // There are no values in it.
        ExecutionError::FunctionError { function, message }
            if matches!(function.as_str(), VARIABLE | UNREAD) =>
        {
            message.clone()
        }
        ExecutionError::FunctionError { function, message }
            if function == "fail" && spells(root, message) =>
        {
            format!("error in `fail`: {message}")
        }
        ExecutionError::FunctionError { function, .. } => format!("error in `{function}`"),
        ExecutionError::UnexpectedType { got, want } => format!("got {got}, expected {want}"),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("expected {expected} arguments, got {actual}")
        }
        _ => "evaluation failed".to_owned(),
    }
}

/// Whether the expression itself contains a name, as a field or as a string.
fn spells(node: &IdedExpr, name: &str) -> bool {
    let here = match &node.expr {
        Expr::Select(select) => select.field == name,
        _ => string_literal(node) == Some(name),
    };
    here || children(node).into_iter().any(|child| spells(child, name))
}
