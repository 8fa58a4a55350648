//! Timestamps, durations and their fields.

use super::super::Value;
use super::super::evaluate::Run;
use super::{Row, take, text_at, unknown};
use crate::run::Evaluated;
use crate::time::{Field, Span, Timestamp, Unit, Zone};

/// The steps for finding the zone of a name.
pub(in super::super) const ZONE: u64 = 3;
/// The steps for reading or writing a timestamp or a duration.
pub(super) const TEXT: u64 = 1;

pub(super) const GLOBAL: &[Row] = &[
    ("timestamp", |run, name, of| {
        let found = match of {
            [Value::Time(_)] => return Ok(take(of, 0)),
            [Value::Int(seconds)] => Timestamp::of_seconds(*seconds),
            _ => {
                run.spend(TEXT)?;
                Timestamp::parse(text_at(name, of, 0)?)
            }
        };
        found.map(Value::Time).ok_or_else(|| run.unfit(name))
    }),
    ("duration", |run, name, of| {
        if matches!(of, [Value::Span(_)]) {
            return Ok(take(of, 0));
        }
        run.spend(TEXT)?;
        Span::parse(text_at(name, of, 0)?).map(Value::Span).ok_or_else(|| run.unfit(name))
    }),
];

pub(super) const MEMBER: &[Row] = &[
    ("getFullYear", field),
    ("getMonth", field),
    ("getDate", field),
    ("getDayOfMonth", field),
    ("getDayOfYear", field),
    ("getDayOfWeek", field),
    ("getHours", field),
    ("getMinutes", field),
    ("getSeconds", field),
    ("getMilliseconds", field),
];

fn field<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let field = Field::of(name).ok_or(unknown(name))?;
    let zone = match of {
        [Value::Span(span)] => {
            let unit = match field {
                Field::Hours => Unit::Hours,
                Field::Minutes => Unit::Minutes,
                Field::Seconds => Unit::Seconds,
                Field::Milliseconds => Unit::Milliseconds,
                _ => return Err(unknown(name)),
            };
            return Ok(Value::Int(span.whole(unit)));
        }
        [_] => Zone::UTC,
        _ => {
            run.spend(ZONE)?;
            Zone::parse(text_at(name, of, 1)?).ok_or_else(|| run.unfit(name))?
        }
    };
    match of.first() {
        Some(Value::Time(time)) => Ok(Value::Int(time.field(field, zone))),
        _ => Err(unknown(name)),
    }
}
