//! A lowered rule as a formula over the values that it compares.

use std::fmt;

use super::solve::{ALL, Domain, FALSE, Solver, TRUE};
use super::{Known, Side, times, values};
use crate::attributes::{self, IDENTITY, REQUEST_HEADERS};
use crate::cel::attributes::Id;
use crate::cel::lowered::{Comparison, Number, Test, Text};
use crate::config::Combine;
use egress_reading::name::same_to_some_origin;

/// The most values of one rule that are tracked. Comparisons of others count as if they could have
/// any outcome.
const MAX_SUBJECTS: usize = 32;
/// The most warnings about the parts of one expression; those of one list may exceed it.
const MAX_OBJECTIONS: usize = 8;

/// Something with a value that a rule compares.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'t> {
    Attribute(Id),
    Header(&'t str),
    Number(Id),
    /// `source.identity`, which is present or not.
    Identity,
}

/// A test of a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation<'t> {
    Equal(&'t str),
    In(&'t [Box<str>]),
    StartsWith(&'t str),
    EndsWith(&'t str),
    Contains(&'t str),
    /// A test that has the same result for every text.
    Other,
}

#[derive(Debug)]
pub(super) enum Formula<'t> {
    /// One of these outcomes.
    Outcomes(u8),
    Not(Box<Formula<'t>>),
    All(Vec<Formula<'t>>),
    Any(Vec<Formula<'t>>),
    If(Box<[Formula<'t>; 3]>),
    Default(Box<[Formula<'t>; 2]>),
    Text {
        subject: usize,
        /// The text that stands in if there is none.
        fallback: Option<&'t str>,
        relation: Relation<'t>,
    },
    Number(usize, Comparison, i64),
    /// `has(...)`
    Has(usize),
    /// `... in request.headers`
    Present(usize),
}

impl PartialEq for Subject<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Subject::Attribute(a), Subject::Attribute(b)) => a == b,
            (Subject::Number(a), Subject::Number(b)) => a == b,
            (Subject::Identity, Subject::Identity) => true,
            (Subject::Header(a), Subject::Header(b)) => {
                same_to_some_origin(a.as_bytes(), b.as_bytes())
            }
            _ => false,
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Attribute(attribute) => f.write_str(attributes::name(*attribute)),
            Subject::Header(name) => write!(f, "request.headers[{}]", quoted(name)),
            Subject::Number(attribute) => f.write_str(attributes::name(*attribute)),
            Subject::Identity => f.write_str("source.identity"),
        }
    }
}

/// A literal as it could be written, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

/// Reads rules, and keeps what they compare.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    known: Known<'t>,
    subjects: Vec<(Subject<'t>, Domain<'t>)>,
    objections: Vec<String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(known: Known<'t>) -> Self {
        Reader { known, subjects: Vec::new(), objections: Vec::new() }
    }

    /// The impossible comparisons that were found since this was last taken.
    pub(super) fn take_objections(&mut self) -> Vec<String> {
        std::mem::take(&mut self.objections)
    }

    pub(super) fn into_solver(self) -> Solver<'t> {
        Solver::new(self.subjects, self.known)
    }

    /// All expressions of a rule as one formula; none if one of them is no rule.
    pub(super) fn whole(&mut self, rule: Side<'t>) -> Option<Formula<'t>> {
        let parts = rule.expressions.iter().map(|part| Some(self.read(part.rule()?)));
        let parts = parts.collect::<Option<_>>()?;
        Some(match rule.combine {
            Combine::All => Formula::All(parts),
            Combine::Any => Formula::Any(parts),
        })
    }

    pub(super) fn read(&mut self, test: &'t Test) -> Formula<'t> {
        match test {
            Test::Literal(value) => Formula::Outcomes(if *value { TRUE } else { FALSE }),
            Test::Not(part) => Formula::Not(Box::new(self.read(part))),
            Test::All(parts) => Formula::All(parts.iter().map(|part| self.read(part)).collect()),
            Test::Any(parts) => Formula::Any(parts.iter().map(|part| self.read(part)).collect()),
            Test::If(parts) => Formula::If(Box::new(parts.each_ref().map(|part| self.read(part)))),
            Test::Default(parts) => {
                Formula::Default(Box::new(parts.each_ref().map(|part| self.read(part))))
            }
            Test::Equal(left, right) => self.equal(left, right),
            Test::NotEqual(left, right) => Formula::Not(Box::new(self.equal(left, right))),
            Test::In(text, list) => self.text(text, Relation::In(list)),
            Test::StartsWith(text, part) => self.about_part(text, part, Relation::StartsWith),
            Test::EndsWith(text, part) => self.about_part(text, part, Relation::EndsWith),
            Test::Contains(text, part) => self.about_part(text, part, Relation::Contains),
            Test::Matches(text, _) => self.text(text, Relation::Other),
            Test::Number(comparison, Number::Attribute(attribute), Number::Literal(literal)) => {
                self.number(*attribute, *comparison, *literal)
            }
            Test::Number(comparison, Number::Literal(literal), Number::Attribute(attribute)) => {
                self.number(*attribute, comparison.flipped(), *literal)
            }
            Test::Number(..) | Test::NumberIn(..) => {
                self.objections.extend(times::objections(test));
                Formula::Outcomes(ALL)
            }
            Test::HasHeader(REQUEST_HEADERS, name) => {
                self.about(Subject::Header(name), Formula::Has)
            }
            Test::HeaderIsIn(REQUEST_HEADERS, name) => {
                self.about(Subject::Header(name), Formula::Present)
            }
            Test::HasText(attribute) => self.about(Subject::Attribute(*attribute), Formula::Has),
            Test::HasObject(IDENTITY) => self.about(Subject::Identity, Formula::Has),
            Test::Variable(variable) => {
                variable.test().map_or(Formula::Outcomes(ALL), |test| self.read(test))
            }
            _ => Formula::Outcomes(ALL),
        }
    }

    /// A test of a text for a part of it.
    fn about_part(
        &mut self,
        text: &'t Text,
        part: &'t Text,
        relation: impl Fn(&'t str) -> Relation<'t>,
    ) -> Formula<'t> {
        match part.written_out() {
            Text::Literal(literal) => self.text(text, relation(literal)),
            _ => Formula::Outcomes(ALL),
        }
    }

    fn equal(&mut self, left: &'t Text, right: &'t Text) -> Formula<'t> {
        match (left.written_out(), right.written_out()) {
            (Text::Literal(left), Text::Literal(right)) => {
                Formula::Outcomes(if left == right { TRUE } else { FALSE })
            }
            (text, Text::Literal(literal)) | (Text::Literal(literal), text) => {
                self.text(text, Relation::Equal(literal))
            }
            _ => Formula::Outcomes(ALL),
        }
    }

    fn text(&mut self, text: &'t Text, relation: Relation<'t>) -> Formula<'t> {
        let (text, fallback) = match text.written_out() {
            Text::Default(parts) => match parts.each_ref().map(Text::written_out) {
                [text, Text::Literal(fallback)] => (text, Some(&**fallback)),
                _ => return Formula::Outcomes(ALL),
            },
            text => (text, None),
        };
        let subject = match text {
            Text::Attribute(attribute) => Subject::Attribute(*attribute),
            Text::Header(REQUEST_HEADERS, name) => Subject::Header(name),
            _ => return Formula::Outcomes(ALL),
        };
        if self.objections.len() < MAX_OBJECTIONS {
            self.objections.extend(values::objections(subject, fallback, relation, self.known));
        }
        let Some(position) = self.subject(subject) else { return Formula::Outcomes(ALL) };
        if let Some((_, domain)) = self.subjects.get_mut(position) {
            match relation {
                Relation::Equal(literal) => domain.literals.push(literal),
                Relation::In(list) => domain.literals.extend(list.iter().map(|literal| &**literal)),
                Relation::StartsWith(prefix) => domain.prefixes.push(prefix),
                Relation::EndsWith(_) | Relation::Contains(_) | Relation::Other => {}
            }
        }
        Formula::Text { subject: position, fallback, relation }
    }

    fn number(&mut self, attribute: Id, comparison: Comparison, literal: i64) -> Formula<'t> {
        self.objections.extend(values::number_objection(attribute, comparison, literal));
        let Some(position) = self.subject(Subject::Number(attribute)) else {
            return Formula::Outcomes(ALL);
        };
        if let Some((_, domain)) = self.subjects.get_mut(position) {
            domain.numbers.extend([literal.saturating_sub(1), literal, literal.saturating_add(1)]);
        }
        Formula::Number(position, comparison, literal)
    }

    fn about(
        &mut self,
        subject: Subject<'t>,
        formula: impl Fn(usize) -> Formula<'t>,
    ) -> Formula<'t> {
        self.subject(subject).map_or(Formula::Outcomes(ALL), formula)
    }

    /// The position of a subject, if there is room for it.
    fn subject(&mut self, subject: Subject<'t>) -> Option<usize> {
        let found = self.subjects.iter().position(|(known, _)| *known == subject);
        found.or_else(|| {
            let position = self.subjects.len();
            (position < MAX_SUBJECTS).then(|| {
                self.subjects.push((subject, Domain::default()));
                position
            })
        })
    }
}
