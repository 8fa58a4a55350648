//! The outcomes of variables for the interpreter, which is the evaluator's reference. It evaluates
//! a variable wherever it is read.

use std::any::Any;
use std::sync::Arc;

use cel::common::types::{
    BYTES_TYPE, CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelNull, CelOptional,
    CelString, CelType, CelUInt, DYN_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Context, DeclarationError, Env, ExecutionError, Value};

use super::Variable;
use super::tree::{ANY_VARIABLE, VARIABLE};
use super::value::CANNOT_HOLD;
use crate::attributes::Attributes;
use crate::bridge;
use crate::budget;
use crate::env;
use crate::eval::{self, Names};
use crate::library::net::{Cidr, Ip};
use crate::meter::{Allowance, BYTES_A_STEP, units};
use crate::time::{Span, Timestamp};

/// To which depth a value is copied. No value of an expression is as deep.
const MAX_NESTING: usize = 256;

/// The outcome of a variable.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Value(Box<dyn Val>),
    /// It has no value, for this reason.
    Failed(String),
}

impl Variable {
    /// Its outcome, with the allowance that is lent.
    pub(crate) fn outcome<'a>(&'a self, attributes: &'a dyn Attributes) -> CowVal<'a, 'a> {
        CowVal::owned(self.interpreted(attributes.as_it_came_dyn()))
    }

    fn interpreted(&self, attributes: &dyn Attributes) -> Outcome {
        let exceeded = || Outcome::Failed(eval::EXCEEDED.to_owned());
        let Ok(env) = env::shared() else { return exceeded() };
        if bridge::spend(self.tree_weight).is_err() {
            return exceeded();
        }
        let super::Expression { patterns, variables, .. } = &self.expression;
        let names = Names::new(attributes, patterns, variables);
        let mut context = Context::with_env(Arc::clone(&env));
        context.set_variable_resolver(&names);
        match Value::resolve_val(&self.tree, &context) {
            _ if bridge::lent(Allowance::is_exceeded) => exceeded(),
            Ok(value) => {
                let bytes = budget::size(value.as_ref(), MAX_NESTING);
                if bridge::spend(units(bytes, BYTES_A_STEP)).is_err() {
                    return exceeded();
                }
                let held = held(value.as_ref(), MAX_NESTING);
                held.map_or_else(
                    || {
                        bridge::unreadable();
                        Outcome::Failed(CANNOT_HOLD.to_owned())
                    },
                    Outcome::Value,
                )
            }
            Err(error) => Outcome::Failed(eval::describe(&error, &self.tree)),
        }
    }
}

impl Val for Outcome {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        // Only macros call this, and none of them is used with this type.
        &BYTES_TYPE
    }

    fn equals(&self, _other: &dyn Val) -> bool {
        false
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Outcome {}

/// Declares the functions that turn an outcome into a value, or into the error that it is.
pub(crate) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(VARIABLE, "variable", vec![DYN_TYPE], value)?;
    env.add_overload(ANY_VARIABLE, "variable_of_any_type", vec![DYN_TYPE], value)
}

fn value<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let outcome = arguments.into_iter().next();
    match outcome.ok_or_else(|| ExecutionError::invalid_argument_count(1, 0))? {
        CowVal::Borrowed(outcome) => match outcome.downcast_ref::<Outcome>() {
            Some(Outcome::Value(value)) => Ok(CowVal::Borrowed(&**value)),
            kept => of(kept),
        },
        CowVal::Owned(outcome) => of(outcome.downcast_ref::<Outcome>()),
    }
}

fn of<'b, 'v>(kept: Option<&Outcome>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match kept {
        Some(Outcome::Value(value)) => Ok(CowVal::Owned(value.clone())),
        Some(Outcome::Failed(message)) => {
            Err(ExecutionError::function_error(VARIABLE, message.clone()))
        }
        None => Err(ExecutionError::function_error(VARIABLE, "no outcome".to_owned())),
    }
}

/// A copy of a value that lasts, if it is a value that a variable can hold.
fn held(value: &dyn Val, nesting: usize) -> Option<Box<dyn Val>> {
    let nesting = nesting.checked_sub(1)?;
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(Box::new(text.clone().into_static()));
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        return Some(Box::new(bytes.clone().into_static()));
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let held: Option<Vec<_>> =
            list.inner().iter().map(|element| held(element.as_ref(), nesting)).collect();
        return Some(Box::new(CelList::from(held?)));
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let entries = map
            .inner()
            .iter()
            .map(|(key, value)| Some((key.clone().into_static(), held(value.as_ref(), nesting)?)));
        let held: Option<std::collections::HashMap<_, _>> = entries.collect();
        return Some(Box::new(CelMap::from(held?)));
    }
    if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        return match optional.inner() {
            Some(inner) => Some(Box::new(CelOptional::of(held(inner, nesting)?))),
            None => Some(Box::new(CelOptional::none())),
        };
    }
    if let Some(name) = value.downcast_ref::<CelType>() {
        return Some(Box::new(CelType::new(name.name().to_owned())));
    }
    plain::<CelBool>(value)
        .or_else(|| plain::<CelInt>(value))
        .or_else(|| plain::<CelUInt>(value))
        .or_else(|| plain::<CelDouble>(value))
        .or_else(|| plain::<CelNull>(value))
        .or_else(|| plain::<Ip>(value))
        .or_else(|| plain::<Cidr>(value))
        .or_else(|| plain::<Timestamp>(value))
        .or_else(|| plain::<Span>(value))
}

/// A copy of a value of a type that borrows nothing.
fn plain<T: cel::common::value::StaticVal + Clone>(value: &dyn Val) -> Option<Box<dyn Val>> {
    value.downcast_ref::<T>().map(|value| Box::new(value.clone()) as Box<dyn Val>)
}
