//! JSON as it was written. `serde_json::Value` would keep one of two fields of the same name; here
//! both are kept, so that the reader can refuse them.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value that keeps every field of an object, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'j> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The number, if it is whole, not negative, and fits.
    Number(Option<u64>),
    /// A string, without its escapes.
    String(Cow<'j, str>),
    /// A list.
    Array(Vec<Json<'j>>),
    /// The fields of an object, in their order.
    Object(Vec<(Cow<'j, str>, Json<'j>)>),
}

impl Json<'_> {
    /// The kind of this value, for "expected ..., got ...".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

/// Parses JSON, keeping at most `limit` of its values. Returns what was kept, and the number of
/// values in all.
pub fn read(json: &[u8], limit: usize) -> Result<(Json<'_>, usize), serde_json::Error> {
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Reader { values: &values, limit }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((read, values.get()))
}

/// Up to here, every whole number is one of a 64-bit float's.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'r> {
    /// The number of values read so far.
    values: &'r Cell<usize>,
    limit: usize,
}

impl Reader<'_> {
    fn is_within(self) -> bool {
        self.values.get() <= self.limit
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.values.set(self.values.get().saturating_add(1));
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(u64::try_from(number).ok()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(Some(number)))
    }

    /// `5.0` is a whole number in JSON Schema, and in YAML's and protobuf's readers as well.
    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        let is_whole = number.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(&number);
        // The text of a whole number has no fraction, and Rust has no checked conversion.
        Ok(Json::Number(is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    /// A string with an escape cannot be borrowed from the input.
    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            if self.is_within() {
                items.push(item);
            }
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value_seed(self)?;
            if self.is_within() {
                fields.push((name, value));
            }
        }
        Ok(Json::Object(fields))
    }
}

/// The name of a field. Deserializing a `Cow` directly would always copy it.
struct Name<'j>(Cow<'j, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(value.to_owned())))
    }
}
