//! Compiles a tree that has been checked and guarded.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators as op,
};

use super::functions::{self, Style};
use super::operators::{Membership, Operator};
use super::{Bytes, Loop, Map, Node, Program, Str, Turn, Value, value};
use crate::attributes::{Kind, Table};
use crate::budget::{self, strict as guards};
use crate::check::string_literal;
use crate::literals::int_literal;
use crate::lowered::Comparison;
use crate::time::{Field, Zone};
use crate::written::dotted;
use crate::{PATTERN, presence, variables};

impl Program {
    /// Compiles a tree with its guards. One that names what there is not, which the check refuses,
    /// would fail at each request.
    pub(crate) fn of(root: &IdedExpr, table: &'static Table) -> Program {
        Program::within(&[], root, table)
    }

    /// Compiles a part of a tree that stands within macros that give these names. Their places are
    /// the first.
    pub(crate) fn within(names: &[Named], root: &IdedExpr, table: &'static Table) -> Program {
        let mut compiler = Compiler { table, scope: Vec::new(), places: 0, bound: Vec::new() };
        for Named { name, bound } in names {
            let place = compiler.place();
            let bound = bound.as_ref().and_then(|tree| compiler.node(tree));
            let is = match bound {
                Some(bound) => {
                    compiler.bound.push(bound);
                    Is::Bound(place, compiler.bound.len().saturating_sub(1))
                }
                None => Is::Local(place),
            };
            compiler.scope.push(Local { name: name.clone(), is });
        }
        let root = compiler.node(root).unwrap_or_else(|| Node::Fail("no such function".into()));
        Program { root, places: compiler.places, bound: compiler.bound }
    }
}

/// A name that a macro around a part gives.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// What has the name, where it is evaluated when it is first read: a tree with its guards.
    pub(crate) bound: Option<IdedExpr>,
}

/// A name that a macro gives, and what it stands for.
struct Local {
    name: String,
    is: Is,
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Is {
    Local(usize),
    Bound(usize, usize),
}

struct Compiler {
    table: &'static Table,
    /// The names of the macros around, innermost last.
    scope: Vec<Local>,
    places: usize,
    bound: Vec<Node>,
}

impl Compiler {
    fn place(&mut self) -> usize {
        let place = self.places;
        self.places = place.saturating_add(1);
        place
    }

    #[inline(never)]
    fn boxed(&mut self, node: &IdedExpr) -> Option<Box<Node>> {
        self.node(node).map(Box::new)
    }

    /// What a function is called on, if it is, and its arguments.
    #[inline(never)]
    fn all(&mut self, target: Option<&IdedExpr>, arguments: &[IdedExpr]) -> Option<Box<[Node]>> {
        target.into_iter().chain(arguments).map(|argument| self.node(argument)).collect()
    }

    #[inline(never)]
    fn two(&mut self, left: &IdedExpr, right: &IdedExpr) -> Option<Box<[Node; 2]>> {
        Some(Box::new([self.node(left)?, self.node(right)?]))
    }

