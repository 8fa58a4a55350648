//! `google.protobuf.Struct` and `Value`: data such as JSON has.
//!
//! A map of [`Data`] is a `Struct`. What JSON has no form for is written as the JSON mapping of
//! Protocol Buffers has it: an integer that a double cannot hold is a string, bytes are base64, a
//! timestamp is RFC 3339, a duration is seconds with an `s`, and `NaN` and infinities are strings.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egress_cel::data::Data;
use egress_cel::time::Timestamp;

use super::{Malformed, Reader, Writer};

/// The deepest nesting of lists and maps, both ways. Each level is up to three levels of messages,
/// and many readers of the format, prost among them, go to a hundred of those.
pub const MAX_DEPTH: usize = 16;
/// The most values that are read of one `Struct`.
pub const MAX_VALUES: usize = 1024;
/// The integers that a double holds are those up to 2^53 (RFC 8259 section 6).
const MAX_INTEGER: u64 = 1 << 53;

/// Writes the fields of a `Struct`.
///
/// # Errors
/// If lists and maps are nested too deep.
pub fn write(out: &mut Writer, entries: &[(String, Data)]) -> Result<(), Malformed> {
    write_entries(out, entries, MAX_DEPTH)
}

fn write_entries(
    out: &mut Writer,
    entries: &[(String, Data)],
    depth: usize,
) -> Result<(), Malformed> {
    let below = depth.checked_sub(1).ok_or(Malformed::Depth)?;
    entries.iter().try_for_each(|(key, value)| {
        out.message(1, |entry| {
            entry.text(1, key.as_bytes());
            entry.message(2, |out| write_value(out, value, below))
        })
    })
}

fn write_value(out: &mut Writer, value: &Data, depth: usize) -> Result<(), Malformed> {
    match value {
        Data::Null => out.varint(1, 0),
        Data::Bool(value) => out.varint(4, u64::from(*value)),
        Data::Int(value) => write_integer(out, value.unsigned_abs(), *value < 0),
        Data::Uint(value) => write_integer(out, *value, false),
        Data::Double(value) if value.is_finite() => out.double(2, *value),
        // A number of JSON is finite, and readers that turn the message into JSON refuse others.
        Data::Double(value) => out.bytes(3, not_finite(*value).as_bytes()),
        Data::Text(value) => out.bytes(3, value.as_bytes()),
        Data::Bytes(value) => out.bytes(3, STANDARD.encode(value).as_bytes()),
        Data::Duration(value) => out.bytes(3, seconds(*value).as_bytes()),
        Data::Timestamp(value) => {
            let nanos = i64::try_from(value.as_nanos()).unwrap_or(i64::MAX);
            out.bytes(3, Timestamp::of_nanos(nanos).to_string().as_bytes());
        }
        Data::Map(entries) => {
            return out.message(5, |out| write_entries(out, entries, depth));
        }
        Data::List(items) => {
            let below = depth.checked_sub(1).ok_or(Malformed::Depth)?;
            return out.message(6, |out| {
                items
                    .iter()
                    .try_for_each(|item| out.message(1, |out| write_value(out, item, below)))
            });
        }
    }
    Ok(())
}

fn write_integer(out: &mut Writer, magnitude: u64, is_negative: bool) {
    if magnitude <= MAX_INTEGER {
        // Exact up to here.
        let value = magnitude as f64;
        out.double(2, if is_negative { -value } else { value });
    } else {
        let sign = if is_negative { "-" } else { "" };
        out.bytes(3, format!("{sign}{magnitude}").as_bytes());
    }
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// `5400s`, `1.5s`.
fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    let mut text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    text.push('s');
    text
}

/// Reads a `Struct` into the entries of a map. Of a key that comes again, the later value stands.
///
/// # Errors
/// If it is malformed, nested too deep, or has too many values.
pub fn merge(entries: &mut Vec<(String, Data)>, message: Reader<'_>) -> Result<(), Malformed> {
    Values { left: MAX_VALUES }.entries(entries, message, MAX_DEPTH)
}

/// What is read of a `Struct`.
struct Values {
    /// How many values there may still be.
    left: usize,
}

impl Values {
    fn entries(
        &mut self,
        entries: &mut Vec<(String, Data)>,
        mut message: Reader<'_>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let below = depth.checked_sub(1).ok_or(Malformed::Depth)?;
        while let Some(field) = message.field()? {
            if field.number != 1 {
                continue;
            }
            let (mut key, mut value) = ("", Data::Null);
            let mut entry = field.message()?;
            self.count()?;
            while let Some(field) = entry.field()? {
                match field.number {
                    1 => key = field.text()?,
                    2 => self.value(&mut value, field.message()?, below)?,
                    _ => {}
                }
            }
            match entries.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
        Ok(())
    }

    /// Reads a `Value`. One that has no kind leaves the value as it is.
    fn value(
        &mut self,
        value: &mut Data,
        mut message: Reader<'_>,
        depth: usize,
    ) -> Result<(), Malformed> {
        while let Some(field) = message.field()? {
            match field.number {
                1 => {
                    field.varint()?;
                    *value = Data::Null;
                }
                2 => *value = Data::Double(field.double()?),
                3 => *value = Data::Text(field.text()?.to_owned()),
                4 => *value = Data::Bool(field.varint()? != 0),
                5 => {
                    // A message that comes in parts is their sum.
                    let mut entries = match std::mem::replace(value, Data::Null) {
                        Data::Map(entries) => entries,
                        _ => Vec::new(),
                    };
                    self.entries(&mut entries, field.message()?, depth)?;
                    *value = Data::Map(entries);
                }
                6 => {
                    let mut items = match std::mem::replace(value, Data::Null) {
                        Data::List(items) => items,
                        _ => Vec::new(),
                    };
                    self.items(&mut items, field.message()?, depth)?;
                    *value = Data::List(items);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn items(
        &mut self,
        items: &mut Vec<Data>,
        mut message: Reader<'_>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let below = depth.checked_sub(1).ok_or(Malformed::Depth)?;
        while let Some(field) = message.field()? {
            if field.number == 1 {
                self.count()?;
                let mut item = Data::Null;
                self.value(&mut item, field.message()?, below)?;
                items.push(item);
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Malformed> {
        self.left = self.left.checked_sub(1).ok_or(Malformed::Items)?;
        Ok(())
    }
}
