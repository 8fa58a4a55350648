//! What the driver of an exchange is to do.

use crate::call::Call;
use crate::decision::{Change, Reply};

/// What becomes of a part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// Its lines are read.
    Read,
    /// It goes on, whatever is in it.
    Pass,
    /// It is held, whatever is in it.
    Hold,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// Make this call, and hold what has arrived.
    Call(Box<Call>),
    /// Hold what has arrived until a fetch of the token of this credential ends
    /// ([`Engine::due_fetch`](crate::policy::Engine::due_fetch)).
    Await(usize),
    /// Hold what has arrived.
    Hold,
    /// Write these changes into what has arrived, and let it go on.
    Forward(Vec<Change<'s>>),
    /// Replace the body that is held by this one, and let it go on.
    Replace(Vec<u8>),
    /// Answer the request.
    Reply(Reply),
    /// Reset the stream.
    Reset,
    /// Do nothing: nobody waits for this answer.
    Ignore,
}