    #[inline(never)]
    fn node(&mut self, node: &IdedExpr) -> Option<Node> {
        if let Some(value) = literal(node) {
            return Some(Node::Literal(value));
        }
        if let Some(index) = variables::referred(node) {
            return Some(Node::Variable(index));
        }
        if let Some(attribute) = self.attribute(node) {
            return Some(attribute);
        }
        match &node.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                let of = self.boxed(&select.operand)?;
                let name = select.field.as_str().into();
                Some(if select.test { Node::Has(of, name) } else { Node::Field(of, name) })
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let elements = list.elements.iter().enumerate().map(|(index, element)| {
                    Some((self.node(element)?, list.optional_indices.contains(&index)))
                });
                Some(Node::List(elements.collect::<Option<_>>()?))
            }
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        Some((self.node(&entry.key)?, self.node(&entry.value)?, entry.optional))
                    }
                    EntryExpr::StructField(_) => None,
                });
                Some(Node::Map(entries.collect::<Option<_>>()?))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => None,
        }
    }

    #[inline(never)]
    fn local(&self, name: &str) -> Option<Is> {
        self.scope.iter().rev().find(|local| local.name == name).map(|local| local.is)
    }

    fn name(&self, name: &str) -> Option<Node> {
        if let Some(local) = self.local(name) {
            return Some(match local {
                Is::Local(place) => Node::Local(place),
                Is::Bound(place, index) => Node::Bound(place, index),
            });
        }
        if let Some(index) = name.strip_prefix(PATTERN) {
            return index.parse().ok().map(Node::Pattern);
        }
        if let Some(asked) = presence::asked_for(name) {
            let id = self.table.id(asked)?;
            return Some(match self.table.attribute(id)?.kind {
                Kind::Bytes => Node::HasBytes(id),
                _ => Node::DataOrEmpty(id),
            });
        }
        let plain = name.strip_prefix('.').unwrap_or(name);
        let object = self.table.root(plain).map(Node::Object);
        let data = || self.table.data(plain).map(|(id, _)| Node::Attribute(id));
        let named = || value::type_named(plain).map(|name| Node::Literal(Value::Type(name)));
        object.or_else(data).or_else(named)
    }

    /// The name that a node spells, if it is one of attributes that no macro's name hides.
    fn spelled(&self, node: &IdedExpr) -> Option<String> {
        match &node.expr {
            Expr::Ident(name) if self.local(name).is_none() => {
                Some(name.strip_prefix('.').unwrap_or(name).to_owned())
            }
            Expr::Select(select) if !select.test => {
                Some(format!("{}.{}", self.spelled(&select.operand)?, select.field))
            }
            _ => None,
        }
    }

    /// A node that spells an attribute, a header's name, or a field of data.
    fn attribute(&self, node: &IdedExpr) -> Option<Node> {
        let (of, field) = match &node.expr {
            Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
            Expr::Call(call) if call.func_name == op::INDEX => match call.args.as_slice() {
                [of, field] => (of, string_literal(field)?),
                _ => return None,
            },
            _ => return None,
        };
        let object = self.spelled(of)?;
        let is_select = matches!(node.expr, Expr::Select(_));
        if let Some((id, _)) = self.table.field(&object, field) {
            return Some(Node::Attribute(id));
        }
        if let Some(id) = self.table.find(Kind::Headers, |name| name == object) {
            return Some(Node::Header(id, field.into()));
        }
        let (id, _) = self.table.data(&object).filter(|_| is_select)?;
        Some(Node::DataField(id, field.into()))
    }

    fn call(&mut self, call: &CallExpr) -> Option<Node> {
        if let Some(target) = call.target.as_deref() {
            return self.member(target, call);
        }
        let name = call.func_name.as_str();
        if let Some(comparison) = comparison(name)
            && let [left, right] = call.args.as_slice()
        {
            return Some(Node::Order(comparison, self.two(left, right)?));
        }
        Some(match (name, call.args.as_slice()) {
            (op::CONDITIONAL, [condition, yes, no]) => {
                Node::If(Box::new([self.node(condition)?, self.node(yes)?, self.node(no)?]))
            }
            (op::LOGICAL_AND, [left, right]) => Node::And(self.two(left, right)?),
            (op::LOGICAL_OR, [left, right]) => Node::Or(self.two(left, right)?),
            (op::LOGICAL_NOT, [part]) => Node::Not(self.boxed(part)?),
            (op::NOT_STRICTLY_FALSE, [part]) => Node::NotStrictlyFalse(self.boxed(part)?),
            (op::EQUALS, [left, right]) => Node::Equal(self.two(left, right)?, false),
            (op::NOT_EQUALS, [left, right]) => Node::Equal(self.two(left, right)?, true),
            (op::IN, [left, right]) => Node::In(self.two(left, right)?, Membership::Checked),
            (guards::IN, [left, right]) => Node::In(self.two(left, right)?, Membership::OfRule),
            (guards::IN_DATA, [left, right]) => {
                Node::In(self.two(left, right)?, Membership::OfRequest)
            }
            (op::INDEX, [of, index]) => Node::Index(self.two(of, index)?, false),
            (op::OPT_INDEX, [of, index]) => Node::Index(self.two(of, index)?, true),
            (op::OPT_SELECT, [of, name]) => Node::OptionalField(self.two(of, name)?),
            (op::ADD, [left, right]) => Node::Add(self.two(left, right)?, false),
            (budget::ADD, [left, right]) => Node::Add(self.two(left, right)?, true),
            (guards::NEGATE | op::NEGATE, [part]) => Node::Negate(self.boxed(part)?),
            (guards::CALCULATE, [name, left, right]) => {
                let operator = match string_literal(name)? {
                    op::SUBSTRACT => Operator::Subtract,
                    op::MULTIPLY => Operator::Multiply,
                    op::DIVIDE => Operator::Divide,
                    _ => Operator::Modulo,
                };
                Node::Calculate(operator, self.two(left, right)?)
            }
            (guards::EQUAL, [name, left, right]) => {
                let negated = string_literal(name)? == op::NOT_EQUALS;
                Node::EqualAny(self.two(left, right)?, negated)
            }
            (guards::ORDER, [name, left, right]) => {
                Node::OrderAny(comparison(string_literal(name)?)?, self.two(left, right)?)
            }
            (guards::CONVERT, [name, part]) => {
                let function = functions::find(Style::Global, string_literal(name)?)?;
                Node::Call(function, [self.node(part)?].into())
            }
            (guards::IS, [name, kinds, part]) => {
                let (name, kinds) = (string_literal(name)?, string_literal(kinds)?);
                Node::Expect(value::kinds(kinds), name.into(), self.boxed(part)?)
            }
            (budget::READ, [weight, part]) => {
                let weight = usize::try_from(int_literal(weight)?).ok()?;
                Node::Read(weight, self.boxed(part)?)
            }
            (budget::MADE, [part]) => Node::Made(self.boxed(part)?),
            (budget::COMPARED, [part]) => Node::Compared(self.boxed(part)?),
            (budget::RANGE, [turn, part]) => {
                let turn = u64::try_from(int_literal(turn)?).ok()?;
                Node::Range(turn, self.boxed(part)?)
            }
            ("fail", [message]) if string_literal(message).is_some() => {
                Node::Fail(string_literal(message)?.into())
            }
            (name, arguments) => {
                let function = functions::find(Style::Global, name)?;
                Node::Call(function, self.all(None, arguments)?)
            }
        })
    }

    /// A call on something, or of a function whose name has dots.
    fn member(&mut self, target: &IdedExpr, call: &CallExpr) -> Option<Node> {
        if let Some(namespace) = dotted(target) {
            let name = format!("{namespace}.{}", call.func_name);
            if let Some(function) = functions::find(Style::Global, &name) {
                return Some(Node::Call(function, self.all(None, &call.args)?));
            }
        }
        if let ("or" | "orValue", [otherwise]) = (call.func_name.as_str(), call.args.as_slice()) {
            let stays_optional = call.func_name == "or";
            return Some(Node::OrElse(self.two(target, otherwise)?, stays_optional));
        }
        let function = functions::find(Style::Member, &call.func_name)?;
        if let ([zone], Some(field)) = (call.args.as_slice(), Field::of(function.name))
            && let Some(zone) = string_literal(zone).and_then(Zone::parse)
        {
            return Some(Node::TimeField(Box::new((function, self.node(target)?, field, zone))));
        }
        let arguments = self.all(Some(target), &call.args)?;
        Some(match function.name {
            "startsWith" => Node::Affix(function, arguments, false),
            "endsWith" => Node::Affix(function, arguments, true),
            _ => Node::Call(function, arguments),
        })
    }

    fn comprehension(&mut self, of: &ComprehensionExpr) -> Option<Node> {
        let place = self.place();
        if is_name(&of.loop_step, &of.accu_var) {
            // It binds a name, and has no turns.
            let bound = self.node(&of.accu_init)?;
            let index = self.bound.len();
            self.bound.push(bound);
            self.scope.push(Local { name: of.accu_var.clone(), is: Is::Bound(place, index) });
            let result = self.node(&of.result);
            self.scope.pop();
            return Some(Node::Within(place, Box::new(result?)));
        }
        let range = self.node(&of.iter_range)?;
        self.scope.push(Local { name: of.iter_var.clone(), is: Is::Local(place) });
        let turn = self.turn(of);
        self.scope.pop();
        Some(Node::Loop(Box::new(Loop { range, element: place, turn: turn? })))
    }

    /// What a loop does, which is one of the forms that macros expand to.
    fn turn(&mut self, of: &ComprehensionExpr) -> Option<Turn> {
        let Expr::Call(step) = &of.loop_step.expr else { return None };
        match (step.func_name.as_str(), step.args.as_slice()) {
            (op::LOGICAL_OR, [_, test]) => Some(Turn::Decide(true, self.node(test)?)),
            (op::LOGICAL_AND, [_, test]) => Some(Turn::Decide(false, self.node(test)?)),
            (op::CONDITIONAL, [condition, step, _]) => {
                let condition = self.node(condition)?;
                match self.appended(step) {
                    Some(elements) => Some(Turn::Collect(Some(condition), elements)),
                    None => Some(Turn::CountTo1(condition)),
                }
            }
            _ => Some(Turn::Collect(None, self.appended(&of.loop_step)?)),
        }
    }

    /// The elements that a step appends to the list so far.
    fn appended(&mut self, step: &IdedExpr) -> Option<Box<[(Node, bool)]>> {
        let Expr::Call(add) = &step.expr else { return None };
        match (add.func_name.as_str(), add.args.as_slice()) {
            (op::ADD, [_, list]) if matches!(list.expr, Expr::List(_)) => match self.node(list)? {
                Node::List(elements) => Some(elements),
                Node::Literal(Value::List(list)) => {
                    Some(list.iter().map(|value| (Node::Literal(value.clone()), false)).collect())
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_name(node: &IdedExpr, name: &str) -> bool {
    matches!(&node.expr, Expr::Ident(found) if found == name)
}

#[inline(never)]
fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        op::LESS => Comparison::Less,
        op::LESS_EQUALS => Comparison::LessOrEqual,
        op::GREATER => Comparison::Greater,
        op::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The value of a literal, or of a list or map of literals.
#[inline(never)]
fn literal(node: &IdedExpr) -> Option<Value<'static>> {
    match &node.expr {
        Expr::Literal(literal) => Some(match literal {
            LiteralValue::Null => Value::Null,
            LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
            LiteralValue::Int(number) => Value::Int(*number.inner()),
            LiteralValue::UInt(number) => Value::Uint(*number.inner()),
            LiteralValue::Double(number) => Value::Double(*number.inner()),
            LiteralValue::String(text) => Value::Text(Str::Shared(text.inner().into())),
            LiteralValue::Bytes(bytes) => Value::Bytes(Bytes::Shared(bytes.inner().into())),
        }),
        Expr::List(list) if list.optional_indices.is_empty() => {
            let elements = list.elements.iter().map(literal);
            Some(Value::list(elements.collect::<Option<_>>()?))
        }
        Expr::Map(map) => {
            let entries = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) if !entry.optional => {
                    Some((literal(&entry.key)?, literal(&entry.value)?))
                }
                _ => None,
            });
            let entries = entries.collect::<Option<Vec<_>>>()?;
            let are_keys = entries.iter().all(|(key, _)| super::map::is_key(key));
            Some(Value::map(Map::of(entries).ok().filter(|_| are_keys)?))
        }
        _ => None,
    }
}
