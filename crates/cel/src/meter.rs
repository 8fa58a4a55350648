//! What a message may cost, what it has cost so far, and whether it exceeded a limit or contained
//! something unreadable.
//!
//! Every evaluation spends steps, according to what it reads and does. A step stands for about
//! eight hundred instructions of the module. A [`Meter`] belongs to one message, a request or the
//! response to one, and holds [`MAX_REQUEST_STEPS`]. Each rule, and each header's value, spends
//! from an [`Allowance`] of [`MAX_STEPS`], or of what the message has left.
//!
//! An expression may catch its own errors: by `default`, by `||`, by an optional, by a policy's
//! `onError: Ignore`. But an error that a caller causes by exceeding a limit, or by sending what
//! cannot be read, must not be caught: otherwise the caller could evade a Deny with it. Such an
//! error is a breach. The allowance remembers it, and the code that evaluates the rule checks for
//! it afterwards, whatever the expression returned.

use std::cell::Cell;

use egress_reading::mends::{self, Mend};

use super::limits::{MAX_REQUEST_STEPS, MAX_STEPS};

/// The message for an evaluation that exceeded a limit, if there is no other.
const PASSED: &str = "the request passes a limit";
/// The message for one that met something unreadable, if there is no other.
pub(crate) const UNREADABLE: &str = "the request cannot be read";

/// How many bytes that are read, copied or compared cost a step.
pub(super) const BYTES_A_STEP: usize = 64;
/// The steps for evaluating any rule, whatever is in it.
const RULE: u64 = 2;

/// The steps that one message has left for its rules and header values.
///
/// Shadow policies are evaluated with a meter of their own, because they must not use up the steps
/// of those that are enforced.
#[derive(Debug)]
pub struct Meter {
    left: Cell<u64>,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}

impl Meter {
    /// The meter of a message for which nothing has been evaluated yet.
    #[must_use]
    pub const fn new() -> Meter {
        Meter { left: Cell::new(MAX_REQUEST_STEPS) }
    }

    /// A meter of its own for what is evaluated beside the decision.
    #[must_use]
    pub const fn of(steps: u64) -> Meter {
        Meter { left: Cell::new(steps) }
    }

    /// Evaluates one rule, or one header's value, with an allowance from the message's steps.
    #[inline]
    pub fn rule<T>(&self, run: impl FnOnce(&Allowance) -> T) -> T {
        let left = self.left.get();
        let allowance = Allowance::of(left.min(MAX_STEPS));
        let result = run(&allowance);
        self.left.set(left.saturating_sub(allowance.spent.get()));
        result
    }

    /// Spends what a rule costs that took so many steps; nothing if they would not suffice for it.
    #[must_use]
    pub fn pay_for_rule(&self, steps: u64) -> bool {
        let (left, steps) = (self.left.get(), steps.saturating_add(RULE));
        let suffices = steps <= left.min(MAX_STEPS);
        if suffices {
            self.left.set(left.saturating_sub(steps));
        }
        suffices
    }

    /// Spends steps for work outside of rules, such as searching header lines of so many bytes.
    pub fn spend_on(&self, bytes: usize, bytes_a_step: usize) {
        let steps = units(bytes, bytes_a_step).saturating_add(RULE);
        self.left.set(self.left.get().saturating_sub(steps));
    }

    /// Whether the message has no steps left for another rule.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }
}

/// The steps that one rule, or one header's value, may spend, and whether it met a breach.
#[derive(Debug)]
pub struct Allowance {
    limit: Cell<u64>,
    /// The steps spent so far; more than the limit once something could not be paid for.
    spent: Cell<u64>,
    breach: Cell<Option<&'static str>>,
}

impl Allowance {
    /// An allowance for a rule that is evaluated outside of a message.
    #[must_use]
    pub const fn whole() -> Allowance {
        Allowance::of(MAX_STEPS)
    }

    /// An allowance without any steps.
    pub(super) const fn empty() -> Allowance {
        Allowance::of(0)
    }

    const fn of(limit: u64) -> Allowance {
        Allowance { limit: Cell::new(limit), spent: Cell::new(RULE), breach: Cell::new(None) }
    }

    /// Swaps the contents of two allowances.
    pub(super) fn swap(&self, other: &Allowance) {
        self.limit.swap(&other.limit);
        self.spent.swap(&other.spent);
        self.breach.swap(&other.breach);
    }

    /// Spends some steps, and returns whether there were enough.
    #[inline]
    pub fn spend(&self, steps: u64) -> bool {
        let (spent, limit) = (self.spent.get().saturating_add(steps), self.limit.get());
        if spent <= limit {
            self.spent.set(spent);
            return true;
        }
        // A rule pays at most its own limit. If the message has more steps left, other rules can
        // still be evaluated.
        self.spent.set(limit.saturating_add(1));
        self.breach();
        false
    }

    /// Spends the steps for reading so many bytes, and returns whether there were enough.
    #[inline]
    pub fn spend_on(&self, bytes: usize, bytes_a_step: usize) -> bool {
        bytes < bytes_a_step || self.spend(units(bytes, bytes_a_step))
    }

    /// Whether the steps did not suffice.
    pub(super) fn is_exceeded(&self) -> bool {
        self.spent.get() > self.limit.get()
    }

    /// Notes that the message exceeds a limit.
    pub fn breach(&self) {
        self.breach.set(Some(PASSED));
    }

    /// Notes that something is present that cannot be read, so that it is never treated as missing.
    #[cold]
    pub fn unreadable(&self) {
        if mends::is_on(Mend::Unreadable) && self.breach.get().is_none() {
            self.breach.set(Some(UNREADABLE));
        }
    }

    /// The breach, if the message exceeded a limit or contained something unreadable.
    #[must_use]
    pub fn breached(&self) -> Option<&'static str> {
        self.breach.get()
    }

    /// How many steps were spent.
    #[cfg(test)]
    pub(crate) fn spent(&self) -> u64 {
        self.spent.get()
    }
}

/// How many steps some bytes cost.
pub(super) fn units(bytes: usize, bytes_a_step: usize) -> u64 {
    bytes.checked_div(bytes_a_step).and_then(|units| u64::try_from(units).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_message_pays_for_its_rules_until_it_has_nothing_left() {
        let meter = Meter::new();
        let mut rules = 0_u64;
        while !meter.is_exhausted() {
            meter.rule(|allowance| {
                assert!(allowance.spend(1_000));
                assert!(!allowance.spend(MAX_STEPS), "more than the rule may spend");
                assert_eq!(allowance.breached(), Some(PASSED));
            });
            rules = rules.saturating_add(1);
        }
        assert_eq!(rules, MAX_REQUEST_STEPS.div_euclid(MAX_STEPS));
        assert!(!meter.rule(|allowance| allowance.spend(0)), "there is nothing left");
    }

    #[test]
    fn a_breach_is_of_its_rule_alone() {
        let meter = Meter::new();
        meter.rule(Allowance::unreadable);
        assert_eq!(meter.rule(Allowance::breached), None);
        meter.rule(|allowance| {
            allowance.unreadable();
            assert_eq!(allowance.breached(), Some(UNREADABLE));
            allowance.breach();
            allowance.unreadable();
            assert_eq!(allowance.breached(), Some(PASSED), "a limit counts for more");
        });
    }
}
