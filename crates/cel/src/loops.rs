//! Loops over keys and values, for an evaluator that has only loops over keys.
//!
//! In the tree they are comprehensions with two variables, and so the check sees them. Before
//! evaluation, `range.all(k, v, p)` becomes a loop over the keys of the range, in which `v` is
//! replaced by `range[k]`; the range is evaluated once.

use std::collections::HashMap;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, operators as op,
};
use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, LIST_TYPE, MAP_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};

use super::attributes::Table;
use super::budget::strict;
use super::parse::{KEY, MAP_OF, VALUE};

/// Returns the keys of a map, or the indices of a list.
const KEYS: &str = "@keys";

/// Whether a loop is that of `mapValues`, `filterKeys` or `removeKeys`, which take no list.
pub(super) fn is_of_map(comprehension: &ComprehensionExpr) -> bool {
    comprehension.iter_var == KEY || comprehension.iter_var2.as_deref() == Some(VALUE)
}

/// Turns a loop with two variables into a loop with one.
pub(super) fn simplify(comprehension: &mut ComprehensionExpr, id: u64, table: &Table) {
    let is_of_map = is_of_map(comprehension);
    let Some(value) = comprehension.iter_var2.take() else { return };
    let node = |expr| IdedExpr { id, expr };
    let call = |name: &str, args| {
        node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    };
    // The name is that of this loop alone, because an inner loop may read its value.
    let range = format!("@range{id}");
    // The same goes for its key: where the value is read, an inner loop may use the key's name for
    // another variable.
    let key = format!("@key{id}");
    let element =
        call(op::INDEX, vec![node(Expr::Ident(range.clone())), node(Expr::Ident(key.clone()))]);
    for part in [&mut comprehension.loop_cond, &mut comprehension.loop_step] {
        substitute(part, &value, &element);
        substitute(part, &comprehension.iter_var, &node(Expr::Ident(key.clone())));
    }
    comprehension.iter_var = key;
    let keys = call(KEYS, vec![node(Expr::Ident(range.clone()))]);
    let mut ranged = std::mem::replace(&mut comprehension.iter_range, keys);
    if is_of_map {
        strict::expect(&mut ranged, "loop", "map", table);
    }
    let bound = ComprehensionExpr {
        iter_range: node(Expr::List(ListExpr::new(Vec::new()))),
        iter_var: "#unused".to_owned(),
        iter_var2: None,
        accu_var: range.clone(),
        accu_init: ranged,
        loop_cond: node(Expr::Literal(LiteralValue::Boolean(false.into()))),
        loop_step: node(Expr::Ident(range)),
        result: IdedExpr::default(),
    };
    let inner = std::mem::replace(comprehension, bound);
    comprehension.result = node(Expr::Comprehension(Box::new(inner)));
}

/// Replaces a variable by an expression, wherever no inner loop has a variable of the same name.
fn substitute(node: &mut IdedExpr, variable: &str, by: &IdedExpr) {
    match &mut node.expr {
        Expr::Ident(name) if name == variable => *node = by.clone(),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                substitute(part, variable, by);
            }
        }
        Expr::Comprehension(c) => {
            substitute(&mut c.iter_range, variable, by);
            substitute(&mut c.accu_init, variable, by);
            if c.accu_var == variable {
                return;
            }
            substitute(&mut c.result, variable, by);
            if c.iter_var != variable && c.iter_var2.as_deref() != Some(variable) {
                substitute(&mut c.loop_cond, variable, by);
                substitute(&mut c.loop_step, variable, by);
            }
        }
        Expr::List(list) => {
            for part in &mut list.elements {
                substitute(part, variable, by);
            }
        }
        Expr::Select(select) => substitute(&mut select.operand, variable, by),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    substitute(&mut entry.key, variable, by);
                    substitute(&mut entry.value, variable, by);
                }
            }
        }
        // Refused by the check.
        Expr::Struct(_) => {}
    }
}

/// Declares the functions that these loops, and macros that make maps, call.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(KEYS, "keys_of_list", vec![LIST_TYPE], indices)?;
    env.add_overload(KEYS, "keys_of_map", vec![MAP_TYPE], one)?;
    env.add_overload(MAP_OF, "map_of_maps", vec![LIST_TYPE], map_of)
}

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn one<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let count = arguments.len();
    arguments
        .into_iter()
        .next()
        .filter(|_| count == 1)
        .ok_or_else(|| ExecutionError::invalid_argument_count(1, count))
}

fn indices<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let size = one(arguments)?.as_sizer().map_or(0, |list| *list.size().inner());
    let indices: Vec<Box<dyn Val + 'v>> =
        (0..size).map(|index| Box::new(CelInt::from(index)) as Box<dyn Val + 'v>).collect();
    Ok(CowVal::owned(CelList::from(indices)))
}

fn map_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let maps = one(arguments)?;
    let wrong = |message: &str| ExecutionError::function_error("transformMapEntry", message);
    let mut made: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = HashMap::new();
    let mut elements = maps.as_iterable().ok_or_else(|| wrong("expected a list"))?.iter();
    while let Some(map) = elements.next() {
        let map = map.downcast_ref::<CelMap<'v>>().ok_or_else(|| wrong("expected a map"))?;
        for (key, value) in map.inner() {
            if made.insert(key.clone(), value.clone()).is_some() {
                super::bridge::unreadable();
                return Err(wrong("a key is given twice"));
            }
        }
    }
    drop(elements);
    Ok(CowVal::owned(CelMap::from(made)))
}
