//! Texts of expressions as data, and what is said of values that cannot be data.

use std::borrow::Cow;

use super::bounded::MAX_TEXT;
use super::data::Data;
use super::meter::Allowance;

/// A text as data.
pub(super) fn text(text: Cow<'_, str>, allowance: &Allowance) -> Result<Data, String> {
    if let Some(breach) = allowance.breached() {
        return Err(breach.to_owned());
    }
    if text.len() > MAX_TEXT {
        return Err(TOO_LARGE.to_owned());
    }
    Ok(Data::Text(text.into_owned()))
}

/// The message where an optional has no value.
pub(super) const NO_VALUE: &str = "the result, or a part of it, has no value";
/// The message for a value that is too large.
pub(super) const TOO_LARGE: &str = "the result is larger than 64 KiB";
