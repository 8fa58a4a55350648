//! The form that common expressions are lowered to. It is evaluated over the request's own bytes,
//! without allocation, and the index and the linter can examine it.

mod position;

use std::cmp::Ordering;
use std::sync::Arc;

pub use self::position::position_of;
use super::attributes::Id;
use super::program::Program;
use super::time::{Field, Timestamp, Zone};
use super::variables::Variable;

/// An expression whose value is a bool.
#[derive(Debug, Clone)]
pub enum Test {
    /// `true` or `false`.
    Literal(bool),
    /// `!` of it.
    Not(Box<Test>),
    /// `&&` of all.
    All(Vec<Test>),
    /// `||` of all.
    Any(Vec<Test>),
    /// The second if the first is true, else the third.
    If(Box<[Test; 3]>),
    /// The first, or the second if the first fails.
    Default(Box<[Test; 2]>),
    /// `==` of strings.
    Equal(Text, Text),
    /// `!=` of strings.
    NotEqual(Text, Text),
    /// A comparison of ints.
    Number(Comparison, Number, Number),
    /// A comparison of timestamps.
    Time(Comparison, Box<[Time; 2]>),
    /// `a.startsWith(b)`
    StartsWith(Text, Text),
    /// `a.endsWith(b)`
    EndsWith(Text, Text),
    /// `a.contains(b)`
    Contains(Text, Text),
    /// `in` a list of these, which are sorted.
    In(Text, Arc<[Box<str>]>),
    /// `in` a list of these ints, which are sorted.
    NumberIn(Number, Vec<i64>),
    /// `matches` the expression's pattern of this index.
    Matches(Text, usize),
    /// `"name" in request.headers`
    HeaderIsIn(Id, Box<str>),
    /// `has(request.headers.name)`
    HasHeader(Id, Box<str>),
    /// `has(request.path)`
    HasText(Id),
    /// `has(source.identity)`
    HasObject(Id),
    /// A variable whose value is a bool.
    Variable(Arc<Variable>),
    /// Anything else.
    Interpreted(Interpreted),
}

/// An expression whose value is a string.
#[derive(Debug, Clone)]
pub enum Text {
    /// A literal.
    Literal(Box<str>),
    /// A string attribute.
    Attribute(Id),
    /// A header's value: whose, and its name.
    Header(Id, Box<str>),
    /// `+` of all.
    Concat(Vec<Text>),
    /// The first, or the second if the first fails.
    Default(Box<[Text; 2]>),
    /// The first string if the test is true, else the second.
    If(Box<(Test, Text, Text)>),
    /// `string(...)` of a number.
    FromNumber(Number),
    /// A variable whose value is a string.
    Variable(Arc<Variable>),
    /// `string(...)` of a timestamp attribute.
    FromTime(Id),
    /// `string(...)` of an attribute that is bytes.
    FromBytes(Id),
}

/// An expression whose value is an int.
#[derive(Debug, Clone)]
pub enum Number {
    /// A literal.
    Literal(i64),
    /// An int attribute.
    Attribute(Id),
    /// A field of a timestamp attribute, in a time zone.
    Field(Box<(Id, Field, Zone)>),
}

/// An expression whose value is a timestamp.
#[derive(Debug, Clone, Copy)]
pub enum Time {
    /// `timestamp(...)` of a literal.
    Literal(Timestamp),
    /// A timestamp attribute.
    Attribute(Id),
}

/// A part of a rule that has no lowered form. Nothing else looks into it.
#[derive(Debug, Clone)]
pub struct Interpreted(pub(super) Arc<Program>);

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The comparison with its operands the other way round.
    #[must_use]
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same @ (Comparison::Equal | Comparison::NotEqual) => same,
        }
    }

    /// Whether it holds of operands in this order.
    #[must_use]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Test {
    /// Whether any of it has no lowered form.
    pub(super) fn is_interpreted(&self) -> bool {
        match self {
            Test::Interpreted(_) => true,
            Test::Not(part) => part.is_interpreted(),
            Test::All(parts) | Test::Any(parts) => parts.iter().any(Test::is_interpreted),
            Test::If(parts) => parts.iter().any(Test::is_interpreted),
            Test::Default(parts) => parts.iter().any(Test::is_interpreted),
            Test::Equal(left, right)
            | Test::NotEqual(left, right)
            | Test::StartsWith(left, right)
            | Test::EndsWith(left, right)
            | Test::Contains(left, right) => left.is_interpreted() || right.is_interpreted(),
            Test::In(text, _) | Test::Matches(text, _) => text.is_interpreted(),
            Test::Literal(_)
            | Test::Number(..)
            | Test::Time(..)
            | Test::NumberIn(..)
            | Test::HeaderIsIn(..)
            | Test::HasHeader(..)
            | Test::HasText(_)
            | Test::HasObject(_)
            // It pays for itself.
            | Test::Variable(_) => false,
        }
    }
}

impl Text {
    /// Whether any of it, which is a condition then, has no lowered form.
    pub(super) fn is_interpreted(&self) -> bool {
        match self {
            Text::Concat(parts) => parts.iter().any(Text::is_interpreted),
            Text::Default(parts) => parts.iter().any(Text::is_interpreted),
            Text::If(parts) => {
                let (condition, yes, no) = &**parts;
                condition.is_interpreted() || yes.is_interpreted() || no.is_interpreted()
            }
            Text::Literal(_)
            | Text::Attribute(_)
            | Text::Header(..)
            | Text::FromNumber(_)
            | Text::FromTime(_)
            | Text::FromBytes(_)
            | Text::Variable(_) => false,
        }
    }

    /// The text itself, or if it is a variable, the lowered form of the variable's expression.
    #[must_use]
    pub fn written_out(&self) -> &Text {
        let mut text = self;
        while let Text::Variable(variable) = text {
            let Some(inner) = variable.text() else { break };
            text = inner;
        }
        text
    }
}
