//! JSON into values and back, bounded as it is read and written.
//!
//! An object that has a field twice is refused, because a reader behind the filter might take the
//! other one.

use std::cell::Cell;
use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::evaluate::Run;
use super::results::scalar;
use super::{Map, Value};
use crate::bounded::MAX_TEXT;
use crate::library::{encoding, quote};
use crate::meter::{Allowance, units};
use crate::regex::without_case;
use crate::run::{Evaluated, Failure};

/// The deepest nesting of lists and objects that is read or written.
const MAX_DEPTH: usize = 32;
/// The most values in one document.
const MAX_VALUES: usize = 4096;
/// The square of how many keys are sorted for a step.
const MOVED_A_STEP: usize = 512;
/// How many bytes of a field's name that is not ASCII are put into one letter case for a step: each
/// letter is looked up for each of its forms.
const FOLDED_A_STEP: usize = 1;
/// The most fields of an object that are sorted for what reading them costs.
const FEW_FIELDS: usize = 64;

/// Reads one document.
pub(super) fn read<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    text: &[u8],
) -> Evaluated<'p, Value<'p>> {
    if text.len() > MAX_TEXT {
        return Err(run.breach(name));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(MAX_VALUES);
    let found = Reader { depth: 0, left: &left, allowance: run.scene.allowance };
    let found = found.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    found.map_err(|_| run.unfit(name))
}

#[derive(Clone, Copy)]
struct Reader<'c> {
    depth: usize,
    /// How many more values are allowed.
    left: &'c Cell<usize>,
    allowance: &'c Allowance,
}

impl Reader<'_> {
    fn refuse<E: Error>(self) -> E {
        self.allowance.breach();
        E::custom("")
    }

    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse());
        }
        Ok(Reader { depth: self.depth.saturating_add(1), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'static>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value<'static>, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else { return Err(self.refuse()) };
        self.left.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'static>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'static>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'static>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'static>, E> {
        Ok(i64::try_from(value).map_or(Value::Uint(value), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'static>, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'static>, E> {
        Ok(Value::made(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'static>, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::list(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value<'static>, A::Error> {
        let inside = self.inside()?;
        let (mut entries, mut folded) = (Vec::new(), Vec::new());
        while let Some(name) = fields.next_key::<String>()? {
            if !name.is_ascii() && !self.allowance.spend_on(name.len(), FOLDED_A_STEP) {
                return Err(self.refuse());
            }
            // Some readers (Go's, .NET's) ignore the letter case of a field's name.
            folded.push((Value::made(&without_case(&name)), Value::Null));
            entries.push((Value::made(&name), fields.next_value_seed(inside)?));
        }
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let rounds = u64::from(u64::BITS.saturating_sub(count.leading_zeros()));
        if entries.len() > FEW_FIELDS && !self.allowance.spend(count.saturating_mul(rounds)) {
            return Err(self.refuse());
        }
        match (Map::of(folded), Map::of(entries)) {
            (Ok(_), Ok(map)) => Ok(Value::map(map)),
            _ => Err(self.refuse()),
        }
    }
}

/// Writes one value; nothing if it has no JSON form, or one above the limit.
pub(super) fn text<'p>(run: &Run<'_, 'p>, value: &Value<'p>) -> Option<String> {
    let mut text = String::new();
    write(run, value, 0, &mut text)?;
    Some(text)
}

/// Appends a value, which is at this depth.
fn write<'p>(run: &Run<'_, 'p>, value: &Value<'p>, depth: usize, out: &mut String) -> Option<()> {
    if depth > MAX_DEPTH || out.len() > MAX_TEXT {
        run.scene.allowance.breach();
        return None;
    }
    let below = depth.checked_add(1)?;
    let mut separator = "";
    match value {
        Value::List(list) => {
            out.push('[');
            for item in list.iter() {
                out.push_str(separator);
                write(run, item, below, out)?;
                separator = ",";
            }
            out.push(']');
        }
        Value::Map(_) | Value::Headers(_) => {
            out.push('{');
            for (name, value) in named_entries(run, "toJson", value).ok()? {
                out.push_str(separator);
                quote(&name, out);
                out.push(':');
                write(run, &value, below, out)?;
                separator = ",";
            }
            out.push('}');
        }
        value => write_single(value, out)?,
    }
    (out.len() <= MAX_TEXT).then_some(())
}

/// Appends a value that has no parts; nothing if it has no JSON form.
pub(crate) fn write_single(value: &Value<'_>, out: &mut String) -> Option<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Text(text) => quote(text.as_str(), out),
        Value::Bytes(bytes) => quote(&encoding::base64(bytes.as_slice()), out),
        // Rust's debug format of a number has a fraction or an exponent, and is JSON.
        Value::Double(number) => {
            write!(out, "{:?}", Some(number).filter(|number| number.is_finite())?).ok()?;
        }
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) => out.push_str(&scalar(value)?),
        value => quote(&value.address_or_time()?, out),
    }
    Some(())
}

/// The entries of a map or headers, with keys as text, by which they are sorted.
#[inline(never)]
pub(super) fn named_entries<'p>(
    run: &Run<'_, 'p>,
    function: &'static str,
    map: &Value<'p>,
) -> Evaluated<'p, Vec<(String, Value<'p>)>> {
    let count = run.count(map).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    run.spend(units(count.saturating_mul(count), MOVED_A_STEP))?;
    run.spend(units(count, 4))?;
    let mut sorted: Vec<(String, Value<'p>)> = Vec::with_capacity(count);
    run.each_entry(map, &mut |key, value| {
        let name = scalar(&key).ok_or(Failure::In(function))?;
        // The keys of a map that are strings come sorted.
        let position = match sorted.last() {
            Some((last, _)) if *last > name => {
                sorted.partition_point(|(before, _)| *before <= name)
            }
            _ => sorted.len(),
        };
        sorted.insert(position, (name, value));
        Ok(())
    })?;
    Ok(sorted)
}
