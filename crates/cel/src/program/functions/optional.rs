//! Optionals. `or` and `orValue` are nodes of their own.

use super::super::Value;
use super::{Row, take, unknown};
use crate::run::Failure;

pub(super) const GLOBAL: &[Row] = &[
    ("optional.none", |_, _, _| Ok(Value::NONE)),
    ("optional.of", |_, _, of| Ok(take(of, 0).some())),
    ("optional.ofNonZeroValue", |_, _, of| match take(of, 0) {
        value if value.is_zero() => Ok(Value::NONE),
        value => Ok(value.some()),
    }),
];

pub(super) const MEMBER: &[Row] = &[
    ("value", |_, name, of| match of {
        [Value::Optional(Some(inner))] => Ok((**inner).clone()),
        [Value::Optional(None)] => Err(Failure::In(name)),
        _ => Err(unknown(name)),
    }),
    ("hasValue", |_, name, of| match of {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(unknown(name)),
    }),
];
