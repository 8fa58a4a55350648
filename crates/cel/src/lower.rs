//! Lowering: the common shapes of expressions in a form that is evaluated over the request's own
//! bytes, without allocating.
//!
//! Comparisons of attributes, headers and literals, `startsWith` and its like, `in` a list of
//! literals, `matches` with a literal pattern, `has`, boolean logic, conditionals, `default` and
//! concatenation are lowered; every other subexpression stays with the `cel` crate's interpreter.
//! Both give the same value or both an error (`differential.rs` tests that): what is lowered is a
//! shortcut, and never a language of its own.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators as op};

use super::attribute::{IntAttribute, TextAttribute};
use super::budget;
use super::check::string_literal;

/// An expression that gives a bool.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Literal(bool),
    Not(Box<Test>),
    /// `&&` of all.
    All(Vec<Test>),
    /// `||` of all.
    Any(Vec<Test>),
    If(Box<[Test; 3]>),
    /// The first, or the second where the first errs.
    Default(Box<[Test; 2]>),
    Equal(Text, Text),
    NotEqual(Text, Text),
    Number(Comparison, Number, Number),
    StartsWith(Text, Text),
    EndsWith(Text, Text),
    Contains(Text, Text),
    /// Is one of these, which are sorted.
    In(Text, Vec<Box<str>>),
    /// Matches the pattern of this index.
    Matches(Text, usize),
    /// `"name" in request.headers`
    HeaderIsIn(Headers, Box<str>),
    /// `has(request.headers.name)`
    HasHeader(Headers, Box<str>),
    HasAttribute(TextAttribute),
    HasIdentity,
    /// Anything else.
    Interpreted(Box<IdedExpr>),
}

/// An expression that gives a string.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Literal(Box<str>),
    Attribute(TextAttribute),
    Header(Headers, Box<str>),
    Concat(Vec<Text>),
    Default(Box<[Text; 2]>),
    If(Box<(Test, Text, Text)>),
    /// `string(...)` of a number.
    FromNumber(Number),
}

/// An expression that gives an int.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Literal(i64),
    Attribute(IntAttribute),
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Whose headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    Request,
    Response,
}

impl Test {
    /// Whether any of it is left to the interpreter.
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
            | Test::HeaderIsIn(..)
            | Test::HasHeader(..)
            | Test::HasAttribute(_)
            | Test::HasIdentity => false,
        }
    }
}

impl Text {
    /// Whether any of it, which is a condition then, is left to the interpreter.
    pub(super) fn is_interpreted(&self) -> bool {
        match self {
            Text::Concat(parts) => parts.iter().any(Text::is_interpreted),
            Text::Default(parts) => parts.iter().any(Text::is_interpreted),
            Text::If(parts) => {
                let (condition, yes, no) = &**parts;
                condition.is_interpreted() || yes.is_interpreted() || no.is_interpreted()
            }
            Text::Literal(_) | Text::Attribute(_) | Text::Header(..) | Text::FromNumber(_) => false,
        }
    }
}

/// Lowers an expression that gives a bool, as far as may be; what is left to the interpreter is
/// guarded.
pub(super) fn test(node: &IdedExpr) -> Test {
    lowered_test(node).unwrap_or_else(|| {
        let mut left = node.clone();
        budget::guard(&mut left);
        Test::Interpreted(Box::new(left))
    })
}

fn lowered_test(node: &IdedExpr) -> Option<Test> {
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(value)) => Some(Test::Literal(*value.inner())),
        Expr::Select(select) if select.test => {
            if let Some(headers) = headers(&select.operand) {
                return Some(Test::HasHeader(headers, select.field.as_str().into()));
            }
            match (spelled(&select.operand)?.as_slice(), select.field.as_str()) {
                (["source"], "identity") => Some(Test::HasIdentity),
                // `has(source.identity.namespace)` errs where there is no identity: left to the
                // interpreter.
                (["source", "identity"], _) => None,
                ([root], field) => TextAttribute::of(&[root, field]).map(Test::HasAttribute),
                _ => None,
            }
        }
        Expr::Call(call) => lowered_call(call),
        _ => None,
    }
}

