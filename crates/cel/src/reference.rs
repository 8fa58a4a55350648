//! The reference that tests hold the evaluator to: the `cel` crate's interpreter, with what it
//! returns as records and as data.

mod recorded;
pub(super) mod returned;

use std::sync::Arc;

use cel::common::types::{CelBool, CelBytes, CelString};
use cel::common::value::CowVal;
use cel::{Context, Env, IdedExpr, Value};

use super::attributes::Attributes;
use super::bridge;
use super::data::Data;
use super::eval::{EXCEEDED, Names, describe};
use super::meter::Allowance;
use super::recorded::Recorded;
use super::regex::Compiled;
use super::variables::Variable;

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
                None => recorded::of(value.as_ref()),
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
