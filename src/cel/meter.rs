//! What one rule, or one header's value, has cost a request so far, and whether the request passed a limit on the way.
//!
//! An expression's error may be caught: by `default`, by `||`, by an optional, by a policy's `onError: Ignore`. What a caller
//! brings about by sending more than a limit allows must not be, or a Deny is dodged by sending it. So that it is known to
//! whoever asked, whatever the expression made of the error.

use std::cell::Cell;

use super::limits::MAX_STEPS;

/// What is said of an evaluation that passed a limit, where nothing else is.
pub(crate) const PASSED: &str = "the request passes a limit";

thread_local! {
    static SPENT: Cell<u64> = const { Cell::new(0) };
    static BREACHED: Cell<bool> = const { Cell::new(false) };
}

/// Begins with nothing spent.
pub(crate) fn begin() {
    SPENT.set(0);
    BREACHED.set(false);
}

/// Spends some steps; gives whether they were there to be spent.
pub(super) fn spend(steps: u64) -> bool {
    SPENT.set(SPENT.get().saturating_add(steps));
    let exceeded = is_exceeded();
    if exceeded {
        breach();
    }
    !exceeded
}

/// Whether more was spent than there was.
pub(super) fn is_exceeded() -> bool {
    SPENT.get() > MAX_STEPS
}

/// Notes that the request passes a limit.
pub(crate) fn breach() {
    BREACHED.set(true);
}

/// Whether the request passed a limit.
pub(crate) fn is_breached() -> bool {
    BREACHED.get()
}

/// What was spent.
#[cfg(test)]
pub(crate) fn spent() -> u64 {
    SPENT.get()
}
