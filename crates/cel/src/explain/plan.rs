//! An expression as it is written: its parts, each ready to be evaluated by itself.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, operators as op};

use crate::limits::children;
use crate::parse::{KEY, Spelling, WrittenCall};
use crate::prepare::prepare;
use crate::program::{Named, Program};
use crate::regex::Compiled;
use crate::variables::{self, ROOT, Scope, Variable};
use crate::{budget, parse, presence};

/// Functions whose result differs from one call to the next.
const VARYING: &[&str] = &["uuid", "random"];

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Part {
    /// Its source.
    pub(super) text: String,
    pub(super) program: Program,
    pub(super) shape: Shape,
    /// Whether its text shows its value: a literal, or a variable.
    pub(super) plain: bool,
    /// Whether its value differs from one evaluation to the next.
    pub(super) varies: bool,
}

/// Which of a part's parts are needed.
#[derive(Debug)]
pub(super) enum Shape {
    /// There are none.
    Whole,
    /// All.
    All(Vec<Part>),
    /// All up to the first that has this value.
    Until(bool, Vec<Part>),
    /// The first, and the second if it is true, else the third.
    If(Box<[Part; 3]>),
    /// The first, and the second if the first is an optional without a value.
    OrElse(Box<[Part; 2]>),
    /// All up to the first that neither fails nor is null.
    FirstOf(Vec<Part>),
    /// The body, for each element of the range.
    Loop(Box<Loop>),
    /// The body, with a variable that has the value.
    Bound(Box<Bound>),
    /// The expression of a variable of the configuration.
    Variable(Box<Part>),
}

/// A macro that evaluates its body for each element.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) range: Part,
    pub(super) variables: Vec<String>,
    pub(super) over: Over,
    pub(super) condition: Option<Part>,
    pub(super) body: Part,
    /// It ends when the body has this value.
    pub(super) until: Option<bool>,
}

/// The values of a loop's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// A list's elements, or a map's keys.
    Elements,
    /// Each key or index, and its value.
    Pairs,
    /// A map's values.
    Values,
}

impl Over {
    /// The names that a turn has: that of the element, or of the range, the key, and the value,
    /// which is looked up when it is first read, as it is in the whole.
    fn names(self, variables: &[String]) -> Vec<Named> {
        let given = |name: &String| Named { name: name.clone(), bound: None };
        let (key, value) = match (self, variables) {
            (Over::Pairs, [key, value]) => (key.clone(), value),
            (Over::Values, [value]) => (KEY.to_owned(), value),
            _ => return variables.iter().map(given).collect(),
        };
        let name = |name: &str| IdedExpr { id: 0, expr: Expr::Ident(name.to_owned()) };
        let (of, at) = (name(RANGE), name(&key));
        let call = CallExpr { func_name: op::INDEX.to_owned(), target: None, args: vec![of, at] };
        let bound = Some(IdedExpr { id: 0, expr: Expr::Call(call) });
        let value = Named { name: value.clone(), bound };
        vec![given(&RANGE.to_owned()), given(&key), value]
    }
}

/// The name of a loop's range, which no source can spell.
const RANGE: &str = "@range";

/// A macro that gives a value a name.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) variable: String,
    pub(super) value: Part,
    /// The value is an optional, and the variable is its content. The body is needed only if there
    /// is one.
    pub(super) optional: bool,
    pub(super) body: Part,
}

/// Makes the parts of one source.
#[derive(Debug)]
pub(super) struct Planner<'s> {
    source: &'s str,
    spelling: &'s Spelling,
    scope: Scope<'s>,
    /// The names that the macros around give.
    names: Vec<Named>,
    pub(super) patterns: Vec<Compiled>,
    /// The variables of the configuration that are read.
    pub(super) read: Vec<Arc<Variable>>,
}

impl<'s> Planner<'s> {
    pub(super) fn new(source: &'s str, spelling: &'s Spelling, scope: Scope<'s>) -> Self {
        let (patterns, read) = (Vec::new(), Vec::new());
        Planner { source, spelling, scope, names: Vec::new(), patterns, read }
    }

    pub(super) fn part(&mut self, node: &IdedExpr) -> Part {
        let shape = self.shape(node);
        let ready = self.ready(node);
        Part {
            text: self.spelling.text(self.source, node.id).to_owned(),
            program: Program::within(&self.names, &ready, self.scope.table),
            shape,
            plain: self.is_plain(node),
            varies: self.varies(node),
        }
    }

    /// The tree of a part, with its guards.
    fn ready(&mut self, node: &IdedExpr) -> IdedExpr {
        let mut ready = node.clone();
        // The whole has been checked, so its parts have no errors.
        variables::constants(&mut ready, self.scope);
        variables::refer(&mut ready, self.scope, &mut self.read);
        let mut names = self.names.iter().map(|named| named.name.clone()).collect();
        presence::mark(&mut ready, self.scope.table, &mut names);
        prepare(&mut ready, self.scope.table, &mut self.patterns, &mut Vec::new());
        budget::guard(&mut ready, self.scope.table);
        ready
    }

