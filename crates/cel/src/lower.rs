//! Lowering: which expressions become [`Test`]s and [`Text`]s, and how.
//!
//! Comparisons of attributes, headers and literals, `startsWith` and its like, `in` a list of
//! literals, `matches` with a literal pattern, `has`, fields of a timestamp, boolean logic,
//! conditionals, `default` and concatenation are lowered; every other subexpression is compiled
//! by `program`.
//! Both return the same value, or both an error (`tests/lowering.rs` compares them): lowering is a
//! shortcut, and no language of its own.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators as op};

use super::attributes::{Id, Kind, Table};
use super::budget;
use super::check::string_literal;
use super::literals::int_literal;
use super::lowered::{Comparison, Interpreted, Number, Test, Text, Time};
use super::program::Program;
use super::sort;
use super::time::{Field, Timestamp, Zone};
use super::variables::{self, Variable};

/// Lowers the expressions of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lowering<'v> {
    pub(super) table: &'static Table,
    /// The variables that the expression reads.
    pub(super) variables: &'v [Arc<Variable>],
    /// The nodes that are the literals of variables.
    pub(super) constants: &'v [(u64, &'v Arc<Variable>)],
}

impl Lowering<'_> {
    /// Lowers an expression whose value is a bool, as far as possible. Guards are put into what is
    /// left to `program`.
    pub(super) fn test(self, node: &IdedExpr) -> Test {
        self.lowered_test(node).unwrap_or_else(|| {
            let mut left = node.clone();
            budget::guard(&mut left, self.table);
            Test::Interpreted(Interpreted(Arc::new(Program::of(&left, self.table))))
        })
    }

    fn lowered_test(self, node: &IdedExpr) -> Option<Test> {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => Some(Test::Literal(*value.inner())),
            Expr::Select(select) if select.test => {
                if let Some(headers) = self.headers(&select.operand) {
                    return Some(Test::HasHeader(headers, select.field.as_str().into()));
                }
                // `has(source.identity.namespace)` fails if there is no identity, so it is left to
                // `program`.
                let Expr::Ident(object) = &select.operand.expr else { return None };
                let object = object.strip_prefix('.').unwrap_or(object);
                let (id, attribute) = self.table.field(object, &select.field)?;
                match attribute.kind {
                    Kind::Text => Some(Test::HasText(id)),
                    Kind::Object => Some(Test::HasObject(id)),
                    Kind::Int | Kind::Time | Kind::Bytes | Kind::Headers | Kind::Data => None,
                }
            }
            Expr::Call(call) => match self.variable(node) {
                Some(variable) => variable.test().map(|_| Test::Variable(Arc::clone(variable))),
                None => self.lowered_call(call),
            },
            _ => None,
        }
    }

    fn lowered_call(self, call: &CallExpr) -> Option<Test> {
        let member = call.target.as_deref();
        Some(match (call.func_name.as_str(), member, call.args.as_slice()) {
            (op::LOGICAL_NOT, None, [operand]) => Test::Not(Box::new(self.test(operand))),
            (name @ (op::LOGICAL_AND | op::LOGICAL_OR), None, [left, right]) => {
                let mut parts = Vec::new();
                self.flatten(name, left, &mut parts);
                self.flatten(name, right, &mut parts);
                if name == op::LOGICAL_AND { Test::All(parts) } else { Test::Any(parts) }
            }
            (op::CONDITIONAL, None, [condition, yes, no]) => match defaulted(condition, no) {
                Some(value) => {
                    Test::Default(Box::new([self.lowered_test(value)?, self.lowered_test(yes)?]))
                }
                None => Test::If(Box::new([
                    self.test(condition),
                    self.lowered_test(yes)?,
                    self.lowered_test(no)?,
                ])),
            },
            (op::EQUALS, None, [left, right]) => match (self.text(left), self.text(right)) {
                (Some(left), Some(right)) => Test::Equal(left, right),
                _ => self.comparison(Comparison::Equal, left, right)?,
            },
            (op::NOT_EQUALS, None, [left, right]) => match (self.text(left), self.text(right)) {
                (Some(left), Some(right)) => Test::NotEqual(left, right),
                _ => self.comparison(Comparison::NotEqual, left, right)?,
            },
            (op::LESS, None, [left, right]) => self.comparison(Comparison::Less, left, right)?,
            (op::LESS_EQUALS, None, [left, right]) => {
                self.comparison(Comparison::LessOrEqual, left, right)?
            }
            (op::GREATER, None, [left, right]) => {
                self.comparison(Comparison::Greater, left, right)?
            }
            (op::GREATER_EQUALS, None, [left, right]) => {
                self.comparison(Comparison::GreaterOrEqual, left, right)?
            }
            (op::IN, None, [element, container]) => match self.headers(container) {
                Some(headers) => Test::HeaderIsIn(headers, string_literal(element)?.into()),
                None => match self.text(element) {
                    Some(text) => Test::In(text, self.literals(container)?),
                    None => Test::NumberIn(self.number(element)?, int_literals(container)?),
                },
            },
            ("startsWith", Some(target), [argument]) => {
                Test::StartsWith(self.text(target)?, self.text(argument)?)
            }
            ("endsWith", Some(target), [argument]) => {
                Test::EndsWith(self.text(target)?, self.text(argument)?)
            }
            ("@contains", Some(target), [argument]) => {
                Test::Contains(self.text(target)?, self.text(argument)?)
            }
            ("matches", Some(target), [pattern]) | ("matches", None, [target, pattern]) => {
                Test::Matches(self.text(target)?, pattern_index(pattern)?)
            }
            _ => return None,
        })
    }

    /// The operands of a chain of one operator, which the parser nests.
    fn flatten(self, operator: &str, node: &IdedExpr, parts: &mut Vec<Test>) {
        match &node.expr {
            Expr::Call(call)
                if call.func_name == operator && call.target.is_none() && call.args.len() == 2 =>
            {
                for part in &call.args {
                    self.flatten(operator, part, parts);
                }
            }
            _ => parts.push(self.test(node)),
        }
    }

    /// Lowers an expression whose value is a string, if it can be.
    pub(super) fn text(self, node: &IdedExpr) -> Option<Text> {
        if let Some(literal) = string_literal(node) {
            return Some(Text::Literal(literal.into()));
        }
        match &node.expr {
            Expr::Select(select) if !select.test => match self.headers(&select.operand) {
                Some(headers) => Some(Text::Header(headers, select.field.as_str().into())),
                None => self.attribute(node, Kind::Text).map(Text::Attribute),
            },
            Expr::Call(call) if call.target.is_none() => {
                if let Some(variable) = self.variable(node) {
                    return variable.is_text().then(|| Text::Variable(Arc::clone(variable)));
                }
                match (call.func_name.as_str(), call.args.as_slice()) {
                    (op::INDEX, [container, index]) => {
                        Some(Text::Header(self.headers(container)?, string_literal(index)?.into()))
                    }
                    (op::ADD, [left, right]) => {
                        let mut parts = match self.text(left)? {
                            Text::Concat(parts) => parts,
                            part => vec![part],
                        };
                        parts.push(self.text(right)?);
                        Some(Text::Concat(parts))
                    }
                    (op::CONDITIONAL, [condition, yes, no]) => match defaulted(condition, no) {
                        Some(value) => {
                            Some(Text::Default(Box::new([self.text(value)?, self.text(yes)?])))
                        }
                        None => Some(Text::If(Box::new((
                            self.test(condition),
                            self.text(yes)?,
                            self.text(no)?,
                        )))),
                    },
                    ("string", [argument]) => self
                        .text(argument)
                        .or_else(|| self.number(argument).map(Text::FromNumber))
                        .or_else(|| self.attribute(argument, Kind::Time).map(Text::FromTime))
                        .or_else(|| self.attribute(argument, Kind::Bytes).map(Text::FromBytes)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The variable that a node reads.
    fn variable(&self, node: &IdedExpr) -> Option<&Arc<Variable>> {
        self.variables.get(variables::referred(node)?)
    }

    /// A list of string literals, sorted.
    fn literals(self, node: &IdedExpr) -> Option<Arc<[Box<str>]>> {
        match self.constants.iter().find(|(id, _)| *id == node.id) {
            Some((_, variable)) => variable.texts().cloned(),
            None => variables::texts(node),
        }
    }

    /// A comparison of two ints or two timestamps.
    fn comparison(self, comparison: Comparison, left: &IdedExpr, right: &IdedExpr) -> Option<Test> {
        match (self.number(left), self.number(right)) {
            (Some(left), Some(right)) => Some(Test::Number(comparison, left, right)),
            _ => Some(Test::Time(comparison, Box::new([self.time(left)?, self.time(right)?]))),
        }
    }

    /// Lowers an expression whose value is an int, if it can be.
    pub(super) fn number(self, node: &IdedExpr) -> Option<Number> {
        if let Some(variable) = self.variable(node) {
            return variable.number().cloned();
        }
        if let Some(number) = int_literal(node) {
            return Some(Number::Literal(number));
        }
        match &node.expr {
            Expr::Select(select) if !select.test => {
                self.attribute(node, Kind::Int).map(Number::Attribute)
            }
            Expr::Call(call) => {
                let field = Field::of(&call.func_name)?;
                let time = self.attribute(call.target.as_deref()?, Kind::Time)?;
                let zone = match call.args.as_slice() {
                    [] => Zone::UTC,
                    [zone] => Zone::parse(string_literal(zone)?)?,
                    _ => return None,
                };
                Some(Number::Field(Box::new((time, field, zone))))
            }
            _ => None,
        }
    }

    pub(super) fn time(self, node: &IdedExpr) -> Option<Time> {
        if let Some(variable) = self.variable(node) {
            return variable.time();
        }
        match &node.expr {
            Expr::Select(select) if !select.test => {
                self.attribute(node, Kind::Time).map(Time::Attribute)
            }
            Expr::Call(call) if call.func_name == "timestamp" && call.target.is_none() => {
                let [argument] = call.args.as_slice() else { return None };
                let found = match int_literal(argument) {
                    Some(seconds) => Timestamp::of_seconds(seconds),
                    None => Timestamp::parse(string_literal(argument)?),
                };
                found.map(Time::Literal)
            }
            _ => None,
        }
    }

    /// Whose headers these are, where a node is `request.headers` or `response.headers`.
    fn headers(self, node: &IdedExpr) -> Option<Id> {
        self.attribute(node, Kind::Headers)
    }

    fn attribute(self, node: &IdedExpr, kind: Kind) -> Option<Id> {
        if !matches!(node.expr, Expr::Select(_)) {
            return None;
        }
        self.table.find(kind, |name| is_spelled(node, name))
    }
}

/// `default(a, b)` expands to `@not_strictly_false(a == null) ? b : a`. Returns `a` if the
/// condition and the last operand of a conditional have that form. A lowered part is never null.
fn defaulted<'e>(condition: &'e IdedExpr, value: &IdedExpr) -> Option<&'e IdedExpr> {
    let Expr::Call(catch) = &condition.expr else { return None };
    let (op::NOT_STRICTLY_FALSE, [equal]) = (catch.func_name.as_str(), catch.args.as_slice())
    else {
        return None;
    };
    let Expr::Call(equal) = &equal.expr else { return None };
    let (op::EQUALS, [probed, null]) = (equal.func_name.as_str(), equal.args.as_slice()) else {
        return None;
    };
    (matches!(null.expr, Expr::Literal(LiteralValue::Null)) && probed == value).then_some(probed)
}

/// A list of int literals, sorted.
fn int_literals(node: &IdedExpr) -> Option<Vec<i64>> {
    let Expr::List(list) = &node.expr else { return None };
    if !list.optional_indices.is_empty() {
        return None;
    }
    let mut numbers = list.elements.iter().map(int_literal).collect::<Option<Vec<i64>>>()?;
    sort::by(&mut numbers, i64::cmp);
    Some(numbers)
}

fn pattern_index(node: &IdedExpr) -> Option<usize> {
    match &node.expr {
        Expr::Ident(name) => name.strip_prefix(super::PATTERN)?.parse().ok(),
        _ => None,
    }
}

/// Whether a node spells a dotted name. Lowering never goes into a comprehension, so no variable
/// hides an attribute.
fn is_spelled(node: &IdedExpr, name: &str) -> bool {
    match &node.expr {
        Expr::Ident(root) => root.strip_prefix('.').unwrap_or(root) == name,
        Expr::Select(select) if !select.test => {
            // This runs for each attribute, and most have no `.` at this place.
            let behind = name.len().checked_sub(select.field.len());
            behind.and_then(|at| name.get(..at)?.strip_suffix('.')).is_some_and(|object| {
                name.ends_with(&select.field) && is_spelled(&select.operand, object)
            })
        }
        _ => false,
    }
}
