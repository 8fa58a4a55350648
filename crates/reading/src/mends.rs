//! Protections that tests can switch off one by one, to show that `make attack` finds the gap which
//! each of them closes. That works only in a build with the feature `trap-for-tests`, which is
//! never shipped. In every other build each protection is on, and the compiler removes the check.

#[cfg(feature = "trap-for-tests")]
use std::sync::atomic::{AtomicU32, Ordering};

/// A protection, named by what an attacker could misuse without it. The value is the number of the
/// finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Blanks around a header's value.
    Blanks = 1,
    /// What cannot be read is never treated as missing.
    Unreadable = 2,
    /// What `Connection` may name besides an upgrade.
    Connection = 6,
    /// Trailers of names that a policy sets or removes.
    Trailers = 7,
    /// Every separator in a header's name is one to some origins, not only `_`.
    Separators = 8,
    /// No response passes before a request's body was judged.
    EarlyResponse = 9,
}

#[cfg(feature = "trap-for-tests")]
static OFF: AtomicU32 = AtomicU32::new(0);

/// Whether a protection is on.
#[inline(always)]
#[must_use]
pub fn is_on(mend: Mend) -> bool {
    #[cfg(feature = "trap-for-tests")]
    return OFF.load(Ordering::Relaxed) & (1 << mend as u32) == 0;
    #[cfg(not(feature = "trap-for-tests"))]
    {
        let _ = mend;
        true
    }
}

/// Switches the protections of these findings off, and all others on.
#[cfg(feature = "trap-for-tests")]
pub fn switch_off(findings: impl IntoIterator<Item = u32>) {
    let bits = findings
        .into_iter()
        .fold(0, |bits, finding| bits | 1_u32.checked_shl(finding).unwrap_or(0));
    OFF.store(bits, Ordering::Relaxed);
}
