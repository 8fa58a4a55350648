//! `merge`, and what the functions that take maps have in common.

use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelDouble, CelInt, CelMap, CelMapKey, CelString, CelUInt};
use cel::common::value::{CowVal, Val};

use super::Parameter::Map;
use super::Style::Member;
use super::{Evaluated, Overload, failed, run, too_large};
use crate::bridge;
use crate::meter::units;

/// The most entries of a map that is made from others.
pub(super) const MAX_ENTRIES: usize = 1024;

/// The square of how many keys are sorted for a step: on average, half of those before a key are
/// moved behind it.
const MOVED_A_STEP: usize = 512;

pub(super) const FUNCTIONS: &[Overload] =
    &[Overload("merge", Member, &[Map, Map], |arguments| run(arguments, merge))];

/// The entries of both maps. Those of the second take precedence.
fn merge<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let mut merged: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = HashMap::new();
    for map in arguments {
        let (Some(keys), Some(values)) = (map.as_iterable(), map.as_indexer()) else {
            return Err(failed("merge", "expected two maps"));
        };
        let mut keys = keys.iter();
        while let Some(key) = keys.next() {
            let value = values.get(key)?.into_owned();
            let key = CelMapKey::try_from(key.clone_as_boxed())
                .map_err(|_| failed("merge", "a key of another type"))?;
            merged.insert(key, value);
            if merged.len() > MAX_ENTRIES {
                return Err(too_large("merge"));
            }
        }
    }
    Ok(CowVal::owned(CelMap::from(merged)))
}

/// The keys of a map as text, sorted, and as they are.
pub(crate) fn sorted_keys<'a, 'v>(
    function: &str,
    map: &'a (dyn Val + 'v),
) -> Result<Vec<(String, &'a (dyn Val + 'v))>, ExecutionError> {
    let count = map.as_sizer().and_then(|sizer| usize::try_from(*sizer.size().inner()).ok());
    let count = count.unwrap_or(0);
    let steps = units(count.saturating_mul(count), MOVED_A_STEP).saturating_add(units(count, 4));
    bridge::spend(steps)?;
    let mut keys = map.as_iterable().ok_or_else(|| failed(function, "expected a map"))?.iter();
    let mut sorted: Vec<(String, &'a (dyn Val + 'v))> = Vec::new();
    while let Some(key) = keys.next() {
        let name = scalar(key).ok_or_else(|| failed(function, "a key of another type"))?;
        // An insertion sort suffices for so few, and the library's sort would add kilobytes to the
        // module.
        let position = sorted.partition_point(|(before, _)| *before <= name);
        sorted.insert(position, (name, key));
    }
    Ok(sorted)
}

/// A string, number or bool as text.
pub(super) fn scalar(value: &dyn Val) -> Option<String> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Some(text.inner().to_owned())
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        Some(number.inner().to_string())
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        Some(number.inner().to_string())
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        Some(number.inner().to_string())
    } else {
        value.downcast_ref::<CelBool>().map(|value| value.inner().to_string())
    }
}