fn lowered_call(call: &CallExpr) -> Option<Test> {
    let member = call.target.as_deref();
    Some(match (call.func_name.as_str(), member, call.args.as_slice()) {
        (op::LOGICAL_NOT, None, [operand]) => Test::Not(Box::new(test(operand))),
        (name @ (op::LOGICAL_AND | op::LOGICAL_OR), None, [left, right]) => {
            let mut parts = Vec::new();
            flatten(name, left, &mut parts);
            flatten(name, right, &mut parts);
            if name == op::LOGICAL_AND { Test::All(parts) } else { Test::Any(parts) }
        }
        (op::CONDITIONAL, None, [condition, yes, no]) => match defaulted(condition, no) {
            Some(value) => Test::Default(Box::new([lowered_test(value)?, lowered_test(yes)?])),
            None => Test::If(Box::new([test(condition), lowered_test(yes)?, lowered_test(no)?])),
        },
        (op::EQUALS, None, [left, right]) => match (text(left), text(right)) {
            (Some(left), Some(right)) => Test::Equal(left, right),
            _ => Test::Number(Comparison::Equal, number(left)?, number(right)?),
        },
        (op::NOT_EQUALS, None, [left, right]) => match (text(left), text(right)) {
            (Some(left), Some(right)) => Test::NotEqual(left, right),
            _ => Test::Number(Comparison::NotEqual, number(left)?, number(right)?),
        },
        (op::LESS, None, [left, right]) => {
            Test::Number(Comparison::Less, number(left)?, number(right)?)
        }
        (op::LESS_EQUALS, None, [left, right]) => {
            Test::Number(Comparison::LessOrEqual, number(left)?, number(right)?)
        }
        (op::GREATER, None, [left, right]) => {
            Test::Number(Comparison::Greater, number(left)?, number(right)?)
        }
        (op::GREATER_EQUALS, None, [left, right]) => {
            Test::Number(Comparison::GreaterOrEqual, number(left)?, number(right)?)
        }
        (op::IN, None, [element, container]) => match headers(container) {
            Some(headers) => Test::HeaderIsIn(headers, string_literal(element)?.into()),
            None => Test::In(text(element)?, literals(container)?),
        },
        ("startsWith", Some(target), [argument]) => {
            Test::StartsWith(text(target)?, text(argument)?)
        }
        ("endsWith", Some(target), [argument]) => Test::EndsWith(text(target)?, text(argument)?),
        ("@contains", Some(target), [argument]) => Test::Contains(text(target)?, text(argument)?),
        ("matches", Some(target), [pattern]) | ("matches", None, [target, pattern]) => {
            Test::Matches(text(target)?, pattern_index(pattern)?)
        }
        _ => return None,
    })
}

/// The operands of a chain of one operator, which the parser nests.
fn flatten(operator: &str, node: &IdedExpr, parts: &mut Vec<Test>) {
    match &node.expr {
        Expr::Call(call)
            if call.func_name == operator && call.target.is_none() && call.args.len() == 2 =>
        {
            for part in &call.args {
                flatten(operator, part, parts);
            }
        }
        _ => parts.push(test(node)),
    }
}

/// What `default(a, b)` expands to is `@not_strictly_false(a == null) ? b : a`: gives `a` for that
/// condition and last operand. What is lowered is never null.
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

/// Lowers an expression that gives a string.
pub(super) fn text(node: &IdedExpr) -> Option<Text> {
    if let Some(literal) = string_literal(node) {
        return Some(Text::Literal(literal.into()));
    }
    match &node.expr {
        Expr::Select(select) if !select.test => match headers(&select.operand) {
            Some(headers) => Some(Text::Header(headers, select.field.as_str().into())),
            None => TextAttribute::of(&spelled(node)?).map(Text::Attribute),
        },
        Expr::Call(call) if call.target.is_none() => {
            match (call.func_name.as_str(), call.args.as_slice()) {
                (op::INDEX, [container, index]) => {
                    Some(Text::Header(headers(container)?, string_literal(index)?.into()))
                }
                (op::ADD, [left, right]) => {
                    let mut parts = match text(left)? {
                        Text::Concat(parts) => parts,
                        part => vec![part],
                    };
                    parts.push(text(right)?);
                    Some(Text::Concat(parts))
                }
                (op::CONDITIONAL, [condition, yes, no]) => match defaulted(condition, no) {
                    Some(value) => Some(Text::Default(Box::new([text(value)?, text(yes)?]))),
                    None => Some(Text::If(Box::new((test(condition), text(yes)?, text(no)?)))),
                },
                ("string", [argument]) => {
                    text(argument).or_else(|| number(argument).map(Text::FromNumber))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn number(node: &IdedExpr) -> Option<Number> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(value)) => Some(Number::Literal(*value.inner())),
        Expr::Select(select) if !select.test => {
            IntAttribute::of(&spelled(node)?).map(Number::Attribute)
        }
        _ => None,
    }
}

/// A list of string literals, sorted.
fn literals(node: &IdedExpr) -> Option<Vec<Box<str>>> {
    let Expr::List(list) = &node.expr else { return None };
    if !list.optional_indices.is_empty() {
        return None;
    }
    let mut literals = list
        .elements
        .iter()
        .map(|element| string_literal(element).map(Box::from))
        .collect::<Option<Vec<Box<str>>>>()?;
    literals.sort_unstable();
    Some(literals)
}

fn pattern_index(node: &IdedExpr) -> Option<usize> {
    match &node.expr {
        Expr::Ident(name) => name.strip_prefix(super::PATTERN)?.parse().ok(),
        _ => None,
    }
}

/// Whose headers these are, where a node is `request.headers` or `response.headers`.
fn headers(node: &IdedExpr) -> Option<Headers> {
    match spelled(node)?.as_slice() {
        ["request", "headers"] => Some(Headers::Request),
        ["response", "headers"] => Some(Headers::Response),
        _ => None,
    }
}

/// The names in a dotted name. Lowering never goes into a comprehension, so no variable hides an
/// attribute.
fn spelled(node: &IdedExpr) -> Option<Vec<&str>> {
    match &node.expr {
        Expr::Ident(name) => Some(vec![name.strip_prefix('.').unwrap_or(name)]),
        Expr::Select(select) if !select.test => {
            let mut names = spelled(&select.operand)?;
            names.push(&select.field);
            Some(names)
        }
        _ => None,
    }
}
