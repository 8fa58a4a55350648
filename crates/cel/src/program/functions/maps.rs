//! Sizes, keys, `merge`, and the views of headers.

use super::super::evaluate::{Elements, Run};
use super::super::headers::{Values, View};
use super::super::map::is_key;
use super::super::{Map, Value};
use super::{Row, take, text_at, unknown};
use crate::run::{Evaluated, Failure};

/// The most entries of a map that is made from others.
const MAX_ENTRIES: usize = 1024;

pub(super) const GLOBAL: &[Row] = &[
    ("size", size),
    // The keys of a map, or the indices of a list.
    ("@keys", |_, name, of| match take(of, 0) {
        Value::List(list) => {
            let indices = (0_i64..).zip(list.iter()).map(|(index, _)| Value::Int(index));
            Ok(Value::list(indices.collect()))
        }
        map @ (Value::Map(_) | Value::Headers(_)) => Ok(map),
        _ => Err(unknown(name)),
    }),
    // What macros make maps with: the entries of a list of maps.
    ("@map_of", |run, _, of| {
        let Some(Value::List(maps)) = of.first() else {
            return Err(Failure::In("transformMapEntry"));
        };
        let mut entries = Vec::with_capacity(maps.len());
        for map in maps.iter() {
            let Value::Map(map) = map else { return Err(Failure::In("transformMapEntry")) };
            entries.extend(map.entries().iter().cloned());
        }
        Map::of(entries).map(Value::map).map_err(|_| run.unfit("transformMapEntry"))
    }),
];

pub(super) const MEMBER: &[Row] = &[
    ("size", size),
    ("merge", merge),
    ("raw", |run, name, of| run.view(name, of, |view| View { values: Values::Lines, ..view })),
    ("redacted", |run, name, of| run.view(name, of, |view| View { redacted: true, ..view })),
    ("cookie", |run, name, of| match of.first() {
        Some(Value::Headers(view)) => match run.cookie(*view, text_at(name, of, 1)?) {
            Err(Failure::NoKey) => Err(Failure::NoKey),
            found => found,
        },
        _ => Err(Failure::NoKey),
    }),
];

fn size<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let size = match of.first() {
        Some(Value::Text(text)) => text.as_str().chars().count(),
        Some(Value::Bytes(bytes)) => bytes.as_slice().len(),
        Some(Value::List(list)) => list.len(),
        Some(Value::Map(map)) => map.entries().len(),
        Some(Value::Headers(view)) => run.header_names(*view)?.len(),
        _ => return Err(unknown(name)),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// The entries of both maps. Those of the second take precedence.
fn merge<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let mut merged = Map::default();
    for map in of.iter() {
        match map {
            Value::Map(_) | Value::Headers(_) => {}
            _ => return Err(run.unfit(name)),
        }
        run.each_entry(map, &mut |key, value| {
            if !is_key(&key) {
                return Err(run.unfit(name));
            }
            merged.put(key, value);
            if merged.entries().len() > MAX_ENTRIES { Err(run.breach(name)) } else { Ok(()) }
        })?;
    }
    Ok(Value::map(merged))
}

impl<'p> Run<'_, 'p> {
    /// Headers in another view.
    pub(super) fn view(
        &self,
        name: &'static str,
        of: &[Value<'p>],
        other: impl Fn(View) -> View,
    ) -> Evaluated<'p, Value<'p>> {
        match of {
            [Value::Headers(view)] => Ok(Value::Headers(other(*view))),
            [Value::Map(_) | Value::Object(_)] => Err(Failure::NoKey),
            _ => Err(self.unfit(name)),
        }
    }

    /// Shows each entry of a map or of headers, in their order.
    pub(in crate::program) fn each_entry(
        &self,
        map: &Value<'p>,
        show: &mut dyn FnMut(Value<'p>, Value<'p>) -> Evaluated<'p, ()>,
    ) -> Evaluated<'p, ()> {
        match self.elements(map.clone())? {
            Elements::Keys(map) => {
                map.entries().iter().try_for_each(|(key, value)| show(key.clone(), value.clone()))
            }
            Elements::Names(names) => {
                let Value::Headers(view) = map else { return Ok(()) };
                for name in names {
                    let text = name.as_text().unwrap_or_default();
                    if let Some(value) = self.header(*view, text)? {
                        show(name, value)?;
                    }
                }
                Ok(())
            }
            Elements::List(_) | Elements::Literal(_) => Ok(()),
        }
    }
}