    fn parts<'n>(&mut self, nodes: impl IntoIterator<Item = &'n IdedExpr>) -> Vec<Part> {
        nodes.into_iter().map(|node| self.part(node)).collect()
    }

    fn all<'n>(&mut self, nodes: impl IntoIterator<Item = &'n IdedExpr>) -> Shape {
        Shape::All(self.parts(nodes))
    }

    fn shape(&mut self, node: &IdedExpr) -> Shape {
        if let Some(variable) = variables::used_at(node, self.scope) {
            return self.declared(variable);
        }
        if self.is_access(node) {
            return Shape::Whole;
        }
        let spelling = self.spelling;
        if let Some(call) = spelling.call(node.id) {
            return self.written(call);
        }
        match &node.expr {
            Expr::Call(call) => self.call(call),
            Expr::Select(select) => self.all([&*select.operand]),
            Expr::List(list) => self.all(&list.elements),
            Expr::Map(map) => self.all(map.entries.iter().flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })),
            // A loop comes from a macro, and was written as a call.
            Expr::Unspecified
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Struct(_)
            | Expr::Comprehension(_) => Shape::Whole,
        }
    }

    fn call(&mut self, call: &CallExpr) -> Shape {
        if let ("or" | "orValue", Some(optional), [otherwise]) =
            (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice())
        {
            return Shape::OrElse(Box::new([self.part(optional), self.part(otherwise)]));
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (name @ (op::LOGICAL_AND | op::LOGICAL_OR), [left, right]) => {
                let mut operands = Vec::new();
                flatten(name, left, &mut operands);
                flatten(name, right, &mut operands);
                Shape::Until(name == op::LOGICAL_OR, self.parts(operands))
            }
            // `a + b + c` has three parts, not the part `a + b` and another.
            (op::ADD, [left, right]) => {
                let mut operands = Vec::new();
                sum(left, &mut operands);
                operands.push(right);
                self.all(operands)
            }
            (op::CONDITIONAL, [condition, yes, no]) => {
                Shape::If(Box::new([self.part(condition), self.part(yes), self.part(no)]))
            }
            // Showing all headers beside the one that is looked up would be of no use.
            (op::INDEX | op::OPT_INDEX | op::OPT_SELECT, [from, key]) if self.is_access(from) => {
                self.all([key])
            }
            (_, args) => self.all(call.target.as_deref().into_iter().chain(args)),
        }
    }

    /// A variable of the configuration. The value of one that is a literal shows all.
    fn declared(&mut self, variable: &Variable) -> Shape {
        if variable.is_constant() {
            return Shape::Whole;
        }
        let Ok((root, spelling)) = parse::parse_spelled(variable.source()) else {
            return Shape::Whole;
        };
        let mut inner = Planner::new(variable.source(), &spelling, self.scope);
        std::mem::swap(&mut inner.patterns, &mut self.patterns);
        std::mem::swap(&mut inner.read, &mut self.read);
        let mut part = inner.part(&root);
        variable.source().trim().clone_into(&mut part.text);
        (self.patterns, self.read) = (inner.patterns, inner.read);
        Shape::Variable(Box::new(part))
    }

    /// Whether this is a name, or is reached from one by literals only:
    /// `request.headers["x-role"]`. A variable of the configuration has parts.
    fn is_access(&self, node: &IdedExpr) -> bool {
        is_access(node) && (self.scope.variables.is_empty() || root(node) != ROOT)
    }

    /// Whether a value differs from one evaluation to the next. That of a variable does not.
    fn varies(&self, node: &IdedExpr) -> bool {
        varies_here(node) || children(node).into_iter().any(|part| self.varies(part))
    }

    /// A macro, as it is written.
    fn written(&mut self, call: &WrittenCall) -> Shape {
        let (target, args) = (call.target.as_ref(), call.args.as_slice());
        match (call.name.as_str(), target, args) {
            ("has", None, [tested]) => match &tested.expr {
                Expr::Select(select) if !self.is_access(&select.operand) => {
                    self.all([&*select.operand])
                }
                _ => Shape::Whole,
            },
            ("default" | "coalesce", None, args) => Shape::FirstOf(self.parts(args)),
            ("with", Some(value), [variable, body])
            | ("bind", Some(_), [variable, value, body]) => {
                self.bound(value, variable, body, false)
            }
            ("optMap" | "optFlatMap", Some(value), [variable, body]) => {
                self.bound(value, variable, body, true)
            }
            ("greatest" | "least", _, args) => self.all(args),
            (name, Some(range), args) => self.turns(name, range, args),
            (_, None, args) => self.all(args),
        }
    }

    fn bound(
        &mut self,
        value: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
        optional: bool,
    ) -> Shape {
        // The value of an optional is there before its name is.
        let bound = if optional { None } else { Some(self.ready(value)) };
        let (value, variable) = (self.part(value), name(variable));
        let named = Named { name: variable.clone(), bound };
        let body = self.within(vec![named], |planner| planner.part(body));
        Shape::Bound(Box::new(Bound { variable, value, optional, body }))
    }

    fn turns(&mut self, name: &str, range: &IdedExpr, args: &[IdedExpr]) -> Shape {
        let count = match name {
            "all" | "exists" | "exists_one" | "existsOne" => args.len().saturating_sub(1),
            "transformList" | "transformMap" | "transformMapEntry" => 2,
            _ => 1,
        };
        let over = match (name, count) {
            ("mapValues", _) => Over::Values,
            (_, 2) => Over::Pairs,
            _ => Over::Elements,
        };
        let until = match name {
            "all" => Some(false),
            "exists" => Some(true),
            _ => None,
        };
        let (names, rest) = args.split_at_checked(count).unwrap_or((args, &[]));
        let (condition, body) = match rest {
            [body] => (None, body),
            [condition, body] => (Some(condition), body),
            _ => return self.all(args),
        };
        let range = self.part(range);
        let variables: Vec<String> = names.iter().map(self::name).collect();
        let (condition, body) = self.within(over.names(&variables), |planner| {
            (condition.map(|condition| planner.part(condition)), planner.part(body))
        });
        Shape::Loop(Box::new(Loop { range, variables, over, condition, body, until }))
    }

    fn within<T>(&mut self, names: Vec<Named>, plan: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.names.len();
        self.names.extend(names);
        let planned = plan(self);
        self.names.truncate(before);
        planned
    }

    fn is_variable(&self, name: &str) -> bool {
        self.names.iter().any(|named| named.name == name)
    }

    /// Whether a node's text shows its value: a literal, a variable, the name of a namespace.
    fn is_plain(&self, node: &IdedExpr) -> bool {
        match &node.expr {
            Expr::Literal(_) => true,
            Expr::Ident(name) => {
                self.is_variable(name) || !self.scope.table.has_root(name.trim_start_matches('.'))
            }
            Expr::Select(select) => {
                !select.test
                    && variables::used_at(node, self.scope).is_none()
                    && !self.is_variable(root(node))
                    && is_name(node)
                    && self.is_plain(&select.operand)
            }
            Expr::List(list) => list.elements.iter().all(|element| self.is_plain(element)),
            Expr::Map(_) => children(node).into_iter().all(|part| self.is_plain(part)),
            Expr::Call(call) => {
                let of_literals = call.target.is_none()
                    && call.args.iter().all(|arg| matches!(arg.expr, Expr::Literal(_)));
                matches!(call.func_name.as_str(), "ip" | "cidr" | "timestamp" | "duration")
                    && of_literals
            }
            Expr::Unspecified | Expr::Struct(_) | Expr::Comprehension(_) => false,
        }
    }
}

