//! The allowance of the evaluation that the interpreter is running.
//!
//! The interpreter calls functions and values that have no argument for the allowance they spend
//! from, and values must be `Sync`, so that none can hold a reference to it. So [`lend`] moves the
//! contents of the allowance here while the interpreter runs, and moves them back afterwards. Only
//! what the interpreter calls spends from here; everything else is passed its [`Allowance`].

use cel::ExecutionError;

use super::meter::{Allowance, BYTES_A_STEP};

thread_local! {
    /// The allowance that is lent now. While none is, nothing can be spent.
    static LENT: Allowance = const { Allowance::empty() };
}

/// Lends an allowance to the interpreter while `run` runs. If this evaluation is part of another,
/// that one's allowance is lent again afterwards.
pub(super) fn lend<T>(allowance: &Allowance, run: impl FnOnce() -> T) -> T {
    let returning = Returning { allowance };
    LENT.with(|lent| lent.swap(allowance));
    let result = run();
    drop(returning);
    result
}

/// Takes back what was lent, even if a test's assertion fails meanwhile.
struct Returning<'a> {
    allowance: &'a Allowance,
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        LENT.with(|lent| lent.swap(self.allowance));
    }
}

/// Runs a function with the allowance that is lent.
pub(super) fn lent<T>(run: impl FnOnce(&Allowance) -> T) -> T {
    LENT.with(run)
}

/// [`Allowance::spend`], for the allowance that is lent.
#[inline]
pub(super) fn spend(steps: u64) -> Result<(), ExecutionError> {
    if lent(|allowance| allowance.spend(steps)) { Ok(()) } else { Err(exceeded()) }
}

/// [`Allowance::spend_on`], for the allowance that is lent.
#[inline]
pub(super) fn spend_on(bytes: usize, bytes_a_step: usize) -> Result<(), ExecutionError> {
    if lent(|allowance| allowance.spend_on(bytes, bytes_a_step)) { Ok(()) } else { Err(exceeded()) }
}

/// Spends what reading a text of the request costs.
pub(super) fn read(bytes: usize) -> Result<(), ExecutionError> {
    spend_on(bytes, BYTES_A_STEP)
}

/// [`Allowance::breach`], for the allowance that is lent.
pub(super) fn breach() {
    lent(Allowance::breach);
}

/// [`Allowance::unreadable`], for the allowance that is lent.
#[cold]
pub(super) fn unreadable() {
    lent(Allowance::unreadable);
}

/// The error of a function for which too few steps were left.
#[cold]
pub(super) fn exceeded() -> ExecutionError {
    ExecutionError::function_error("@budget", "exceeded")
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_spent_while_an_allowance_is_lent_is_its_own() {
        let (outer, inner) = (Allowance::whole(), Allowance::whole());
        lend(&outer, || {
            assert!(spend(10).is_ok());
            lend(&inner, || {
                assert!(spend(300).is_ok());
                breach();
            });
            assert!(spend(1).is_ok());
        });
        assert_eq!(inner.spent().checked_sub(outer.spent()), Some(289));
        assert_eq!((outer.breached().is_some(), inner.breached().is_some()), (false, true));
        assert!(spend(0).is_err(), "nothing is lent");
    }
}
