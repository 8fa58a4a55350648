//! Which outcomes a formula can have. Its parts are evaluated to the set of outcomes that they may
//! have. If several parts look at one value, the values that it may have are tried one by one.

use super::formula::{Formula, Relation, Subject, quoted};
use super::{Known, Settled, values};
use crate::attributes::{NAMESPACE, SERVICE_ACCOUNT, TRUST_DOMAIN};
use crate::cel::lowered::Comparison;
use crate::config::Combine;

/// It may be true.
pub(super) const TRUE: u8 = 1;
/// It may be false.
pub(super) const FALSE: u8 = 2;
/// It may fail.
pub(super) const ERROR: u8 = 4;
/// It may have any outcome.
pub(super) const ALL: u8 = TRUE | FALSE | ERROR;
/// The most parts of a rule in which a search is made for those that settle it.
const MAX_PARTS: usize = 12;

/// What a rule compares a value with.
#[derive(Debug, Default)]
pub(super) struct Domain<'t> {
    pub(super) literals: Vec<&'t str>,
    pub(super) prefixes: Vec<&'t str>,
    pub(super) numbers: Vec<i64>,
}

/// A value, or a set of values that the rule cannot tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'t> {
    Missing,
    NotUtf8,
    Exactly(&'t str),
    /// A text that equals none of the literals, starts with this prefix and with no longer one that
    /// the rule tests, and ends with this suffix.
    Other {
        prefix: &'t str,
        suffix: &'t str,
    },
    Number(i64),
}

#[derive(Debug)]
pub(super) struct Solver<'t> {
    subjects: Vec<(Subject<'t>, Vec<State<'t>>)>,
    identity: Option<usize>,
}

impl<'t> Solver<'t> {
    pub(super) fn new(subjects: Vec<(Subject<'t>, Domain<'t>)>, known: Known<'t>) -> Self {
        let identity =
            subjects.iter().position(|(subject, _)| matches!(subject, Subject::Identity));
        let of = |(subject, domain)| (subject, values::states(subject, domain, known));
        Solver { subjects: subjects.into_iter().map(of).collect(), identity }
    }

