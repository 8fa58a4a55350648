//! Macros: calls that are other expressions (langdef, "Macros").
//!
//! CEL's own, those of its extensions `bindings`, `math`, `optional` and `comprehensions`, and
//! AgentGateway's `default`, `with`, `mapValues` and their like. A loop over keys and values is a
//! comprehension of two variables in the tree; what the interpreter, which knows loops of one only,
//! makes of it is [`super::super::loops`]' matter.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, ListExpr, LiteralValue,
    MapEntryExpr, MapExpr, operators as op,
};

use super::Places;
use super::lexer::Fault;
use crate::limits;

/// The variable that a loop collects in. No source can spell it.
const RESULT: &str = "@result";
/// The keys and values of a loop that names only one of them.
const KEY: &str = "@key";
const VALUE: &str = "@value";
/// What makes one map of a list of maps.
pub(crate) const MAP_OF: &str = "@map_of";

/// What a call becomes.
pub(super) enum Expanded {
    /// It is a macro's.
    Made(IdedExpr),
    /// It is no macro's, and stays: its target and arguments.
    Call(Option<IdedExpr>, Vec<IdedExpr>),
}

/// Makes the nodes of a macro, all at the place of its call.
pub(super) struct Maker<'p> {
    places: &'p mut Places,
    start: u32,
}

impl<'p> Maker<'p> {
    pub(super) fn new(places: &'p mut Places, start: u32) -> Self {
        Maker { places, start }
    }

    fn node(&mut self, expr: Expr) -> IdedExpr {
        IdedExpr { id: self.places.add(self.start), expr }
    }

    fn name(&mut self, name: &str) -> IdedExpr {
        self.node(Expr::Ident(name.to_owned()))
    }

    fn bool(&mut self, value: bool) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Boolean(value.into())))
    }

    fn int(&mut self, value: i64) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Int(value.into())))
    }

    fn list(&mut self, elements: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::List(ListExpr { elements, optional_indices: Vec::new() }))
    }

    fn call(&mut self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    fn method(&mut self, target: IdedExpr, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: Some(Box::new(target)),
            args,
        }))
    }
}

/// The macros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Macro {
    Has,
    /// `default` and `coalesce`.
    FirstOf,
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    TransformList,
    TransformMap,
    TransformMapEntry,
    OptMap,
    OptFlatMap,
    /// `math.greatest` and `math.least`: what they call.
    Extreme(&'static str),
    With,
    Bind,
    MapValues,
    FilterKeys,
    RemoveKeys,
}

impl Macro {
    /// The macro that a call is, by its name, what it is called on and how many arguments it has.
    fn of(name: &str, target: Option<&IdedExpr>, count: usize) -> Option<Macro> {
        let on = |namespace: &str| matches!(target.map(|target| &target.expr), Some(Expr::Ident(name)) if name == namespace);
        Some(match (name, target.is_some(), count) {
            ("has", false, 1) => Macro::Has,
            ("default", false, 2) | ("coalesce", false, 1..) => Macro::FirstOf,
            ("all", true, 2 | 3) => Macro::All,
            ("exists", true, 2 | 3) => Macro::Exists,
            ("exists_one" | "existsOne", true, 2 | 3) => Macro::ExistsOne,
            ("map", true, 2 | 3) => Macro::Map,
            ("filter", true, 2) => Macro::Filter,
            ("transformList", true, 3 | 4) => Macro::TransformList,
            ("transformMap", true, 3 | 4) => Macro::TransformMap,
            ("transformMapEntry", true, 3 | 4) => Macro::TransformMapEntry,
            ("optMap", true, 2) => Macro::OptMap,
            ("optFlatMap", true, 2) => Macro::OptFlatMap,
            ("greatest", true, _) if on("math") => Macro::Extreme("math.@max"),
            ("least", true, _) if on("math") => Macro::Extreme("math.@min"),
            ("with", true, 2) => Macro::With,
            ("bind", true, 3) if on("cel") => Macro::Bind,
            ("mapValues", true, 2) => Macro::MapValues,
            ("filterKeys", true, 2) => Macro::FilterKeys,
            ("removeKeys", true, 2) => Macro::RemoveKeys,
            _ => return None,
        })
    }

