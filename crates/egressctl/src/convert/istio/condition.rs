//! A condition of a rule: a field with its values.

use super::expression::Test;

/// One value of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// It holds whatever the request.
    Always,
    /// The left side equals this literal.
    Is(String, String),
    /// A call, or what else is negated by a `!` before it.
    Holds(String),
    /// Any of these terms is not enough: both must hold.
    Both(Box<Term>, Box<Term>),
}

/// Of the terms one must hold; of a negated condition, none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) terms: Vec<Term>,
    pub(super) negated: bool,
}

impl Condition {
    pub(super) fn test(&self) -> Test {
        let any = Test::Any(alternatives(&self.terms));
        if self.negated { Test::Not(Box::new(any)) } else { any }
    }

    /// Two conditions of which one holds exactly when this one does, where its terms can be parted.
    pub(super) fn halves(&self) -> Option<[Condition; 2]> {
        if self.negated || self.terms.len() < 2 {
            return None;
        }
        let (first, second) = self.terms.split_at(self.terms.len().div_ceil(2));
        let of = |terms: &[Term]| Condition { terms: terms.to_vec(), negated: false };
        Some([of(first), of(second)])
    }

    /// How much there is of it.
    pub(super) fn size(&self) -> usize {
        self.test().to_line().len()
    }
}

/// The terms as tests; literals that one thing is compared with are put in one list.
fn alternatives(terms: &[Term]) -> Vec<Test> {
    let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut others = Vec::new();
    for term in terms {
        match term {
            Term::Is(subject, literal) => {
                match lists.iter_mut().find(|(other, _)| other == subject) {
                    Some((_, literals)) => literals.push(literal),
                    None => lists.push((subject, vec![literal])),
                }
            }
            other => others.push(other.test()),
        }
    }
    let lists = lists.into_iter().map(|(subject, literals)| match literals.as_slice() {
        [literal] => Test::Is(subject.to_owned(), (*literal).to_owned()),
        _ => Test::In(subject.to_owned(), literals.join(", ")),
    });
    lists.chain(others).collect()
}

impl Term {
    fn test(&self) -> Test {
        match self {
            Term::Always => Test::Call("true".to_owned()),
            Term::Is(subject, literal) => Test::Is(subject.clone(), literal.clone()),
            Term::Holds(call) => Test::Call(call.clone()),
            Term::Both(first, second) => Test::All(vec![first.test(), second.test()]),
        }
    }
}
