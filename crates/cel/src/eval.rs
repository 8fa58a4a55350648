//! Evaluation by the `cel` crate's interpreter, over values that are resolved when they are needed.

use std::sync::Arc;

use cel::common::ast::Expr;
use cel::common::types::{CelBool, CelBytes, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};

use super::attributes::Attributes;
use super::bridge;
use super::check::string_literal;
use super::data::Data;
use super::limits::children;
use super::meter::Allowance;
use super::presence;
use super::recorded::Recorded;
use super::regex::Compiled;
use super::returned;
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

/// The interpreter, over the attributes of one message.
pub(super) struct Interpreter<'a> {
    pub(super) env: &'a Arc<Env>,
    pub(super) attributes: &'a dyn Attributes,
    pub(super) patterns: &'a [Compiled],
    pub(super) variables: &'a [Arc<Variable>],
}

impl Interpreter<'_> {
    fn evaluate<T>(
        &self,
        root: &IdedExpr,
        allowance: &Allowance,
        read: impl FnOnce(&CowVal<'_, '_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let names = Names::new(self.attributes, self.patterns, self.variables);
        let mut context = Context::with_env(Arc::clone(self.env));
        context.set_variable_resolver(&names);

        let outcome = bridge::lend(allowance, || Value::resolve_val(root, &context));
        // This counts whatever the value: an expression may have caught the error and returned
        // something else.
        if allowance.is_exceeded() {
            return Err(EXCEEDED.to_owned());
        }
        match outcome {
            Ok(value) => read(&value),
            Err(error) => Err(describe(&error, root)),
        }
    }

    /// Evaluates a rule.
    pub(super) fn rule(&self, root: &IdedExpr, allowance: &Allowance) -> Result<bool, String> {
        self.evaluate(root, allowance, |value| match value.downcast_ref::<CelBool>() {
            Some(found) => Ok(*found.inner()),
            None => {
                allowance.unreadable();
                Err(format!("the result is {}, not a bool", value.get_type().name()))
            }
        })
    }

    /// Evaluates a value of any type, for a record; none for an optional that has none.
    pub(super) fn recorded(
        &self,
        root: &IdedExpr,
        allowance: &Allowance,
    ) -> Result<Option<Recorded>, String> {
        let names = Names::new(self.attributes, self.patterns, self.variables);
        let mut context = Context::with_env(Arc::clone(self.env));
        context.set_variable_resolver(&names);
        // The attributes of an object are read while it is written.
        let recorded = bridge::lend(allowance, || match Value::resolve_val(root, &context) {
            Ok(value) => match bridge::lent(Allowance::breached) {
                None => Recorded::of(value.as_ref()),
                Some(breach) => Err(breach.to_owned()),
            },
            Err(error) => Err(describe(&error, root)),
        });
        if allowance.is_exceeded() { Err(EXCEEDED.to_owned()) } else { recorded }
    }

    /// Evaluates a value as data; none for an optional without a value.
    pub(super) fn data(
        &self,
        root: &IdedExpr,
        allowance: &Allowance,
    ) -> Result<Option<Data>, String> {
        let names = Names::new(self.attributes, self.patterns, self.variables);
        let mut context = Context::with_env(Arc::clone(self.env));
        context.set_variable_resolver(&names);
        // Headers, and the attributes of an object, are read while it is taken.
        let data = bridge::lend(allowance, || match Value::resolve_val(root, &context) {
            Ok(value) => returned::data(value.as_ref()),
            Err(error) => Err(describe(&error, root)),
        });
        match allowance.breached() {
            _ if allowance.is_exceeded() => Err(EXCEEDED.to_owned()),
            Some(breach) => data.and(Err(breach.to_owned())),
            None => data,
        }
    }

    /// Evaluates the value of a header.
    pub(super) fn header(&self, root: &IdedExpr, allowance: &Allowance) -> Result<Vec<u8>, String> {
        self.evaluate(root, allowance, |value| {
            if let Some(text) = value.downcast_ref::<CelString<'_>>() {
                Ok(text.inner().as_bytes().to_vec())
            } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
                Ok(bytes.inner().to_vec())
            } else {
                Err(format!("the result is {}, not a string or bytes", value.get_type().name()))
            }
        })
    }
}

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