    /// How many of a number of arguments name a variable.
    fn variables(self, count: usize) -> usize {
        match self {
            Macro::Has | Macro::FirstOf | Macro::Extreme(_) => 0,
            Macro::All | Macro::Exists | Macro::ExistsOne => count.saturating_sub(1),
            Macro::TransformList | Macro::TransformMap | Macro::TransformMapEntry => 2,
            _ => 1,
        }
    }
}

/// What a loop goes over, and the names it gives.
struct Over {
    range: IdedExpr,
    key: String,
    value: Option<String>,
}

/// How a loop collects.
struct Fold {
    init: IdedExpr,
    goes_on: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

/// Expands a call, if it is a macro's.
pub(super) fn expand(
    make: &mut Maker<'_>,
    name: &str,
    target: Option<IdedExpr>,
    args: Vec<IdedExpr>,
) -> Result<Expanded, Fault> {
    let Some(found) = Macro::of(name, target.as_ref(), args.len()) else {
        return Ok(Expanded::Call(target, args));
    };
    let mut args = args.into_iter();
    let count = found.variables(args.len());
    let variables = args
        .by_ref()
        .take(count)
        .map(|arg| variable(make, name, arg))
        .collect::<Result<Vec<String>, Fault>>()?;
    let mut variables = variables.into_iter();
    let (first, second) = (variables.next().unwrap_or_default(), variables.next());
    if second.as_ref() == Some(&first) {
        return Err(make.fault(format!("`{name}` has two variables, and both are named `{first}`")));
    }
    let mut body: Vec<IdedExpr> = args.collect();
    // INVARIANT: the table above lets a call have one argument at the least behind its variables.
    let last = match found {
        Macro::Extreme(_) | Macro::FirstOf => None,
        _ => body.pop(),
    };
    let (target, last) = match (found, target, last) {
        (Macro::Has, None, Some(tested)) => return has(make, tested).map(Expanded::Made),
        (Macro::FirstOf, None, None) => return first_of(make, name, body).map(Expanded::Made),
        (Macro::Extreme(function), _, _) => {
            return extreme(make, name, function, body).map(Expanded::Made);
        }
        (_, Some(target), Some(last)) => (target, last),
        (_, target, last) => {
            return Ok(Expanded::Call(target, body.into_iter().chain(last).collect()));
        }
    };
    let (condition, body) = (body.pop(), last);
    let over = Over { range: target, key: first, value: second };
    Ok(Expanded::Made(match found {
        Macro::All => make.all(over, body),
        Macro::Exists => make.exists(over, body),
        Macro::ExistsOne => make.exists_one(over, body),
        Macro::Map | Macro::TransformList => make.collected(over, condition, body),
        Macro::Filter => {
            let element = make.name(&over.key);
            make.collected(over, Some(body), element)
        }
        Macro::TransformMap => {
            let key = make.name(&over.key);
            make.map_of(over, condition, key, body)
        }
        Macro::TransformMapEntry => {
            let maps = make.collected(over, condition, body);
            make.call(MAP_OF, vec![maps])
        }
        Macro::MapValues => {
            let key = make.name(KEY);
            make.map_of(
                Over { range: over.range, key: KEY.to_owned(), value: Some(over.key) },
                None,
                key,
                body,
            )
        }
        Macro::FilterKeys | Macro::RemoveKeys => {
            let (key, value) = (make.name(&over.key), make.name(VALUE));
            let kept = if found == Macro::FilterKeys {
                body
            } else {
                make.call(op::LOGICAL_NOT, vec![body])
            };
            make.map_of(Over { value: Some(VALUE.to_owned()), ..over }, Some(kept), key, value)
        }
        Macro::With => make.bound(&over.key, over.range, body),
        Macro::Bind => match condition {
            Some(value) => make.bound(&over.key, value, body),
            None => body,
        },
        Macro::OptMap | Macro::OptFlatMap => {
            make.opt_map(over.range, &over.key, body, found == Macro::OptMap)
        }
        Macro::Has | Macro::FirstOf | Macro::Extreme(_) => body,
    }))
}

fn variable(make: &Maker<'_>, function: &str, node: IdedExpr) -> Result<String, Fault> {
    match node.expr {
        Expr::Ident(name) if !name.starts_with('.') => Ok(name),
        _ => Err(Fault::new(
            make.places.start(node.id),
            format!("`{function}` expects the name of a variable here"),
        )),
    }
}

fn has(make: &mut Maker<'_>, tested: IdedExpr) -> Result<IdedExpr, Fault> {
    match tested.expr {
        Expr::Select(select) => {
            Ok(make.node(Expr::Select(cel::common::ast::SelectExpr { test: true, ..select })))
        }
        _ => Err(Fault::new(
            make.places.start(tested.id),
            "`has` expects a field, as in `has(request.headers.host)`",
        )),
    }
}

/// The first that neither errs nor is null; the last, whatever it is, where none is.
///
/// CEL has one place where an error becomes a value: `@not_strictly_false`, which the macros `all`
/// and `exists` are made with, is true for one. So `default(a, b)` is
/// `@not_strictly_false(a == null) ? b : a`. That doubles `a`, and `default(default(...), ...)`
/// doubles it at each level: its size is bounded before it is copied.
fn first_of(
    make: &mut Maker<'_>,
    name: &str,
    mut candidates: Vec<IdedExpr>,
) -> Result<IdedExpr, Fault> {
    let Some(mut found) = candidates.pop() else {
        return Err(make.fault(format!("`{name}` has no arguments")));
    };
    while let Some(candidate) = candidates.pop() {
        limits::check_doubled(&candidate, name)
            .map_err(|message| Fault::new(make.places.start(candidate.id), message))?;
        let null = make.node(Expr::Literal(LiteralValue::Null));
        let missing = make.call(op::EQUALS, vec![candidate.clone(), null]);
        let missing = make.call(op::NOT_STRICTLY_FALSE, vec![missing]);
        found = make.call(op::CONDITIONAL, vec![missing, found, candidate]);
    }
    Ok(found)
}

/// `math.greatest` and `math.least`: of one list, of one or two numbers, or of a list of more.
fn extreme(
    make: &mut Maker<'_>,
    name: &str,
    function: &str,
    args: Vec<IdedExpr>,
) -> Result<IdedExpr, Fault> {
    let number = |node: &IdedExpr| match &node.expr {
        Expr::Literal(literal) => matches!(
            literal,
            LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_)
        ),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        _ => true,
    };
    let numbers = |node: &IdedExpr| matches!(&node.expr, Expr::List(list) if !list.elements.is_empty() && list.elements.iter().all(number));
    match args.as_slice() {
        [] => {
            return Err(make.fault(format!("`math.{name}` expects numbers, and gets no arguments")));
        }
        [one] if numbers(one) => {}
        args => {
            if let Some(other) = args.iter().find(|arg| !number(arg)) {
                return Err(Fault::new(
                    make.places.start(other.id),
                    format!("`math.{name}` expects numbers, or a list of numbers alone"),
                ));
            }
        }
    }
    let args = if args.len() > 2 { vec![make.list(args)] } else { args };
    Ok(make.call(function, args))
}

