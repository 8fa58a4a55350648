//! The evaluator: what an expression does beyond tests and texts in lowered form.
//!
//! A tree that has been checked, and into which `budget` has put its guards, is compiled once into
//! a [`Node`] (`compile`). Names have become places of variables and ids of attributes, functions
//! have been found, and what is literal is a value. It is evaluated (`evaluate`) over the message's
//! own bytes: a [`Value`] borrows what it can, and shares the rest. What an evaluation costs is
//! spent by the guards in the tree, and by functions for what they do.
//!
//! Tests compare it with the `cel` crate's interpreter, which evaluates the same guarded tree.

mod access;
mod compile;
mod each;
mod evaluate;
mod functions;
mod headers;
mod json;
mod map;
mod near;
mod operators;
mod results;
mod size;
mod value;

use std::sync::Arc;

pub(crate) use self::compile::Named;
pub(crate) use self::evaluate::Run;
use self::functions::Function;
pub(crate) use self::json::write_single;
pub(crate) use self::map::Map;
pub(crate) use self::size::{MAX_NESTING, of as size_of};
pub(crate) use self::value::{Bytes, Str, Value};
use super::attributes::{Attributes, Id};
use super::lowered::Comparison;
use super::meter::Allowance;
use super::regex::Compiled;
use super::time::{Field, Zone};
use super::variables::Variable;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program {
    root: Node,
    /// How many variables its macros have.
    places: usize,
    /// What `cel.bind` and its like give names to. It is evaluated when it is first read.
    bound: Vec<Node>,
}

#[cfg(test)]
impl Program {
    /// The program of a value.
    pub(crate) fn literal(value: Value<'static>) -> Program {
        Program { root: Node::Literal(value), places: 0, bound: Vec::new() }
    }
}

/// A part of a compiled expression.
#[derive(Debug)]
enum Node {
    Literal(Value<'static>),
    /// A variable of a loop, by its place.
    Local(usize),
    /// What has a name that is evaluated when it is first read, by the place of the name.
    Within(usize, Box<Node>),
    /// A variable that is evaluated when it is first read: its place, and the index of what it is.
    Bound(usize, usize),
    /// A compiled pattern, by its index.
    Pattern(usize),
    /// A variable of the configuration, by its index among those that are read.
    Variable(usize),
    /// An attribute that holds no other.
    Attribute(Id),
    /// An attribute at the root of names, such as `source`.
    Object(&'static str),
    /// `has` of bytes.
    HasBytes(Id),
    /// Data, or an empty map where there is none.
    DataOrEmpty(Id),
    /// A field of data.
    DataField(Id, Box<str>),
    /// The value of a header: whose, and its name.
    Header(Id, Box<str>),
    /// A field of a value.
    Field(Box<Node>, Box<str>),
    /// `has(value.field)`
    Has(Box<Node>, Box<str>),
    /// `value[index]`; with the flag, `value[?index]`.
    Index(Box<[Node; 2]>, bool),
    /// `value.?field`
    OptionalField(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    /// True for an error, too.
    NotStrictlyFalse(Box<Node>),
    /// `==`, or with the flag, `!=`.
    Equal(Box<[Node; 2]>, bool),
    /// The same where the type of only one operand is known when the configuration loads.
    EqualAny(Box<[Node; 2]>, bool),
    Order(Comparison, Box<[Node; 2]>),
    /// The same where the type of an operand is known only at a request.
    OrderAny(Comparison, Box<[Node; 2]>),
    In(Box<[Node; 2]>, operators::Membership),
    /// `+`; with the flag, bounded and charged for.
    Add(Box<[Node; 2]>, bool),
    Calculate(operators::Operator, Box<[Node; 2]>),
    Negate(Box<Node>),
    /// A list, in which optional elements are flagged.
    List(Box<[(Node, bool)]>),
    /// A map: keys, values, and whether they are optional.
    Map(Box<[(Node, Node, bool)]>),
    Loop(Box<Loop>),
    /// The value of an optional, or something else if it has none: evaluated only then. With the
    /// flag, the whole is an optional itself.
    OrElse(Box<[Node; 2]>, bool),
    /// `fail` of a literal.
    Fail(Box<str>),
    Call(Function, Box<[Node]>),
    /// A call of `startsWith` or, with the flag, of `endsWith`.
    Affix(Function, Box<[Node]>, bool),
    /// A field of a timestamp in a time zone that is known when the configuration loads.
    TimeField(Box<(Function, Node, Field, Zone)>),
    /// Spends steps for what is read of the value.
    Read(usize, Box<Node>),
    /// Spends steps for a value that is kept.
    Made(Box<Node>),
    /// Spends steps for a value that is compared.
    Compared(Box<Node>),
    /// The range of a loop: spends steps for all turns.
    Range(u64, Box<Node>),
    /// Makes sure that a value is of one of these kinds, for this function or operator.
    Expect(value::Kinds, Box<str>, Box<Node>),
}

/// A loop over the elements of a list or the keys of a map.
#[derive(Debug)]
struct Loop {
    range: Node,
    /// The place of the element.
    element: usize,
    turn: Turn,
}

/// What a loop does at each turn.
#[derive(Debug)]
enum Turn {
    /// `exists`, whose value is decisive if it is true; with `false`, `all`.
    Decide(bool, Node),
    /// `exists_one`
    CountTo1(Node),
    /// `map` and `filter`: the condition if there is one, and the elements that are appended.
    Collect(Option<Node>, Box<[(Node, bool)]>),
}

/// What an evaluation reads.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'p> {
    pub(crate) attributes: &'p dyn Attributes,
    pub(crate) allowance: &'p Allowance,
    pub(crate) patterns: &'p [Compiled],
    pub(crate) variables: &'p [Arc<Variable>],
}
