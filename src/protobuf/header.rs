//! Headers in the answers of services: `HeaderValue` and `HeaderValueOption` of
//! `envoy.config.core.v3`.
//!
//! Neither a name nor a value is checked here: whoever applies them does so, as it does for any
//! other header.

use super::{Malformed, Reader};

/// A header, as a service sends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderValue<'a> {
    /// The name, in any letter case.
    pub name: &'a str,
    value: &'a str,
    raw_value: &'a [u8],
}

impl<'a> HeaderValue<'a> {
    /// The value: `raw_value` or `value`, whichever the service has set.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        if self.raw_value.is_empty() { self.value.as_bytes() } else { self.raw_value }
    }

    /// Reads a `HeaderValue`.
    ///
    /// # Errors
    /// If it is malformed, or has two values that differ.
    pub fn read(message: Reader<'a>) -> Result<Self, Malformed> {
        let mut header = HeaderValue::default();
        header.merge(message)?;
        Ok(header)
    }

    #[inline(never)]
    fn merge(&mut self, mut message: Reader<'a>) -> Result<(), Malformed> {
        while let Some(field) = message.field()? {
            match field.number {
                1 => self.name = field.text()?,
                2 => self.value = field.text()?,
                3 => self.raw_value = field.bytes()?,
                _ => {}
            }
        }
        let contradict = !self.value.is_empty() && self.value() != self.value.as_bytes();
        if contradict { Err(Malformed::Value) } else { Ok(()) }
    }
}

/// What becomes of the values that a header has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderAction {
    /// They stay, and the new one is added.
    Append,
    /// If there are any, they stay and the new one is dropped.
    AddIfAbsent,
    /// The new one takes their place.
    Overwrite,
    /// The new one takes their place; if there are none, it is dropped.
    OverwriteIfExists,
}

/// A header, and what becomes of the values that it has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderOption<'a> {
    /// The header.
    pub header: HeaderValue<'a>,
    /// `append` where the service has set it, otherwise `append_action`.
    ///
    /// `APPEND_IF_EXISTS_OR_ADD` is 0, so nobody can tell it from an `append_action` that is not
    /// set. Without `append`, it means [`HeaderAction::Overwrite`]: for answers of authorization
    /// services, the default of `append` is `false`.
    pub action: HeaderAction,
}

impl<'a> HeaderOption<'a> {
    /// Reads a `HeaderValueOption`.
    ///
    /// # Errors
    /// If it is malformed, or `append_action` is unknown.
    #[inline(never)]
    pub fn read(mut message: Reader<'a>) -> Result<Self, Malformed> {
        let (mut header, mut append, mut append_action) = (HeaderValue::default(), None, 0);
        while let Some(field) = message.field()? {
            match field.number {
                1 => header.merge(field.message()?)?,
                2 => {
                    let appends: &mut bool = append.get_or_insert(false);
                    let mut wrapper = field.message()?;
                    while let Some(field) = wrapper.field()? {
                        if field.number == 1 {
                            *appends = field.varint()? != 0;
                        }
                    }
                }
                3 => append_action = field.varint()?,
                _ => {}
            }
        }
        let action = match (append, append_action) {
            (Some(true), 0..=3) => HeaderAction::Append,
            (None, 1) => HeaderAction::AddIfAbsent,
            (None, 3) => HeaderAction::OverwriteIfExists,
            (Some(false), 0..=3) | (None, 0 | 2) => HeaderAction::Overwrite,
            _ => return Err(Malformed::Value),
        };
        Ok(HeaderOption { header, action })
    }
}
