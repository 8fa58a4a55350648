//! Data as a value.

use std::collections::HashMap;
use std::time::Duration;

use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;

use crate::bridge;
use crate::data::Data;
use crate::time::{Span, Timestamp};

/// Data as a value, which borrows its texts. It is charged for as if they were copied.
pub(crate) fn of_data<'a>(data: &'a Data) -> Result<Box<dyn Val + 'a>, ExecutionError> {
    let bytes = data.size().ok_or_else(|| {
        bridge::breach();
        ExecutionError::function_error("data", "nested too deep")
    })?;
    bridge::read(bytes)?;
    Ok(made(data))
}

/// It recurses to a depth that is bounded.
fn made(data: &Data) -> Box<dyn Val + '_> {
    match data {
        Data::Null => Box::new(CelNull),
        Data::Bool(value) => Box::new(CelBool::from(*value)),
        Data::Int(value) => Box::new(CelInt::from(*value)),
        Data::Uint(value) => Box::new(CelUInt::from(*value)),
        Data::Double(value) => Box::new(CelDouble::from(*value)),
        Data::Text(text) => Box::new(CelString::from(text.as_str())),
        Data::Bytes(bytes) => Box::new(CelBytes::from(bytes.as_slice())),
        Data::Duration(duration) => Box::new(Span::of_nanos(nanos(*duration))),
        Data::Timestamp(since) => Box::new(Timestamp::of_nanos(nanos(*since))),
        Data::List(items) => Box::new(CelList::from(items.iter().map(made).collect::<Vec<_>>())),
        Data::Map(entries) => {
            let mut map: HashMap<CelMapKey<'_>, Box<dyn Val + '_>> = HashMap::new();
            for (name, value) in entries {
                // As `Data::get`, it has the first of two entries of one name.
                map.entry(CelMapKey::from(name.as_str())).or_insert_with(|| made(value));
            }
            Box::new(CelMap::from(map))
        }
    }
}

/// Nanoseconds, or as many as an int can hold: three centuries.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
