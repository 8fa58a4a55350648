//! JSON into values, bounded as it is read.
//!
//! An object that has a field twice is refused, because a reader behind the filter might take the
//! other one.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{MAX_DEPTH, MAX_VALUES};
use crate::bridge;
use crate::regex::without_case;

/// Reads one document.
pub(super) fn value(text: &[u8]) -> serde_json::Result<Box<dyn Val>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(MAX_VALUES);
    let value = Reader { depth: 0, left: &left }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Reader<'c> {
    depth: usize,
    /// How many more values are allowed.
    left: &'c Cell<usize>,
}

impl Reader<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            bridge::breach();
            return Err(E::custom("nested too deep"));
        }
        Ok(Reader { depth: self.depth.saturating_add(1), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Box<dyn Val>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<dyn Val>, D::Error> {
        let Some(left) = self.left.get().checked_sub(1) else {
            bridge::breach();
            return Err(D::Error::custom("too many values"));
        };
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Box<dyn Val>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Box<dyn Val>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Box<dyn Val>, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Box<dyn Val>, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Box<dyn Val>, E> {
        Ok(i64::try_from(value).map_or_else(
            |_| Box::new(CelUInt::from(value)) as Box<dyn Val>,
            |value| Box::new(CelInt::from(value)),
        ))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Box<dyn Val>, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Box<dyn Val>, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Box<dyn Val>, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Box<dyn Val>, A::Error> {
        let inside = self.inside()?;
        let mut map: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
        // Some readers (Go's, .NET's) ignore the letter case of a field's name.
        let mut folded: HashSet<String> = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let first = folded.insert(without_case(&name));
            let value = fields.next_value_seed(inside)?;
            if !first || map.insert(CelMapKey::from(name), value).is_some() {
                bridge::breach();
                return Err(A::Error::custom("a field twice"));
            }
        }
        Ok(Box::new(CelMap::from(map)))
    }
}
