//! What a request has cost so far, and whether it passed a limit, or held something unreadable, on
//! the way.
//!
//! Everything that is evaluated spends steps, by what it reads and by what it does with it: a step
//! stands for about eight hundred instructions of the module. A rule, or a header's value, has
//! [`MAX_STEPS`] for a request, and all of them together have [`MAX_REQUEST_STEPS`].
//!
//! An expression's error may be caught: by `default`, by `||`, by an optional, by a policy's
//! `onError: Ignore`. What a caller brings about by sending more than a limit allows, or what
//! cannot be read, must not be, or a Deny is dodged by sending it. That is a breach: it is noted
//! here, and asked for after the evaluation, whatever the expression made of it.

use std::cell::Cell;

use cel::ExecutionError;

use super::limits::{MAX_REQUEST_STEPS, MAX_STEPS};
use crate::mends::{self, Mend};

/// What is said of an evaluation that passed a limit, where nothing else is.
const PASSED: &str = "the request passes a limit";
/// What is said of one that came upon what cannot be read.
pub(crate) const UNREADABLE: &str = "the request cannot be read";

/// How many bytes that are read, copied or compared cost a step.
pub(super) const BYTES_A_STEP: usize = 64;
/// What asking one rule costs, whatever is in it.
const RULE: u64 = 2;

thread_local! {
    /// What the rule at hand has spent.
    static SPENT: Cell<u64> = const { Cell::new(0) };
    /// What it may spend.
    static LIMIT: Cell<u64> = const { Cell::new(MAX_STEPS) };
    /// What the request has left for the rule at hand and those after it.
    static LEFT: Cell<u64> = const { Cell::new(MAX_REQUEST_STEPS) };
    /// What is wrong with the request, for the rule at hand.
    static BREACH: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Begins a request, or the response to one.
pub(crate) fn begin_request() {
    LEFT.set(MAX_REQUEST_STEPS);
    SPENT.set(0);
    begin();
}

/// Begins what is reported and not enforced, which has as many steps of its own; gives what the
/// request has left.
pub(crate) fn begin_shadow() -> u64 {
    let left = LEFT.get().saturating_sub(SPENT.get());
    LEFT.set(MAX_REQUEST_STEPS);
    SPENT.set(0);
    left
}

/// Goes on with what is enforced.
pub(crate) fn end_shadow(left: u64) {
    LEFT.set(left);
    SPENT.set(0);
    begin();
}

/// Begins a rule, or a header's value.
pub(crate) fn begin() {
    let left = LEFT.get().saturating_sub(SPENT.get());
    LEFT.set(left);
    LIMIT.set(left.min(MAX_STEPS));
    SPENT.set(RULE);
    BREACH.set(None);
}

/// Spends some steps; gives whether they were there to be spent.
#[inline]
pub(crate) fn spend(steps: u64) -> bool {
    let (spent, limit) = (SPENT.get().saturating_add(steps), LIMIT.get());
    if spent <= limit {
        SPENT.set(spent);
        return true;
    }
    // No rule pays more than its own limit: where the request has more left, others may still be
    // asked.
    SPENT.set(limit.saturating_add(1));
    breach();
    false
}

/// Spends what reading so many bytes costs; gives whether that was there to be spent.
#[inline]
pub(crate) fn spend_on(bytes: usize, bytes_a_step: usize) -> bool {
    bytes < bytes_a_step || spend(units(bytes, bytes_a_step))
}

/// Spends what reading a text of the request costs.
pub(super) fn read(bytes: usize) -> Result<(), ExecutionError> {
    if spend_on(bytes, BYTES_A_STEP) { Ok(()) } else { Err(exceeded()) }
}

/// What is said where there was not enough to be spent.
#[cold]
pub(super) fn exceeded() -> ExecutionError {
    ExecutionError::function_error("@budget", "exceeded")
}

/// How many steps some bytes cost.
pub(super) fn units(bytes: usize, bytes_a_step: usize) -> u64 {
    bytes.checked_div(bytes_a_step).and_then(|units| u64::try_from(units).ok()).unwrap_or(u64::MAX)
}

/// Whether the rule at hand spent more than it had.
pub(super) fn is_exceeded() -> bool {
    SPENT.get() > LIMIT.get()
}

/// Whether the request has nothing left for another rule.
pub(crate) fn is_request_exhausted() -> bool {
    SPENT.get() >= LEFT.get()
}

/// Notes that the request passes a limit.
pub(crate) fn breach() {
    BREACH.set(Some(PASSED));
}

/// Notes that something is there which cannot be read, so that it is not taken for something that
/// is not there.
#[cold]
pub(crate) fn unreadable() {
    if mends::is_on(Mend::Unreadable) && !is_breached() {
        BREACH.set(Some(UNREADABLE));
    }
}

/// Whether the request passed a limit, or held something that cannot be read.
pub(crate) fn is_breached() -> bool {
    BREACH.get().is_some()
}

/// Begins anew, with what an evaluation has said, for tools that evaluate its parts in between.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn restore(breached: Option<&'static str>) {
    begin_request();
    BREACH.set(breached);
}

/// What is wrong with the request, where something is.
pub(crate) fn breached() -> Option<&'static str> {
    BREACH.get()
}

/// What was spent.
#[cfg(test)]
pub(crate) fn spent() -> u64 {
    SPENT.get()
}
