//! The reader.

use super::Malformed;
use super::wire_type::{FIXED32, FIXED64, LENGTH_DELIMITED, VARINT};

/// Reads a message, field by field, without a copy.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// A field as it is in a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// Its number in the message's definition.
    pub number: u32,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Reader<'a> {
    /// A reader of a message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Reader { rest: message }
    }

    /// The next field; `None` at the message's end.
    ///
    /// # Errors
    /// If the bytes that follow are no field.
    #[inline]
    pub fn field(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::Key)?;
        let number = key.wrapping_shr(3);
        if number == 0 {
            return Err(Malformed::Key);
        }
        let [wire_type, ..] = (key & 7).to_le_bytes();
        let value = match wire_type {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => Value::Fixed64(self.fixed()?),
            LENGTH_DELIMITED => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed::Truncated)?)?)
            }
            FIXED32 => {
                self.fixed::<4>()?;
                Value::Fixed32
            }
            _ => return Err(Malformed::Key),
        };
        Ok(Some(Field { number, value }))
    }

    /// Seven bits a byte, the lowest first; the last byte has its highest bit clear.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.wrapping_shl(shift);
            // Of the tenth byte, one bit fits.
            if shifted.wrapping_shr(shift) != bits {
                return Err(Malformed::Number);
            }
            value |= shifted;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl<'a> Field<'a> {
    /// The value of a `uint64`, `bool` or `enum`; of an `int64`, its two's complement.
    ///
    /// # Errors
    /// If the field has another wire type.
    pub fn varint(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(Malformed::Type),
        }
    }

    /// The value of a `uint32`.
    ///
    /// # Errors
    /// If the field has another wire type, or does not fit.
    pub fn uint32(&self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed::Number)
    }

    /// The value of an `int32`, `int64` or `enum`, which is negative where its two's complement is.
    ///
    /// # Errors
    /// If the field has another wire type.
    pub fn int64(&self) -> Result<i64, Malformed> {
        Ok(self.varint()?.cast_signed())
    }

    /// The value of a `double`.
    ///
    /// # Errors
    /// If the field has another wire type.
    pub fn double(&self) -> Result<f64, Malformed> {
        match self.value {
            Value::Fixed64(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => Err(Malformed::Type),
        }
    }

    /// The value of `bytes`, or of a message.
    ///
    /// # Errors
    /// If the field has another wire type.
    #[inline]
    pub fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::Type),
        }
    }

    /// The value of a `string`.
    ///
    /// # Errors
    /// If the field has another wire type, or is not UTF-8.
    #[inline]
    pub fn text(&self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Text)
    }

    /// A reader of the message in this field.
    ///
    /// # Errors
    /// If the field has another wire type.
    #[inline]
    pub fn message(&self) -> Result<Reader<'a>, Malformed> {
        self.bytes().map(Reader::new)
    }
}