impl Maker<'_> {
    fn fault(&self, message: String) -> Fault {
        Fault::new(self.start, message)
    }

    fn comprehension(&mut self, over: Over, fold: Fold) -> IdedExpr {
        self.node(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: over.range,
            iter_var: over.key,
            iter_var2: over.value,
            accu_var: RESULT.to_owned(),
            accu_init: fold.init,
            loop_cond: fold.goes_on,
            loop_step: fold.step,
            result: fold.result,
        })))
    }

    fn all(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let so_far = self.name(RESULT);
        let goes_on = self.call(op::NOT_STRICTLY_FALSE, vec![so_far]);
        let so_far = self.name(RESULT);
        let fold = Fold {
            init: self.bool(true),
            goes_on,
            step: self.call(op::LOGICAL_AND, vec![so_far, predicate]),
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    fn exists(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let so_far = self.name(RESULT);
        let none_yet = self.call(op::LOGICAL_NOT, vec![so_far]);
        let goes_on = self.call(op::NOT_STRICTLY_FALSE, vec![none_yet]);
        let so_far = self.name(RESULT);
        let fold = Fold {
            init: self.bool(false),
            goes_on,
            step: self.call(op::LOGICAL_OR, vec![so_far, predicate]),
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    fn exists_one(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let one_more = vec![self.name(RESULT), self.int(1)];
        let one_more = self.call(op::ADD, one_more);
        let so_far = self.name(RESULT);
        let step = self.call(op::CONDITIONAL, vec![predicate, one_more, so_far]);
        let counted = vec![self.name(RESULT), self.int(1)];
        let fold = Fold {
            init: self.int(0),
            goes_on: self.bool(true),
            step,
            result: self.call(op::EQUALS, counted),
        };
        self.comprehension(over, fold)
    }

    /// The list of what a loop's turns give, of those for which the condition holds.
    fn collected(
        &mut self,
        over: Over,
        condition: Option<IdedExpr>,
        element: IdedExpr,
    ) -> IdedExpr {
        let so_far = self.name(RESULT);
        let element = self.list(vec![element]);
        let mut step = self.call(op::ADD, vec![so_far, element]);
        if let Some(condition) = condition {
            let so_far = self.name(RESULT);
            step = self.call(op::CONDITIONAL, vec![condition, step, so_far]);
        }
        let fold = Fold {
            init: self.list(Vec::new()),
            goes_on: self.bool(true),
            step,
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    /// The map of what a loop's turns give.
    fn map_of(
        &mut self,
        over: Over,
        condition: Option<IdedExpr>,
        key: IdedExpr,
        value: IdedExpr,
    ) -> IdedExpr {
        let entry = MapEntryExpr { key, value, optional: false };
        let entry =
            IdedEntryExpr { id: self.places.add(self.start), expr: EntryExpr::MapEntry(entry) };
        let entry = self.node(Expr::Map(MapExpr { entries: vec![entry] }));
        let entries = self.collected(over, condition, entry);
        self.call(MAP_OF, vec![entries])
    }

    /// An expression in which a variable has a value: a loop over nothing, that only ever has its
    /// first value.
    fn bound(&mut self, variable: &str, value: IdedExpr, result: IdedExpr) -> IdedExpr {
        let bound = ComprehensionExpr {
            iter_range: self.list(Vec::new()),
            iter_var: "#unused".to_owned(),
            iter_var2: None,
            accu_var: variable.to_owned(),
            accu_init: value,
            loop_cond: self.bool(false),
            loop_step: self.name(variable),
            result,
        };
        self.node(Expr::Comprehension(Box::new(bound)))
    }

    /// `o.optMap(v, e)`: `o.hasValue() ? optional.of(e where v is o.value()) : optional.none()`,
    /// `o` evaluated once; `optFlatMap` is the same without `optional.of`.
    fn opt_map(
        &mut self,
        target: IdedExpr,
        variable: &str,
        mapped: IdedExpr,
        wrapped: bool,
    ) -> IdedExpr {
        let (name, bound) = match &target.expr {
            Expr::Ident(name) => (name.clone(), None),
            _ => ("@target".to_owned(), Some(target)),
        };
        let (target, optional) = (self.name(&name), self.name("optional"));
        let there = self.method(target, "hasValue", Vec::new());
        let target = self.name(&name);
        let value = self.method(target, "value", Vec::new());
        let mut mapped = self.bound(variable, value, mapped);
        if wrapped {
            let optional = self.name("optional");
            mapped = self.method(optional, "of", vec![mapped]);
        }
        let none = self.method(optional, "none", Vec::new());
        let result = self.call(op::CONDITIONAL, vec![there, mapped, none]);
        match bound {
            Some(target) => self.bound("@target", target, result),
            None => result,
        }
    }
}
