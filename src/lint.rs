//! Finds, when a configuration loads, rules that can never match or always do.
//!
//! The findings are proofs: everything that is not understood (another subexpression, a pattern, an
//! error) counts as if it could have any outcome. Whether a rule has several outcomes is tried on
//! values that stand for all: those that the rule itself names, and for the rest, one for each
//! prefix that it tests.

mod formula;
mod solve;
#[cfg(test)]
mod tests;
mod times;
mod values;

use crate::cel::lowered::position_of;
use crate::cel::{Expression, Scope};
use crate::config::{Combine, HostPattern};
use formula::Reader;
use solve::{ERROR, FALSE, TRUE};

/// What is known of every request for which a rule is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'c> {
    /// The hosts that the policy is for; empty for all.
    pub(crate) hosts: &'c [HostPattern],
    /// The trust domains that are accepted; empty for all.
    pub(crate) trust_domains: &'c [String],
    /// Path safety is strict for all of those hosts.
    pub(crate) strict_paths: bool,
}

/// The findings about a rule's expressions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// By the position of an expression: what is impossible in its parts.
    pub(crate) parts: Vec<(usize, String)>,
    /// By the position of an expression: its one outcome, where other expressions still decide the
    /// rule.
    pub(crate) expressions: Vec<(usize, Settled)>,
    /// The one outcome of the rule as a whole.
    pub(crate) rule: Option<Settled>,
}

/// The one outcome of a rule or expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Whether it matches.
    pub(crate) matches: bool,
    /// Whether it may fail instead.
    pub(crate) may_err: bool,
    /// The parts that settle it, in the form in which they could be written.
    pub(crate) because: Vec<String>,
}

/// The evaluations that one configuration may take, and how many are left.
#[derive(Debug)]
pub(crate) struct Work {
    left: usize,
}

/// The most evaluations of a part of one rule; beyond that, nothing is found.
const MAX_WORK: usize = 8_000;
/// The most evaluations for all rules together.
const MAX_TOTAL_WORK: usize = 8_000_000;

impl Default for Work {
    fn default() -> Self {
        Work { left: MAX_TOTAL_WORK }
    }
}

impl Work {
    /// How many evaluations the next rule may take.
    fn share(&mut self) -> usize {
        self.left.min(MAX_WORK)
    }

    /// Runs a search that is given how many evaluations it may take. It finds nothing if it takes
    /// more.
    fn spend(&mut self, search: impl FnOnce(&mut usize) -> Option<bool>) -> bool {
        let mut left = self.share();
        let before = left;
        let found = search(&mut left);
        self.use_up(before.saturating_sub(left));
        found.unwrap_or(false)
    }

    fn use_up(&mut self, used: usize) {
        self.left = self.left.saturating_sub(used);
    }
}

/// Analyses the expressions of a rule.
pub(crate) fn examine(
    expressions: &[Expression],
    combine: Combine,
    known: Known<'_>,
    work: &mut Work,
) -> Findings {
    let mut findings = Findings::default();
    let mut reader = Reader::new(known);
    let mut formulas = Vec::with_capacity(expressions.len());
    for (position, expression) in expressions.iter().enumerate() {
        let Some(test) = expression.rule() else { return findings };
        formulas.push(reader.read(test));
        for message in reader.take_objections() {
            let found = (position, message);
            if !findings.parts.contains(&found) {
                findings.parts.push(found);
            }
        }
    }
    // If a part is impossible and the whole is settled, the one causes the other: one warning is
    // enough.
    if !findings.parts.is_empty() {
        return findings;
    }
    let solver = reader.into_solver();
    let mut settled_by = |parts: &[&formula::Formula<'_>], combine: Combine| {
        let mut left = work.share();
        let before = left;
        let found = solver.settled(parts, combine, &mut left);
        work.use_up(before.saturating_sub(left));
        found
    };
    if let [only] = formulas.as_slice() {
        findings.rule = settled_by(&[only], Combine::All);
        return findings;
    }
    for (position, formula) in formulas.iter().enumerate() {
        if let Some(settled) = settled_by(&[formula], Combine::All) {
            findings.expressions.push((position, settled));
        }
    }
    if findings.expressions.is_empty() {
        findings.rule = settled_by(&formulas.iter().collect::<Vec<_>>(), combine);
    }
    findings
}

/// Line and column, from 1 and in characters, of the first part of a source that a message of
/// [`Findings::parts`] is about.
pub(crate) fn point_of(
    scope: Scope<'_>,
    source: &str,
    message: &str,
    known: Known<'_>,
) -> Option<(usize, usize)> {
    position_of(scope, source, |test| {
        let mut reader = Reader::new(known);
        reader.read(test);
        reader.take_objections().iter().any(|found| found == message)
    })
}

impl Settled {
    fn of(outcomes: u8) -> Option<Settled> {
        let may_err = outcomes & ERROR != 0;
        match outcomes & (TRUE | FALSE) {
            TRUE => Some(Settled { matches: true, may_err, because: Vec::new() }),
            FALSE => Some(Settled { matches: false, may_err, because: Vec::new() }),
            _ => None,
        }
    }
}

/// The expressions of a rule, and how they combine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'e> {
    pub(crate) expressions: &'e [Expression],
    pub(crate) combine: Combine,
}

/// Whether one rule matches every request that another matches, or fails for it. Nothing is known
/// of a rule that matches nothing by itself.
pub(crate) fn is_covered(rule: Side<'_>, by: Side<'_>, known: Known<'_>, work: &mut Work) -> bool {
    let mut reader = Reader::new(known);
    let (Some(inner), Some(outer)) = (reader.whole(rule), reader.whole(by)) else { return false };
    let solver = reader.into_solver();
    let outside = formula::Formula::Not(Box::new(outer));
    work.spend(|left| {
        Some(
            solver.can_be_true(&[&inner], left)?
                && !solver.can_be_true(&[&inner, &outside], left)?,
        )
    })
}

/// Whether a rule matches every request.
pub(crate) fn is_always_true(rule: Side<'_>, known: Known<'_>, work: &mut Work) -> bool {
    let mut reader = Reader::new(known);
    let Some(formula) = reader.whole(rule) else { return false };
    let solver = reader.into_solver();
    work.spend(|left| solver.is_always_true(&formula, left))
}
