//! The evaluation of a variable.

use std::borrow::Cow;

use super::memo::Kept;
use super::{Memo, Variable};
use crate::Code;
use crate::attributes::Attributes;
use crate::meter::{Allowance, BYTES_A_STEP};
use crate::program::{self, Scene, Str, Value};
use crate::run::{Evaluated, Failure, Run};

/// The message for a value that a variable cannot hold.
pub(super) const CANNOT_HOLD: &str = "a variable holds no headers, and no object such as `source`";

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
        if let Some(kept) = memo.and_then(|memo| memo.get(self.position)) {
            return match kept.value()? {
                Value::Bool(value) => Ok(value),
                _ => Err(unfit(allowance)),
            };
        }
        let found = if allowance.spend(self.expression.weight) {
            Run { expression: &self.expression, attributes, allowance }.test(test)
        } else {
            Err(Failure::exceeded())
        };
        if let (Some(memo), None) = (memo, allowance.breached()) {
            let kept = match &found {
                Ok(value) => Kept::Value(Value::Bool(*value)),
                Err(failure) => Kept::Failed(failure.to_string()),
            };
            memo.keep(self.position, kept);
        }
        found
    }

    /// Its value, if it is a string.
    pub(crate) fn string<'p, A: Attributes>(
        &'p self,
        attributes: &'p A,
        allowance: &'p Allowance,
    ) -> Evaluated<'p, Cow<'p, str>> {
        let Code::Value(text) = &self.expression.code else {
            return match self.value(attributes, allowance)? {
                Value::Text(Str::Borrowed(text)) => Ok(Cow::Borrowed(text)),
                Value::Text(text) => Ok(Cow::Owned(text.as_str().to_owned())),
                _ => Err(unfit(allowance)),
            };
        };
        let attributes = attributes.as_it_came();
        let memo = self.memo(attributes.memo());
        if let Some(kept) = memo.and_then(|memo| memo.get(self.position)) {
            return kept.text(allowance).map(Cow::Borrowed);
        }
        let found = if allowance.spend(self.expression.weight) {
            Run { expression: &self.expression, attributes, allowance }.text(text)
        } else {
            Err(Failure::exceeded())
        };
        match memo.filter(|_| allowance.breached().is_none()) {
            Some(memo) => {
                let kept = match found {
                    Ok(text) => Kept::Value(Value::made(&text)),
                    Err(failure) => Kept::Failed(failure.to_string()),
                };
                memo.keep(self.position, kept).text(allowance).map(Cow::Borrowed)
            }
            None => found,
        }
    }

    /// Its value, of any type.
    pub(crate) fn value<'p>(
        &'p self,
        attributes: &'p dyn Attributes,
        allowance: &'p Allowance,
    ) -> Evaluated<'p, Value<'p>> {
        let attributes = attributes.as_it_came_dyn();
        let memo = self.memo(attributes.memo());
        if let Some(kept) = memo.and_then(|memo| memo.get(self.position)) {
            return kept.value();
        }
        let found = self.evaluated(attributes, allowance);
        match memo.filter(|_| allowance.breached().is_none()) {
            Some(memo) => {
                let kept = match found {
                    Ok(value) => Kept::Value(value),
                    Err(failure) => Kept::Failed(failure.to_string()),
                };
                memo.keep(self.position, kept).value()
            }
            None => found,
        }
    }

    /// Evaluates it to a value that lasts.
    fn evaluated<'p>(
        &'p self,
        attributes: &'p dyn Attributes,
        allowance: &'p Allowance,
    ) -> Evaluated<'p, Value<'static>> {
        if !allowance.spend(self.tree_weight) {
            return Err(Failure::exceeded());
        }
        let super::Expression { patterns, variables, .. } = &self.expression;
        let scene = Scene { attributes, allowance, patterns, variables };
        let value = self.program.value(scene)?;
        if !allowance.spend_on(program::size_of(&value), BYTES_A_STEP) {
            return Err(Failure::exceeded());
        }
        value.lasting(program::MAX_NESTING).ok_or_else(|| {
            allowance.unreadable();
            Failure::Plain(CANNOT_HOLD)
        })
    }
}

fn unfit<'p>(allowance: &Allowance) -> Failure<'p> {
    allowance.unreadable();
    Failure::Plain("a variable has a value of another type")
}

impl Kept {
    fn value(&self) -> Evaluated<'_, Value<'_>> {
        match self {
            Kept::Value(value) => Ok(value.clone()),
            Kept::Failed(message) => Err(Failure::Interpreted(message.clone())),
        }
    }

    fn text(&self, allowance: &Allowance) -> Evaluated<'_, &str> {
        match self {
            Kept::Value(Value::Text(text)) => Ok(text.as_str()),
            Kept::Value(_) => Err(unfit(allowance)),
            Kept::Failed(message) => Err(Failure::Interpreted(message.clone())),
        }
    }
}
