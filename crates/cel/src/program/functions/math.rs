//! cel-go's extension `math`.

use std::cmp::Ordering;

use super::super::Value;
use super::{Row, take, unknown};
use crate::run::{Evaluated, Failure};

pub(super) const GLOBAL: &[Row] = &[
    ("math.ceil", |_, name, of| double(name, of, f64::ceil)),
    ("math.floor", |_, name, of| double(name, of, f64::floor)),
    ("math.round", |_, name, of| double(name, of, f64::round)),
    ("math.trunc", |_, name, of| double(name, of, f64::trunc)),
    ("math.isInf", |_, name, of| is(name, of, f64::is_infinite)),
    ("math.isNaN", |_, name, of| is(name, of, f64::is_nan)),
    ("math.isFinite", |_, name, of| is(name, of, f64::is_finite)),
    ("math.abs", |_, name, of| match of {
        [Value::Int(number)] => number.checked_abs().map(Value::Int).ok_or(Failure::In(name)),
        [Value::Uint(number)] => Ok(Value::Uint(*number)),
        _ => double(name, of, f64::abs),
    }),
    ("math.sign", |_, name, of| match of {
        [Value::Int(number)] => Ok(Value::Int(number.signum())),
        [Value::Uint(number)] => Ok(Value::Uint((*number).min(1))),
        _ => double(name, of, |number| match number.partial_cmp(&0.0) {
            Some(Ordering::Greater) => 1.0,
            Some(Ordering::Less) => -1.0,
            Some(Ordering::Equal) => 0.0,
            None => number,
        }),
    }),
    ("math.sqrt", |_, name, of| {
        let number = of.first().and_then(Value::as_double).ok_or(unknown(name))?;
        Ok(Value::Double(number.sqrt()))
    }),
    ("math.bitAnd", |_, name, of| bits(name, of, |a, b| a & b)),
    ("math.bitOr", |_, name, of| bits(name, of, |a, b| a | b)),
    ("math.bitXor", |_, name, of| bits(name, of, |a, b| a ^ b)),
    ("math.bitNot", |_, name, of| match of {
        [Value::Int(number)] => Ok(Value::Int(!*number)),
        [Value::Uint(number)] => Ok(Value::Uint(!*number)),
        _ => Err(unknown(name)),
    }),
    ("math.bitShiftLeft", |_, name, of| shifted(name, of, u64::checked_shl)),
    ("math.bitShiftRight", |_, name, of| shifted(name, of, u64::checked_shr)),
    ("math.@max", |_, name, of| extreme(name, of, Ordering::Less)),
    ("math.@min", |_, name, of| extreme(name, of, Ordering::Greater)),
];

fn double<'p>(
    name: &'static str,
    of: &[Value<'p>],
    function: fn(f64) -> f64,
) -> Evaluated<'p, Value<'p>> {
    match of {
        [Value::Double(number)] => Ok(Value::Double(function(*number))),
        _ => Err(unknown(name)),
    }
}

fn is<'p>(
    name: &'static str,
    of: &[Value<'p>],
    function: fn(f64) -> bool,
) -> Evaluated<'p, Value<'p>> {
    match of {
        [Value::Double(number)] => Ok(Value::Bool(function(*number))),
        _ => Err(unknown(name)),
    }
}

fn bits<'p>(
    name: &'static str,
    of: &[Value<'p>],
    function: fn(u64, u64) -> u64,
) -> Evaluated<'p, Value<'p>> {
    match of {
        [Value::Int(a), Value::Int(b)] => {
            Ok(Value::Int(function(a.cast_unsigned(), b.cast_unsigned()).cast_signed()))
        }
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(function(*a, *b))),
        _ => Err(unknown(name)),
    }
}

/// An offset of 64 and more leaves nothing.
fn shifted<'p>(
    name: &'static str,
    of: &[Value<'p>],
    function: fn(u64, u32) -> Option<u64>,
) -> Evaluated<'p, Value<'p>> {
    let [number, Value::Int(by)] = of else { return Err(unknown(name)) };
    if *by < 0 {
        return Err(Failure::In(name));
    }
    let shift = |bits: u64| u32::try_from(*by).ok().and_then(|by| function(bits, by)).unwrap_or(0);
    match number {
        Value::Int(number) => Ok(Value::Int(shift(number.cast_unsigned()).cast_signed())),
        Value::Uint(number) => Ok(Value::Uint(shift(*number))),
        _ => Err(unknown(name)),
    }
}

/// The one of some numbers than which none is on the other side: `replaced` is the order of what
/// was found with what replaces it.
fn extreme<'p>(
    name: &'static str,
    of: &mut [Value<'p>],
    replaced: Ordering,
) -> Evaluated<'p, Value<'p>> {
    let better = |found: &Value<'p>, other: &Value<'p>| {
        let order = found.order(other).ok_or(Failure::Plain("values that have no order"));
        order.map(|order| order == replaced)
    };
    match of {
        [list @ Value::List(_)] => {
            let Value::List(list) = list else { return Err(unknown(name)) };
            let mut found: Option<&Value<'p>> = None;
            for number in list.iter() {
                if !number.is_number() {
                    return Err(unknown(name));
                }
                found = match found {
                    Some(found) if !better(found, number)? => Some(found),
                    _ => Some(number),
                };
            }
            found.cloned().ok_or(Failure::In(name))
        }
        [number] if number.is_number() => Ok(take(of, 0)),
        [a, b] if a.is_number() && b.is_number() => {
            let index = usize::from(better(a, b)?);
            Ok(take(of, index))
        }
        _ => Err(unknown(name)),
    }
}
