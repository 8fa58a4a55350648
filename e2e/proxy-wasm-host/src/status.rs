//! The status codes of proxy-wasm host calls.

/// The status that a host call returns, as the proxy-wasm ABI numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The call did what it was asked to.
    Ok = 0,
    /// There is nothing of that name.
    NotFound = 1,
    /// An argument makes no sense, or a header map is not available in this phase.
    BadArgument = 2,
    /// A value has no form that could be handed over.
    SerializationFailure = 3,
    /// A message could not be read.
    ParseFailure = 4,
    /// An expression could not be read.
    BadExpression = 5,
    /// A pointer leads outside the guest's memory, or the guest has no memory to give.
    InvalidMemoryAccess = 6,
    /// The queue holds nothing.
    Empty = 7,
    /// The value changed since it was read.
    CasMismatch = 8,
    /// The result is not of the expected kind.
    ResultMismatch = 9,
    /// The host failed.
    InternalFailure = 10,
    /// The connection is gone.
    BrokenConnection = 11,
    /// The host does not offer this call.
    Unimplemented = 12,
}

impl Status {
    /// The number that the guest sees.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }
}
