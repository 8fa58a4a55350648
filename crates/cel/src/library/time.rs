//! `timestamp`, `duration`, their conversions and fields.

mod values;

use std::collections::HashMap;

use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, CelType};
use cel::common::value::{CowVal, Val};

pub(crate) use self::values::{DURATION, TIMESTAMP};
use super::Parameter::{Any, Duration, Int, Text, Timestamp as Time};
use super::Style::{Global, Member};
use super::{Evaluated, Overload, argument, failed, run, string, text};
use crate::bridge;
use crate::time::{Field, Span, Timestamp, Unit, Zone};

/// The steps for finding the zone of a name.
const ZONE: u64 = 3;
/// The steps for reading or writing a timestamp or a duration.
const TEXT: u64 = 1;

/// Overloads that return a field of a timestamp.
macro_rules! fields {
    ($([$name:literal, $field:ident],)*; $($other:expr,)*) => {
        pub(super) const FUNCTIONS: &[Overload] = &[
            $(
                Overload($name, Member, &[Time], |arguments| {
                    run(arguments, |of| field($name, of, Field::$field))
                }),
                Overload($name, Member, &[Time, Text], |arguments| {
                    run(arguments, |of| field($name, of, Field::$field))
                }),
            )*
            $($other,)*
        ];
    };
}

fields! {
    ["getFullYear", FullYear],
    ["getMonth", Month],
    ["getDate", Date],
    ["getDayOfMonth", DayOfMonth],
    ["getDayOfYear", DayOfYear],
    ["getDayOfWeek", DayOfWeek],
    ["getHours", Hours],
    ["getMinutes", Minutes],
    ["getSeconds", Seconds],
    ["getMilliseconds", Milliseconds],
    ;
    Overload("getHours", Member, &[Duration], |arguments| {
        run(arguments, |of| whole("getHours", of, Unit::Hours))
    }),
    Overload("getMinutes", Member, &[Duration], |arguments| {
        run(arguments, |of| whole("getMinutes", of, Unit::Minutes))
    }),
    Overload("getSeconds", Member, &[Duration], |arguments| {
        run(arguments, |of| whole("getSeconds", of, Unit::Seconds))
    }),
    Overload("getMilliseconds", Member, &[Duration], |arguments| {
        run(arguments, |of| whole("getMilliseconds", of, Unit::Milliseconds))
    }),
    Overload("timestamp", Global, &[Text], |arguments| run(arguments, timestamp)),
    Overload("timestamp", Global, &[Int], |arguments| run(arguments, timestamp)),
    Overload("timestamp", Global, &[Time], itself),
    Overload("duration", Global, &[Text], |arguments| run(arguments, duration)),
    Overload("duration", Global, &[Duration], itself),
    Overload("int", Global, &[Time], |arguments| {
        run(arguments, |of| Ok(int(argument::<Timestamp>("int", of, 0)?.seconds())))
    }),
    Overload("string", Global, &[Time], |arguments| run(arguments, shown)),
    Overload("string", Global, &[Duration], |arguments| run(arguments, shown)),
    Overload(FOR_FORMAT, Global, &[Any], for_format),
}

/// What the list of a `format` is wrapped in.
pub(crate) const FOR_FORMAT: &str = "@for_format";
/// To which depth the list of a `format` is searched for timestamps. No value is as deep.
const MAX_NESTING: usize = 256;

fn int<'b, 'v>(value: i64) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(value))
}

fn itself<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let missing = || failed("timestamp", "an argument is missing");
    arguments.into_iter().next().ok_or_else(missing)
}

fn timestamp<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let found = match argument::<CelInt>("timestamp", arguments, 0) {
        Ok(seconds) => Timestamp::of_seconds(*seconds.inner()),
        Err(_) => {
            bridge::spend(TEXT)?;
            Timestamp::parse(text("timestamp", arguments, 0)?)
        }
    };
    found.map(CowVal::owned).ok_or_else(|| failed("timestamp", "no timestamp"))
}

fn duration<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bridge::spend(TEXT)?;
    let found = Span::parse(text("duration", arguments, 0)?);
    found.map(CowVal::owned).ok_or_else(|| failed("duration", "no duration"))
}

fn shown<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bridge::spend(TEXT)?;
    let shown = arguments.first().and_then(|value| text_of(value.as_ref()));
    shown.map(string).ok_or_else(|| failed("string", "an argument of another type"))
}

#[inline(never)]
fn field<'b, 'v>(
    function: &'static str,
    arguments: &[CowVal<'b, 'v>],
    field: Field,
) -> Evaluated<'b, 'v> {
    let time = *argument::<Timestamp>(function, arguments, 0)?;
    let zone = if arguments.len() < 2 {
        Zone::UTC
    } else {
        bridge::spend(ZONE)?;
        Zone::parse(text(function, arguments, 1)?)
            .ok_or_else(|| failed(function, "no time zone"))?
    };
    Ok(int(time.field(field, zone)))
}

#[inline(never)]
fn whole<'b, 'v>(
    function: &'static str,
    arguments: &[CowVal<'b, 'v>],
    unit: Unit,
) -> Evaluated<'b, 'v> {
    Ok(int(argument::<Span>(function, arguments, 0)?.whole(unit)))
}

/// How a timestamp or a duration is written.
pub(super) fn text_of(value: &dyn Val) -> Option<String> {
    let time = value.downcast_ref::<Timestamp>().map(Timestamp::to_string);
    time.or_else(|| value.downcast_ref::<Span>().map(Span::to_string))
}

/// What `format` gets in place of a list, because the `cel` crate's own does not know our types. A
/// timestamp or duration in it becomes a type of that name: `%s` makes the name of it, and every
/// other clause refuses it, as it would the timestamp.
fn for_format<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let missing = || failed("format", "an argument is missing");
    let value = arguments.into_iter().next().ok_or_else(missing)?;
    Ok(match named(value.as_ref(), MAX_NESTING) {
        Some(named) => CowVal::Owned(named),
        None => value,
    })
}

/// A copy of a value in which timestamps and durations are names; nothing if there are none in it.
fn named<'v>(value: &(dyn Val + 'v), nesting: usize) -> Option<Box<dyn Val + 'v>> {
    let nesting = nesting.checked_sub(1)?;
    if let Some(text) = text_of(value) {
        return Some(Box::new(CelType::new(text)));
    }
    let kept =
        |part: &(dyn Val + 'v)| named(part, nesting).unwrap_or_else(|| part.clone_as_boxed());
    if let Some(list) = value.downcast_ref::<CelList<'v>>() {
        let elements = list.inner();
        elements.iter().find_map(|element| named(element.as_ref(), nesting))?;
        let copied: Vec<Box<dyn Val + 'v>> =
            elements.iter().map(|element| kept(element.as_ref())).collect();
        return Some(Box::new(CelList::from(copied)));
    }
    let map = value.downcast_ref::<CelMap<'v>>()?.inner();
    map.values().find_map(|value| named(value.as_ref(), nesting))?;
    let copied: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> =
        map.iter().map(|(key, value)| (key.clone(), kept(value.as_ref()))).collect();
    Some(Box::new(CelMap::from(copied)))
}
