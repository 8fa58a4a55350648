//! Values on their own: what an expression returns where it is neither a rule nor a text, and what
//! a service sends about a request.

use std::time::Duration;

use super::library::quote;
use super::program::{Value, write_single};

/// A value that owns what it consists of.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `null`
    Null,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A uint.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A duration that is not negative.
    Duration(Duration),
    /// A timestamp, as the time since 1970 (UTC); earlier ones have no form here.
    Timestamp(Duration),
    /// A list.
    List(Vec<Data>),
    /// A map whose keys are strings, in the order in which it was made.
    Map(Vec<(String, Data)>),
}

/// What an entry of a list or map counts besides its content, in bytes.
pub(crate) const ENTRY: usize = 32;
/// The deepest nesting of lists and maps that expressions read.
pub const MAX_DEPTH: usize = 32;

impl Data {
    /// The name of its type, for a message.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Data::Null => "null",
            Data::Bool(_) => "a bool",
            Data::Int(_) => "an int",
            Data::Uint(_) => "a uint",
            Data::Double(_) => "a double",
            Data::Text(_) => "a string",
            Data::Bytes(_) => "bytes",
            Data::Duration(_) => "a duration",
            Data::Timestamp(_) => "a timestamp",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// Roughly how many bytes it takes; none if it is nested deeper than [`MAX_DEPTH`].
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        self.sized(MAX_DEPTH)
    }

    fn sized(&self, depth: usize) -> Option<usize> {
        let inner = depth.checked_sub(1);
        match self {
            Data::Text(text) => Some(text.len()),
            Data::Bytes(bytes) => Some(bytes.len()),
            Data::List(items) => items.iter().try_fold(ENTRY, |sum, item| {
                Some(sum.saturating_add(ENTRY).saturating_add(item.sized(inner?)?))
            }),
            Data::Map(entries) => entries.iter().try_fold(ENTRY, |sum, (name, value)| {
                let entry = name.len().saturating_add(value.sized(inner?)?);
                Some(sum.saturating_add(ENTRY).saturating_add(entry))
            }),
            _ => Some(0),
        }
    }

    /// The same as JSON, as `toJson` writes it; none of what JSON cannot have.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        let mut json = String::new();
        self.write_json(&mut json)?;
        Some(json)
    }

    /// Appends it as JSON. This takes no steps, as the value has taken steps for all that it has.
    fn write_json(&self, out: &mut String) -> Option<()> {
        let mut separator = "";
        match self {
            Data::List(items) => {
                out.push('[');
                for item in items {
                    out.push_str(separator);
                    separator = ",";
                    item.write_json(out)?;
                }
                out.push(']');
            }
            Data::Map(entries) => {
                out.push('{');
                for (name, value) in entries {
                    out.push_str(separator);
                    separator = ",";
                    quote(name, out);
                    out.push(':');
                    value.write_json(out)?;
                }
                out.push('}');
            }
            single => write_single(&Value::of_data(single), out)?,
        }
        Some(())
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Data> {
        match self {
            Data::Map(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}