/// The name that a dotted name begins with.
fn root(node: &IdedExpr) -> &str {
    match &node.expr {
        Expr::Ident(name) => name,
        Expr::Select(select) => root(&select.operand),
        Expr::Call(call) => call.args.first().map_or("", root),
        _ => "",
    }
}

fn is_name(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test && is_name(&select.operand),
        _ => false,
    }
}

fn varies_here(node: &IdedExpr) -> bool {
    let Expr::Call(call) = &node.expr else { return false };
    call.target.is_none() && VARYING.contains(&call.func_name.as_str())
}

fn name(node: &IdedExpr) -> String {
    match &node.expr {
        Expr::Ident(name) => name.clone(),
        _ => String::new(),
    }
}

/// Whether this is a name, or is reached from one by literals only: `request.headers["x-role"]`.
fn is_access(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test && is_access(&select.operand),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (op::INDEX | op::OPT_INDEX | op::OPT_SELECT, [from, key]) => {
                matches!(key.expr, Expr::Literal(_)) && is_access(from)
            }
            _ => false,
        },
        _ => false,
    }
}

/// The operands of a chain of `+`, from the left. An operand in brackets stays whole.
fn sum<'n>(node: &'n IdedExpr, operands: &mut Vec<&'n IdedExpr>) {
    match &node.expr {
        Expr::Call(call) if call.func_name == op::ADD && call.args.len() == 2 => {
            if let [left, right] = call.args.as_slice() {
                sum(left, operands);
                operands.push(right);
            }
        }
        _ => operands.push(node),
    }
}

/// The operands of a chain of one operator, which the parser nests.
fn flatten<'n>(operator: &str, node: &'n IdedExpr, operands: &mut Vec<&'n IdedExpr>) {
    match &node.expr {
        Expr::Call(call)
            if call.func_name == operator && call.target.is_none() && call.args.len() == 2 =>
        {
            for operand in &call.args {
                flatten(operator, operand, operands);
            }
        }
        _ => operands.push(node),
    }
}
