//! The writer.

use super::wire_type::{FIXED64, LENGTH_DELIMITED, VARINT};

/// Writes a message, field by field.
///
/// A method that does not say otherwise writes the field whatever its value is. Callers leave out a
/// scalar that has its default value, unless it is in a list or in a `oneof`.
///
/// Methods are not inlined into their callers, which are many, so that the module stays small.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer with room for a message of so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    /// The message.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes a `uint32`, `uint64`, `bool` or `enum`; of an `int64`, its two's complement.
    #[inline(never)]
    pub fn varint(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.raw_varint(value);
    }

    /// Writes a `uint32`, `uint64` or `enum` unless it is 0.
    pub fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(field, value);
        }
    }

    /// Writes a `double`.
    pub fn double(&mut self, field: u32, value: f64) {
        self.key(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes `bytes`, or a `string` that is known to be UTF-8.
    #[inline(never)]
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, LENGTH_DELIMITED);
        self.raw_varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(value);
    }

    /// Writes a `string`, unless it is empty. What is not UTF-8 is replaced by U+FFFD.
    #[inline(never)]
    pub fn text(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes(field, String::from_utf8_lossy(value).as_bytes());
        }
    }

    /// Writes a message within this one.
    #[inline]
    pub fn message<R>(&mut self, field: u32, write: impl FnOnce(&mut Writer) -> R) -> R {
        self.key(field, LENGTH_DELIMITED);
        let start = self.bytes.len();
        let result = write(self);
        self.put_length(start);
        result
    }

    /// Writes an entry of a `map<string, string>`.
    #[inline(never)]
    pub fn entry(&mut self, field: u32, key: &[u8], value: &[u8]) {
        self.message(field, |entry| {
            entry.text(1, key);
            entry.text(2, value);
        });
    }

    /// Puts the length of what follows `start` in front of it.
    #[inline(never)]
    fn put_length(&mut self, start: usize) {
        let length = self.bytes.len().saturating_sub(start);
        self.raw_varint(u64::try_from(length).unwrap_or(u64::MAX));
        if let Some(tail) = self.bytes.get_mut(start..) {
            tail.rotate_left(length);
        }
    }

    #[inline(never)]
    fn key(&mut self, field: u32, wire_type: u8) {
        self.raw_varint(u64::from(field.wrapping_shl(3) | u32::from(wire_type)));
    }

    #[inline(never)]
    fn raw_varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value = value.wrapping_shr(7);
            if value == 0 {
                return self.bytes.push(low);
            }
            self.bytes.push(low | 0x80);
        }
    }
}
