//! Bytes that nobody may read but the origin.

use std::fmt;

/// What stands for a secret wherever a secret would be shown.
pub(super) const REDACTED: &str = "<redacted>";

/// A secret value. It cannot be displayed or serialized, and its debug output is a fixed text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Keeps these bytes from being shown.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Secret {
        Secret(bytes.into())
    }

    /// The bytes, for whoever sends them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}
