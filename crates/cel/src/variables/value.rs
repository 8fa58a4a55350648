//! The evaluation of a variable.

use std::borrow::Cow;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelNull, CelOptional, CelString,
    CelType, CelUInt,
};
use cel::common::value::{CowVal, Val};
use cel::{Context, Value};

use super::memo::Kept;
use super::{Memo, Variable};
use crate::attributes::Attributes;
use crate::eval::{self, Names};
use crate::library::net::{Cidr, Ip};
use crate::meter::{Allowance, BYTES_A_STEP, units};
use crate::run::{Evaluated, Failure, Run};
use crate::time::{Span, Timestamp};
use crate::{Code, bridge, budget};

/// To which depth a value is copied. No value of an expression is as deep.
const MAX_NESTING: usize = 256;
/// The message for a value that a variable cannot hold.
const CANNOT_HOLD: &str = "a variable holds no headers, and no object such as `source`";

impl Variable {
    /// Where its outcome is kept.
    fn memo<'a>(&self, memo: Option<&'a Memo>) -> Option<&'a Memo> {
        memo.filter(|_| self.is_kept)
    }

    /// Its value, if it is a bool.
    pub(crate) fn is_true<'p, A: Attributes>(
        &'p self,
        attributes: &'p A,
        allowance: &'p Allowance,
    ) -> Evaluated<'p, bool> {
        let Code::Rule(test) = &self.expression.code else { return Err(unfit(allowance)) };
        let attributes = attributes.as_it_came();
        let memo = self.memo(attributes.memo());
        match memo.and_then(|memo| memo.get(self.position)) {
            Some(Kept::Bool(value)) => return Ok(*value),
            Some(Kept::Failed(message)) => return Err(Failure::Interpreted(message.clone())),
            Some(Kept::Value(value)) => {
                let value = value.downcast_ref::<CelBool>().map(|value| *value.inner());
                return value.ok_or_else(|| unfit(allowance));
            }
            None => {}
        }
        let found = if allowance.spend(self.expression.weight) {
            self.run(attributes, allowance).test(test)
        } else {
            Err(Failure::exceeded())
        };
        if let (Some(memo), None) = (memo, allowance.breached()) {
            memo.keep(
                self.position,
                match &found {
                    Ok(value) => Kept::Bool(*value),
                    Err(failure) => Kept::Failed(failure.to_string()),
                },
            );
        }
        found
    }

    /// Its value, if it is a string.
    pub(crate) fn string<'p, A: Attributes>(
        &'p self,
        attributes: &'p A,
        allowance: &'p Allowance,
    ) -> Evaluated<'p, Cow<'p, str>> {
        let attributes = attributes.as_it_came();
        let memo = self.memo(attributes.memo());
        if let Some(kept) = memo.and_then(|memo| memo.get(self.position)) {
            return text_of(kept, allowance).map(Cow::Borrowed);
        }
        let kept = match &self.expression.code {
            Code::Value(text) => {
                let found = if allowance.spend(self.expression.weight) {
                    self.run(attributes, allowance).text(text)
                } else {
                    Err(Failure::exceeded())
                };
                if memo.is_none() || allowance.breached().is_some() {
                    return found;
                }
                match found {
                    Ok(text) => Kept::Value(Box::new(CelString::from(text.into_owned()))),
                    Err(failure) => Kept::Failed(failure.to_string()),
                }
            }
            Code::Interpreted(_) | Code::Rule(_) => {
                bridge::lend(allowance, || self.interpreted(attributes))
            }
        };
        match memo.filter(|_| allowance.breached().is_none()) {
            Some(memo) => text_of(memo.keep(self.position, kept), allowance).map(Cow::Borrowed),
            None => text_of(&kept, allowance)
                .map(|text| Cow::Owned(text.to_owned()))
                .map_err(|failure| Failure::Interpreted(failure.to_string())),
        }
    }

    fn run<'p, A>(&'p self, attributes: &'p A, allowance: &'p Allowance) -> Run<'p, A> {
        Run { expression: &self.expression, attributes, allowance }
    }

    /// Its outcome, for an expression that the interpreter is evaluating.
    pub(crate) fn outcome<'a>(&'a self, attributes: &'a dyn Attributes) -> CowVal<'a, 'a> {
        let attributes = attributes.as_it_came_dyn();
        let memo = self.memo(attributes.memo());
        if let Some(kept) = memo.and_then(|memo| memo.get(self.position)) {
            return CowVal::Borrowed(kept);
        }
        let kept = self.interpreted(attributes);
        let breached = bridge::lent(|allowance| allowance.breached().is_some());
        match memo.filter(|_| !breached) {
            Some(memo) => CowVal::Borrowed(memo.keep(self.position, kept)),
            None => CowVal::owned(kept),
        }
    }

    /// Evaluates it by the interpreter, with the allowance that is lent.
    fn interpreted(&self, attributes: &dyn Attributes) -> Kept {
        let exceeded = || Kept::Failed(eval::EXCEEDED.to_owned());
        if bridge::spend(self.tree_weight).is_err() {
            return exceeded();
        }
        let super::Expression { patterns, variables, env, .. } = &self.expression;
        let names = Names::new(attributes, patterns, variables);
        let mut context = Context::with_env(Arc::clone(env));
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
                        Kept::Failed(CANNOT_HOLD.to_owned())
                    },
                    Kept::Value,
                )
            }
            Err(error) => Kept::Failed(eval::describe(&error, &self.tree)),
        }
    }
}

fn unfit<'p>(allowance: &Allowance) -> Failure<'p> {
    allowance.unreadable();
    Failure::Interpreted("a variable has a value of another type".to_owned())
}

fn text_of<'k>(kept: &'k Kept, allowance: &Allowance) -> Evaluated<'k, &'k str> {
    match kept {
        Kept::Value(value) => value
            .downcast_ref::<CelString<'_>>()
            .map(CelString::inner)
            .ok_or_else(|| unfit(allowance)),
        Kept::Failed(message) => Err(Failure::Interpreted(message.clone())),
        Kept::Bool(_) => Err(unfit(allowance)),
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
