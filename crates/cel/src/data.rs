//! Values on their own: what an expression returns where it is neither a rule nor a text, and what
//! a service sends about a request.

use std::time::Duration;

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

impl Data {
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
