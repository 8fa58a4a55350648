//! Bounds on an expression's size, checked when the configuration loads.
//!
//! The parser, the checker and the evaluator all recurse with the depth of the expression, on a
//! wasm stack of about a megabyte. The parser bounds the depth of the source while it reads it. The
//! depth of what macros expand to is bounded here.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, MapExpr, StructExpr};

use super::variables::{self, MAX_PARTS, Scope};

/// The longest source of an expression, in bytes.
pub const MAX_SOURCE: usize = 4096;
/// The deepest nesting of an expression: brackets, operators, selections and calls.
pub const MAX_DEPTH: usize = 48;
/// The deepest nesting of comprehensions (`all`, `exists`, `map`, `filter`): each one multiplies
/// the cost.
pub const MAX_COMPREHENSIONS: usize = 2;
/// The most steps that a rule, or a header's value, may take for a request, with all its
/// expressions in all readings of the request: about 20 ms of a worker.
pub const MAX_STEPS: u64 = 100_000;
/// The most steps that all rules and header values together may take for a request, and again for
/// its response: about 100 ms of a worker.
pub const MAX_REQUEST_STEPS: u64 = 500_000;

/// The most nodes that an argument of `default` and `coalesce` which is evaluated twice may have.
pub const MAX_DOUBLED: usize = 128;

/// How many levels of nesting a variable counts, besides those of its expression: it may be
/// evaluated by an evaluation of its own, which needs more of the stack than a level.
const VARIABLE_DEPTH: usize = 6;

/// The size of an expression, with the expressions of variables in their place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    /// How many parts there are.
    pub(crate) parts: usize,
    /// How deep they are nested.
    pub(crate) depth: usize,
    /// How deep loops are nested.
    pub(crate) loops: usize,
    /// Whether a variable is among them.
    pub(crate) has_variables: bool,
}

/// Checks the size of an expression once it is parsed.
pub(crate) fn check_size(root: &IdedExpr, scope: Scope<'_>) -> Result<Size, String> {
    let mut size = Size::default();
    // A loop with a stack of its own: the depth is not known to be safe to recurse over yet.
    let mut todo = vec![(root, 1_usize, 0_usize)];
    while let Some((node, depth, outer)) = todo.pop() {
        let variable = variables::used_at(node, scope).map(|variable| variable.size());
        let inner = variable.unwrap_or_default();
        let own = if variable.is_some() { VARIABLE_DEPTH } else { 0 };
        let depth = depth.saturating_add(inner.depth).saturating_add(own);
        let around = outer;
        let outer = outer.saturating_add(usize::from(loops(node))).saturating_add(inner.loops);
        size.parts = size.parts.saturating_add(1).saturating_add(inner.parts);
        size.depth = size.depth.max(depth);
        size.loops = size.loops.max(outer);
        size.has_variables |= variable.is_some();
        if outer > MAX_COMPREHENSIONS {
            return Err(format!(
                "macros such as `all` and `map` are nested {outer} deep, the limit is \
                 {MAX_COMPREHENSIONS}{}",
                with_variables(size)
            ));
        }
        // The expansion of a macro is some levels deeper than its call.
        if depth > MAX_DEPTH.saturating_mul(3) {
            let limit = MAX_DEPTH.saturating_mul(3);
            return Err(if size.has_variables {
                format!(
                    "the variables and macros of the expression make it nested {depth} deep (a \
                     variable counts {VARIABLE_DEPTH} levels more), the limit is {limit}"
                )
            } else {
                format!(
                    "the macros of the expression make it nested {depth} deep, the limit is {limit}"
                )
            });
        }
        if size.has_variables && size.parts > MAX_PARTS {
            return Err(format!(
                "the expression has more than {MAX_PARTS} parts{}: shorten the variables, or read \
                 them less often",
                with_variables(size)
            ));
        }
        let below = depth.saturating_add(1);
        match &node.expr {
            // The range, the first value and the result are evaluated once, outside of the loop. So
            // a loop over what another loop made is not nested in it.
            Expr::Comprehension(c) => {
                for once in [&c.iter_range, &c.accu_init, &c.result] {
                    todo.push((once, below, around));
                }
                for each in [&c.loop_cond, &c.loop_step] {
                    todo.push((each, below, outer));
                }
            }
            _ => each_child(node, &mut |child| todo.push((child, below, outer))),
        }
    }
    Ok(size)
}

fn with_variables(size: Size) -> &'static str {
    if size.has_variables { ", with the expressions of its variables in their place" } else { "" }
}

/// Whether a node is a loop. A comprehension over an empty list, with which macros bind a variable,
/// is none.
fn loops(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Comprehension(c) => {
            !matches!(&c.iter_range.expr, Expr::List(list) if list.elements.is_empty())
        }
        _ => false,
    }
}

/// Checks an expression that a macro, `default` or `coalesce`, is about to copy.
pub(crate) fn check_doubled(root: &IdedExpr, function: &str) -> Result<(), String> {
    let (mut todo, mut nodes) = (vec![root], 0_usize);
    while let Some(node) = todo.pop() {
        nodes = nodes.saturating_add(1);
        if nodes > MAX_DOUBLED {
            let doubled = if function == "default" {
                "the first argument"
            } else {
                "each argument but the last"
            };
            return Err(format!(
                "{doubled} of `{function}` is evaluated twice, and the limit is {MAX_DOUBLED} \
                 parts: nest `default(a, default(b, c))`, not `default(default(a, b), c)`"
            ));
        }
        each_child(node, &mut |child| todo.push(child));
    }
    Ok(())
}

pub(crate) fn too_deep() -> String {
    format!(
        "the expression is nested too deep, the limit is {MAX_DEPTH}: split it into several, or \
         use `in [...]` for long chains"
    )
}

/// The parts of an expression.
pub(crate) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    let mut children = Vec::new();
    each_child(node, &mut |child| children.push(child));
    children
}

/// Visits the parts of an expression, in the order of the tree. This runs for each node of a
/// configuration, several times, so nothing is allocated for it.
pub(crate) fn each_child<'e>(node: &'e IdedExpr, show: &mut impl FnMut(&'e IdedExpr)) {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(show),
        Expr::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
                .into_iter()
                .for_each(show)
        }
        Expr::List(list) => list.elements.iter().for_each(show),
        Expr::Select(select) => show(&select.operand),
        Expr::Map(MapExpr { entries }) | Expr::Struct(StructExpr { entries, .. }) => {
            for entry in entries {
                match &entry.expr {
                    EntryExpr::StructField(field) => show(&field.value),
                    EntryExpr::MapEntry(entry) => {
                        show(&entry.key);
                        show(&entry.value);
                    }
                }
            }
        }
    }
}
