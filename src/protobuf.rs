//! The wire format of Protocol Buffers, version 3, as far as the messages need it that the filter
//! exchanges with gRPC services.
//!
//! A message is a sequence of fields. Each is a key (the field's number and its wire type, as a
//! varint) and a value. The writer knows its values to be right. The reader takes whatever bytes a
//! service sends: it skips fields that it is not asked for, and returns an error for everything
//! else that is not as the message's definition says.

pub mod header;
mod read;
#[cfg(test)]
mod tests;
pub mod value;
mod write;

pub use read::{Field, Reader};
pub use write::Writer;

/// The wire types of the format (Protocol Buffers' encoding, "Message Structure"). Groups, 3 and 4,
/// are not among them: version 3 has none.
mod wire_type {
    pub(super) const VARINT: u8 = 0;
    pub(super) const FIXED64: u8 = 1;
    pub(super) const LENGTH_DELIMITED: u8 = 2;
    pub(super) const FIXED32: u8 = 5;
}

/// The most items in all the lists of a message together.
pub const MAX_ITEMS: usize = 128;

/// Counts the items of a message's lists.
#[derive(Debug)]
pub(crate) struct Items {
    left: usize,
}

impl Items {
    /// Counts to [`MAX_ITEMS`].
    pub(crate) fn new() -> Self {
        Items { left: MAX_ITEMS }
    }

    /// Counts one more item.
    pub(crate) fn count(&mut self) -> Result<(), Malformed> {
        self.left = self.left.checked_sub(1).ok_or(Malformed::Items)?;
        Ok(())
    }
}

/// Why bytes are not the message that they should be, or a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends within a field.
    #[error("it ends within a field")]
    Truncated,
    /// A varint, or the number in it, is longer than its field can hold.
    #[error("a number is out of range")]
    Number,
    /// A key has the number 0, or a wire type that is unknown or a group.
    #[error("a field has an unknown form")]
    Key,
    /// A field has another wire type than the message's definition says.
    #[error("a field has another type than it should")]
    Type,
    /// A string is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Lists and maps are nested deeper than [`value::MAX_DEPTH`].
    #[error("a value is nested too deep")]
    Depth,
    /// There are more than [`MAX_ITEMS`] items or [`value::MAX_VALUES`] values.
    #[error("it has too many items")]
    Items,
    /// A field has a value that its definition does not know, or two fields contradict each other.
    #[error("a field has an unknown value")]
    Value,
}
