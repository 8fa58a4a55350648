//! Conversions. What cannot be converted cannot be read, so nothing may catch that.

use super::super::Value;
use super::super::evaluate::Run;
use super::super::results::scalar;
use super::{Row, made_bytes, take, unknown};
use crate::run::Evaluated;

pub(super) const GLOBAL: &[Row] = &[
    ("bool", |run, name, of| run.converted(name, of, to_bool)),
    ("int", |run, name, of| run.converted(name, of, to_int)),
    ("uint", |run, name, of| run.converted(name, of, to_uint)),
    ("double", |run, name, of| run.converted(name, of, to_double)),
    ("string", |run, name, of| {
        if matches!(of, [Value::Time(_) | Value::Span(_)]) {
            run.spend(super::time::TEXT)?;
        }
        run.converted(name, of, to_text)
    }),
    ("bytes", |_, name, of| match of {
        [Value::Text(text)] => Ok(made_bytes(text.as_str().into())),
        [Value::Bytes(_)] => Ok(take(of, 0)),
        _ => Err(unknown(name)),
    }),
    ("dyn", |_, _, of| Ok(take(of, 0))),
    ("@for_format", |_, _, of| Ok(take(of, 0))),
    ("type", |_, _, of| Ok(Value::Type(of.first().map_or("", Value::type_name)))),
];

impl<'p> Run<'_, 'p> {
    fn converted(
        &self,
        name: &'static str,
        of: &mut [Value<'p>],
        convert: for<'v> fn(&Value<'v>) -> Option<Value<'v>>,
    ) -> Evaluated<'p, Value<'p>> {
        of.first().and_then(convert).ok_or_else(|| self.unfit(name))
    }
}

fn to_bool<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    Some(Value::Bool(match value {
        Value::Bool(value) => *value,
        Value::Text(text) => match text.as_str() {
            "1" | "t" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "false" | "FALSE" | "False" => false,
            _ => return None,
        },
        _ => return None,
    }))
}

#[allow(clippy::cast_possible_truncation, reason = "it is in range")]
fn to_int<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    Some(Value::Int(match value {
        Value::Int(number) => *number,
        Value::Uint(number) => i64::try_from(*number).ok()?,
        Value::Double(number)
            if *number > -9_223_372_036_854_775_808.0 && *number < 9_223_372_036_854_775_808.0 =>
        {
            *number as i64
        }
        Value::Text(text) => text.as_str().parse().ok()?,
        Value::Time(time) => time.seconds(),
        _ => return None,
    }))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
fn to_uint<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    Some(Value::Uint(match value {
        Value::Uint(number) => *number,
        Value::Int(number) => u64::try_from(*number).ok()?,
        Value::Double(number) if *number >= 0.0 && *number < 18_446_744_073_709_551_616.0 => {
            *number as u64
        }
        Value::Text(text) => text.as_str().parse().ok()?,
        _ => return None,
    }))
}

fn to_double<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    let number = match value {
        Value::Text(text) => text.as_str().parse().ok(),
        value => value.as_double(),
    };
    number.map(Value::Double)
}

fn to_text<'v>(value: &Value<'v>) -> Option<Value<'v>> {
    match value {
        Value::Text(_) => Some(value.clone()),
        Value::Bool(value) => Some(Value::text(if *value { "true" } else { "false" })),
        Value::Bytes(bytes) => std::str::from_utf8(bytes.as_slice()).ok().map(Value::made),
        value => scalar(value).or_else(|| value.address_or_time()).map(|it| Value::made(&it)),
    }
}