    /// The one outcome that the formulas have together, if there is one; nothing if finding it
    /// takes more evaluations than are `left`.
    pub(super) fn settled(
        &self,
        formulas: &[&Formula<'t>],
        combine: Combine,
        left: &mut usize,
    ) -> Option<Settled> {
        let decided = |parts: &[&Formula<'t>], combine, left: &mut usize| {
            Settled::of(self.outcomes(parts, combine, left)?)
        };
        let mut settled = decided(formulas, combine, left)?;
        // A rule that is just `true` or `false` is meant to be.
        if formulas.iter().all(|formula| matches!(formula, Formula::Outcomes(_))) {
            return None;
        }
        let mut parts = Vec::new();
        match (combine, formulas) {
            (Combine::All, _) if !settled.matches => {
                formulas.iter().for_each(|formula| flatten(formula, Combine::All, &mut parts))
            }
            (Combine::Any, _) if settled.matches => {
                formulas.iter().for_each(|formula| flatten(formula, Combine::Any, &mut parts))
            }
            (_, [formula]) if settled.matches => flatten(formula, Combine::Any, &mut parts),
            _ => {}
        }
        let combine = if settled.matches { Combine::Any } else { Combine::All };
        if parts.len() <= MAX_PARTS {
            let mut index = 0;
            while index < parts.len() && parts.len() > 1 {
                let part = parts.remove(index);
                if decided(&parts, combine, left)
                    .is_none_or(|without| without.matches != settled.matches)
                {
                    parts.insert(index, part);
                    index = index.saturating_add(1);
                }
            }
            settled.because = parts
                .iter()
                .map(|part| self.written(part))
                .collect::<Option<_>>()
                .unwrap_or_default();
        }
        Some(settled)
    }

    /// Whether all formulas can be true together; nothing if finding it takes more evaluations than
    /// are `left`.
    pub(super) fn can_be_true(&self, formulas: &[&Formula<'t>], left: &mut usize) -> Option<bool> {
        Some(self.outcomes(formulas, Combine::All, left)? & TRUE != 0)
    }

    /// Whether a formula is true, whatever the values are; nothing if finding it takes more
    /// evaluations than are `left`.
    pub(super) fn is_always_true(&self, formula: &Formula<'t>, left: &mut usize) -> Option<bool> {
        Some(self.outcomes(&[formula], Combine::All, left)? == TRUE)
    }

    /// The outcomes that formulas can have together.
    fn outcomes(
        &self,
        formulas: &[&Formula<'t>],
        combine: Combine,
        left: &mut usize,
    ) -> Option<u8> {
        let (order, assigned) = (self.order(formulas), vec![None; self.subjects.len()]);
        let mut search = Search { solver: self, formulas, combine, order, assigned };
        let mut found = 0;
        search.go(0, &mut found, left)?;
        Some(found)
    }

    /// The subjects whose values are tried one by one: those that several parts look at.
    fn order(&self, formulas: &[&Formula<'t>]) -> Vec<usize> {
        let mut asked = vec![0_usize; self.subjects.len()];
        formulas.iter().for_each(|formula| count(formula, &mut asked));
        let identity =
            self.identity.filter(|identity| asked.get(*identity).is_some_and(|asked| *asked > 0));
        let together = |index: usize| identity.is_some() && self.is_of_identity(index);
        let several = asked
            .iter()
            .enumerate()
            .filter(|(index, asked)| **asked > 1 || (**asked > 0 && together(*index)));
        let rest = several.map(|(index, _)| index).filter(|index| Some(*index) != identity);
        identity.into_iter().chain(rest).collect()
    }

    fn is_of_identity(&self, index: usize) -> bool {
        matches!(
            self.subjects.get(index),
            Some((Subject::Attribute(NAMESPACE | SERVICE_ACCOUNT | TRUST_DOMAIN), _))
        )
    }

    /// A part in the form in which it could be written, if it is simple.
    fn written(&self, formula: &Formula<'t>) -> Option<String> {
        let name =
            |index: &usize| self.subjects.get(*index).map(|(subject, _)| subject.to_string());
        Some(match formula {
            Formula::Outcomes(TRUE) => "true".to_owned(),
            Formula::Outcomes(FALSE) => "false".to_owned(),
            Formula::Not(part) => match &**part {
                Formula::Text { subject, fallback: None, relation: Relation::Equal(literal) } => {
                    format!("{} != {}", name(subject)?, quoted(literal))
                }
                part => format!("!{}", self.written(part)?),
            },
            Formula::Text { subject, fallback, relation } => {
                let name = match fallback {
                    Some(fallback) => format!("default({}, {})", name(subject)?, quoted(fallback)),
                    None => name(subject)?,
                };
                match relation {
                    Relation::Equal(literal) => format!("{name} == {}", quoted(literal)),
                    Relation::In(_) => format!("{name} in [...]"),
                    Relation::StartsWith(literal) => {
                        format!("{name}.startsWith({})", quoted(literal))
                    }
                    Relation::EndsWith(literal) => format!("{name}.endsWith({})", quoted(literal)),
                    Relation::Contains(literal) => format!("{name}.contains({})", quoted(literal)),
                    Relation::Other => return None,
                }
            }
            Formula::Number(subject, comparison, literal) => {
                format!("{} {} {literal}", name(subject)?, sign(*comparison))
            }
            Formula::Has(subject) => format!("has({})", name(subject)?),
            _ => return None,
        })
    }
}

/// The operands of a chain of `&&` or `||`.
fn flatten<'f, 't>(formula: &'f Formula<'t>, chain: Combine, parts: &mut Vec<&'f Formula<'t>>) {
    match (formula, chain) {
        (Formula::All(operands), Combine::All) | (Formula::Any(operands), Combine::Any) => {
            operands.iter().for_each(|operand| flatten(operand, chain, parts));
        }
        _ => parts.push(formula),
    }
}

/// How many parts look at each subject.
fn count(formula: &Formula<'_>, asked: &mut [usize]) {
    match formula {
        Formula::Outcomes(_) => {}
        Formula::Not(part) => count(part, asked),
        Formula::All(parts) | Formula::Any(parts) => {
            parts.iter().for_each(|part| count(part, asked))
        }
        Formula::If(parts) => parts.iter().for_each(|part| count(part, asked)),
        Formula::Default(parts) => parts.iter().for_each(|part| count(part, asked)),
        Formula::Text { subject, .. }
        | Formula::Number(subject, ..)
        | Formula::Has(subject)
        | Formula::Present(subject) => {
            if let Some(asked) = asked.get_mut(*subject) {
                *asked = asked.saturating_add(1);
            }
        }
    }
}

/// A search through the values.
struct Search<'s, 't> {
    solver: &'s Solver<'t>,
    formulas: &'s [&'s Formula<'t>],
    combine: Combine,
    order: Vec<usize>,
    assigned: Vec<Option<State<'t>>>,
}

impl<'t> Search<'_, 't> {
    /// Adds the outcomes that are possible from here to those found; nothing if the evaluations are
    /// used up.
    fn go(&mut self, depth: usize, found: &mut u8, left: &mut usize) -> Option<()> {
        let each = self.formulas.iter().map(|formula| self.outcomes(formula, left));
        let here = match self.combine {
            Combine::All => all(each, FALSE, TRUE),
            Combine::Any => all(each, TRUE, FALSE),
        };
        if *left == 0 {
            return None;
        }
        if here & !*found == 0 {
            return Some(());
        }
        let solver = self.solver;
        let Some((index, (_, states))) =
            self.order.get(depth).and_then(|index| Some((*index, solver.subjects.get(*index)?)))
        else {
            *found |= here;
            return Some(());
        };
        for state in states {
            if *state == State::Missing && self.has_identity() && solver.is_of_identity(index) {
                continue;
            }
            self.assign(index, Some(*state));
            self.go(depth.saturating_add(1), found, left)?;
            if *found & (TRUE | FALSE) == TRUE | FALSE {
                break;
            }
        }
        self.assign(index, None);
        Some(())
    }

    fn assign(&mut self, index: usize, state: Option<State<'t>>) {
        if let Some(assigned) = self.assigned.get_mut(index) {
            *assigned = state;
        }
    }

    fn identity(&self) -> Option<State<'t>> {
        self.solver.identity.and_then(|index| self.assigned.get(index).copied().flatten())
    }

    fn has_identity(&self) -> bool {
        self.identity().is_some_and(|state| state != State::Missing)
    }

    fn outcomes(&self, formula: &Formula<'t>, left: &mut usize) -> u8 {
        *left = left.saturating_sub(1);
        match formula {
            Formula::Outcomes(outcomes) => *outcomes,
            Formula::Not(part) => {
                let outcomes = self.outcomes(part, left);
                let when = |outcome, then| if outcomes & outcome == 0 { 0 } else { then };
                when(TRUE, FALSE) | when(FALSE, TRUE) | when(ERROR, ERROR)
            }
            Formula::All(parts) => {
                all(parts.iter().map(|part| self.outcomes(part, left)), FALSE, TRUE)
            }
            Formula::Any(parts) => {
                all(parts.iter().map(|part| self.outcomes(part, left)), TRUE, FALSE)
            }
            Formula::If(parts) => {
                let [condition, yes, no] = &**parts;
                let condition = self.outcomes(condition, left);
                let mut outcomes = condition & ERROR;
                if condition & TRUE != 0 {
                    outcomes |= self.outcomes(yes, left);
                }
                if condition & FALSE != 0 {
                    outcomes |= self.outcomes(no, left);
                }
                outcomes
            }
            Formula::Default(parts) => {
                let [value, fallback] = &**parts;
                let value = self.outcomes(value, left);
                if value & ERROR == 0 {
                    value
                } else {
                    (value & !ERROR) | self.outcomes(fallback, left)
                }
            }
            Formula::Text { subject, fallback, relation } => {
                self.over(*subject, left, |state| text(state, *fallback, *relation))
            }
            Formula::Number(subject, comparison, literal) => {
                self.over(*subject, left, |state| number(state, *comparison, *literal))
            }
            Formula::Has(subject) => self.over(*subject, left, |state| match state {
                State::Missing => FALSE,
                State::NotUtf8 => ERROR,
                _ => TRUE,
            }),
            Formula::Present(subject) => self
                .over(*subject, left, |state| if state == State::Missing { FALSE } else { TRUE }),
        }
    }

    /// The outcomes for a subject's value, or for all that it can be.
    fn over(&self, subject: usize, left: &mut usize, outcome: impl Fn(State<'t>) -> u8) -> u8 {
        let of_identity = self.solver.is_of_identity(subject);
        match self.identity() {
            Some(State::Missing) if of_identity => return outcome(State::Missing),
            _ => {}
        }
        if let Some(Some(state)) = self.assigned.get(subject) {
            return outcome(*state);
        }
        let mut outcomes = 0;
        for state in self.solver.subjects.get(subject).into_iter().flat_map(|(_, states)| states) {
            *left = left.saturating_sub(1);
            outcomes |= outcome(*state);
            if outcomes == ALL {
                break;
            }
        }
        outcomes
    }
}

/// `&&` if `decisive` is false, `||` if it is true. One decisive operand settles the result,
/// whatever the others are; without one, an error makes it an error.
fn all(parts: impl Iterator<Item = u8>, decisive: u8, otherwise: u8) -> u8 {
    let (mut settled, mut erring, mut none) = (0, 0, otherwise);
    for part in parts {
        settled |= part & decisive;
        erring |= part & ERROR;
        if part & otherwise == 0 {
            none = 0;
        }
        // If one operand is always decisive, there is no other outcome.
        if part == decisive {
            return decisive;
        }
    }
    settled | erring | none
}

fn text(state: State<'_>, fallback: Option<&str>, relation: Relation<'_>) -> u8 {
    let either = |is: bool| if is { TRUE } else { FALSE };
    match (state, fallback) {
        (State::Exactly(value), _) | (State::Missing | State::NotUtf8, Some(value)) => {
            match relation {
                Relation::Equal(literal) => either(value == literal),
                Relation::In(list) => either(list.iter().any(|literal| **literal == *value)),
                Relation::StartsWith(literal) => either(value.starts_with(literal)),
                Relation::EndsWith(literal) => either(value.ends_with(literal)),
                Relation::Contains(literal) => either(value.contains(literal)),
                Relation::Other => TRUE | FALSE,
            }
        }
        (State::Other { prefix, suffix }, _) => match relation {
            Relation::Equal(_) | Relation::In(_) => FALSE,
            Relation::StartsWith(literal) => either(prefix.starts_with(literal)),
            Relation::EndsWith(literal) if suffix.ends_with(literal) => TRUE,
            Relation::EndsWith(literal) if !literal.ends_with(suffix) => FALSE,
            Relation::Contains(literal) if prefix.contains(literal) || suffix.contains(literal) => {
                TRUE
            }
            Relation::EndsWith(_) | Relation::Contains(_) | Relation::Other => TRUE | FALSE,
        },
        (State::Missing | State::NotUtf8 | State::Number(_), _) => ERROR,
    }
}

fn number(state: State<'_>, comparison: Comparison, literal: i64) -> u8 {
    let State::Number(value) = state else { return ERROR };
    let holds = match comparison {
        Comparison::Equal => value == literal,
        Comparison::NotEqual => value != literal,
        Comparison::Less => value < literal,
        Comparison::LessOrEqual => value <= literal,
        Comparison::Greater => value > literal,
        Comparison::GreaterOrEqual => value >= literal,
    };
    if holds { TRUE } else { FALSE }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}
