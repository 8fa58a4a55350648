//! Macros: calls that are other expressions (langdef, "Macros").
//!
//! CEL's own, those of its extensions `bindings`, `math`, `optional` and `comprehensions`, and
//! AgentGateway's `default`, `with`, `mapValues` and their like. A loop over keys and values is a
//! comprehension with two variables in the tree. The evaluator has only loops with one, so
//! [`super::super::loops`] turns it into such a loop.

mod maker;

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators as op};

use super::lexer::Fault;
use crate::limits;
use crate::written::dotted;
pub(super) use maker::Maker;
use maker::Over;
pub(crate) use maker::{KEY, MAP_OF, VALUE};

/// What a call becomes.
pub(super) enum Expanded {
    /// The expansion of a macro.
    Made(IdedExpr),
    /// It is no macro, and remains a call with this target and these arguments.
    Call(Option<IdedExpr>, Vec<IdedExpr>),
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
    /// The macro of a call, by its name, target and number of arguments.
    fn of(name: &str, target: Option<&IdedExpr>, count: usize) -> Option<Macro> {
        let on = |namespace: &str| match target.map(|target| &target.expr) {
            Some(Expr::Ident(name)) => name == namespace,
            _ => false,
        };
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

    /// How many of the arguments are names of variables.
    fn variables(self, count: usize) -> usize {
        match self {
            Macro::Has | Macro::FirstOf | Macro::Extreme(_) => 0,
            Macro::All | Macro::Exists | Macro::ExistsOne => count.saturating_sub(1),
            Macro::TransformList | Macro::TransformMap | Macro::TransformMapEntry => 2,
            _ => 1,
        }
    }
}

/// Expands a call, if it is that of a macro.
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
    // INVARIANT: by the table above, a call has at least one argument behind its variables.
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

/// How to ask for the key of `map["key"]`.
fn key_in(arguments: &[IdedExpr]) -> Option<String> {
    let [map, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] = arguments else {
        return None;
    };
    let (key, map) = (key.inner().escape_debug(), dotted(map)?);
    Some(format!("`has({map}.name)`; for this key write `\"{key}\" in {map}`"))
}

fn has(make: &mut Maker<'_>, tested: IdedExpr) -> Result<IdedExpr, Fault> {
    match tested.expr {
        Expr::Select(select) => {
            Ok(make.node(Expr::Select(cel::common::ast::SelectExpr { test: true, ..select })))
        }
        tested_expr => {
            let mend = match &tested_expr {
                Expr::Call(call) if call.func_name == op::INDEX => key_in(&call.args),
                _ => None,
            };
            let mend = mend.unwrap_or_else(|| "`has(request.headers.host)`".to_owned());
            let message = format!("`has` expects a field, as in {mend}");
            Err(Fault::new(make.places.start(tested.id), message))
        }
    }
}

/// The first that neither fails nor is null; if there is none, the last, whatever it is.
///
/// CEL turns an error into a value in only one function: `@not_strictly_false`, which the macros
/// `all` and `exists` use, is true for an error. So `default(a, b)` is `@not_strictly_false(a ==
/// null) ? b : a`. That doubles `a`, and `default(default(...), ...)` doubles it at each level: its
/// size is bounded before it is copied.
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
    let numbers = |node: &IdedExpr| {
        let Expr::List(list) = &node.expr else { return false };
        !list.elements.is_empty() && list.elements.iter().all(number)
    };
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
