//! Values into JSON, bounded as it is written.

use std::io;

use cel::common::types::{CelBool, CelBytes, CelDouble, CelInt, CelNull, CelString, CelUInt, Kind};
use cel::common::value::Val;
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::super::{MAX_TEXT, encoding, maps, net};
use super::MAX_DEPTH;

/// Writes one value; nothing where it has no JSON or more than the limit.
pub(super) fn text(value: &dyn Val) -> Option<String> {
    let mut bounded = Bounded(Vec::new());
    serde_json::to_writer(&mut bounded, &Written { value, depth: 0 }).ok()?;
    String::from_utf8(bounded.0).ok()
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > MAX_TEXT {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Written<'a, 'v> {
    value: &'a (dyn Val + 'v),
    depth: usize,
}

impl<'v> Written<'_, 'v> {
    fn inside<'x>(&self, value: &'x (dyn Val + 'v)) -> Written<'x, 'v> {
        Written { value, depth: self.depth.saturating_add(1) }
    }
}

impl Serialize for Written<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value;
        if self.depth > MAX_DEPTH {
            return Err(S::Error::custom("nested too deep"));
        }
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            return serializer.serialize_str(text.inner());
        } else if let Some(number) = value.downcast_ref::<CelInt>() {
            return serializer.serialize_i64(*number.inner());
        } else if let Some(value) = value.downcast_ref::<CelBool>() {
            return serializer.serialize_bool(*value.inner());
        } else if value.downcast_ref::<CelNull>().is_some() {
            return serializer.serialize_unit();
        } else if let Some(number) = value.downcast_ref::<CelUInt>() {
            return serializer.serialize_u64(*number.inner());
        } else if let Some(number) = value.downcast_ref::<CelDouble>().filter(|number| number.inner().is_finite()) {
            return serializer.serialize_f64(*number.inner());
        } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
            return serializer.serialize_str(&encoding::base64(bytes.inner()));
        } else if let Some(text) = net::text_of(value) {
            return serializer.serialize_str(&text);
        }
        match (value.get_type().kind(), value.as_iterable(), value.as_indexer()) {
            (Kind::List, Some(items), _) => {
                let mut items = items.iter();
                let mut list = serializer.serialize_seq(None)?;
                while let Some(item) = items.next() {
                    list.serialize_element(&self.inside(item))?;
                }
                list.end()
            }
            (Kind::Map, Some(_), Some(values)) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, key) in maps::sorted_keys("toJson", value).map_err(S::Error::custom)? {
                    let value = values.get(key).map_err(|_| S::Error::custom("a value that cannot be read"))?;
                    map.serialize_entry(&name, &self.inside(value.as_ref()))?;
                }
                map.end()
            }
            _ => Err(S::Error::custom("has no JSON")),
        }
    }
}
