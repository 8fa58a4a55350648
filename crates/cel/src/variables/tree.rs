//! Variables in the trees of expressions.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, SelectExpr};

use super::{Scope, Variable};
use crate::check::string_literal;
use crate::limits::children;
use crate::sort;

/// The name that variables are read from.
pub(crate) const ROOT: &str = "variables";
/// Reads a variable, in a tree that is ready to be evaluated: `@variable(@variable3)`, where the
/// argument's name resolves to the outcome of the fourth variable that the expression reads. No
/// source can spell either.
pub(crate) const VARIABLE: &str = "@variable";
/// The same for a variable whose type is known only at a request.
pub(crate) const ANY_VARIABLE: &str = "@any_variable";

/// The name of the variable that a node of a source reads: `variables.name`. Where there are
/// variables, no macro may call its own `variables`.
pub(crate) fn use_in(node: &IdedExpr) -> Option<&SelectExpr> {
    match &node.expr {
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(root) if root.strip_prefix('.').unwrap_or(root) == ROOT => Some(select),
            _ => None,
        },
        _ => None,
    }
}

/// The variable that a node of a source reads.
pub(crate) fn used_at<'v>(node: &IdedExpr, scope: Scope<'v>) -> Option<&'v Arc<Variable>> {
    if scope.variables.is_empty() {
        return None;
    }
    let select = use_in(node).filter(|select| !select.test)?;
    scope.variables.get(&select.field)
}

/// Puts the literals that variables stand for into a tree. Returns which node was which variable.
pub(crate) fn constants<'v>(
    root: &mut IdedExpr,
    scope: Scope<'v>,
) -> Vec<(u64, &'v Arc<Variable>)> {
    let mut found = Vec::new();
    if !scope.variables.is_empty() {
        put_constants(root, scope, &mut found);
    }
    found
}

fn put_constants<'v>(
    node: &mut IdedExpr,
    scope: Scope<'v>,
    found: &mut Vec<(u64, &'v Arc<Variable>)>,
) {
    match used_at(node, scope).and_then(|variable| Some((variable, variable.constant.as_ref()?))) {
        Some((variable, constant)) => {
            let id = node.id;
            *node = constant.clone();
            place(node, id);
            found.push((id, variable));
        }
        None => each_child_mut(node, &mut |child| put_constants(child, scope, found)),
    }
}

/// Gives all nodes of a tree the place of one node.
fn place(node: &mut IdedExpr, id: u64) {
    node.id = id;
    each_child_mut(node, &mut |child| place(child, id));
}

/// Replaces the variables in a tree that has been checked by calls that the evaluator knows.
/// Those that are read are put into `read`, each once.
pub(crate) fn refer(node: &mut IdedExpr, scope: Scope<'_>, read: &mut Vec<Arc<Variable>>) {
    if scope.variables.is_empty() {
        return;
    }
    let Some(variable) = used_at(node, scope) else {
        each_child_mut(node, &mut |child| refer(child, scope, read));
        return;
    };
    let index = read.iter().position(|known| Arc::ptr_eq(known, variable)).unwrap_or_else(|| {
        read.push(Arc::clone(variable));
        read.len().saturating_sub(1)
    });
    let name = IdedExpr { id: node.id, expr: Expr::Ident(format!("{VARIABLE}{index}")) };
    let call = if variable.may_be_any { ANY_VARIABLE } else { VARIABLE };
    node.expr = Expr::Call(CallExpr { func_name: call.to_owned(), target: None, args: vec![name] });
}

/// The index, among those that an expression reads, of the variable that a node of a tree reads.
pub(crate) fn referred(node: &IdedExpr) -> Option<usize> {
    let Expr::Call(call) = &node.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (VARIABLE | ANY_VARIABLE, [IdedExpr { expr: Expr::Ident(name), .. }]) => index_of(name),
        _ => None,
    }
}

/// The index that a name stands for.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    name.strip_prefix(VARIABLE)?.parse().ok()
}

/// Whether an expression is a literal, or a list or map of them.
pub(super) fn is_constant(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(_) => true,
        Expr::List(_) | Expr::Map(_) => children(node).into_iter().all(is_constant),
        _ => false,
    }
}

/// The texts of a list of literals, sorted; none if it is no such list.
pub(crate) fn texts(node: &IdedExpr) -> Option<Arc<[Box<str>]>> {
    let Expr::List(list) = &node.expr else { return None };
    if !list.optional_indices.is_empty() {
        return None;
    }
    let texts = list.elements.iter().map(|element| string_literal(element).map(Box::from));
    let mut texts = texts.collect::<Option<Vec<Box<str>>>>()?;
    sort::by(&mut texts, |a, b| a.cmp(b));
    Some(texts.into())
}

/// Visits the parts of an expression, in the order of the tree. It is in the module once.
pub(crate) fn each_child_mut(node: &mut IdedExpr, show: &mut dyn FnMut(&mut IdedExpr)) {
    match &mut node.expr {
        // What makes messages is refused by the check.
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(show)
        }
        Expr::Comprehension(c) => {
            [&mut c.iter_range, &mut c.accu_init, &mut c.loop_cond, &mut c.loop_step, &mut c.result]
                .into_iter()
                .for_each(show)
        }
        Expr::List(list) => list.elements.iter_mut().for_each(show),
        Expr::Select(select) => show(&mut select.operand),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    show(&mut entry.key);
                    show(&mut entry.value);
                }
            }
        }
    }
}
