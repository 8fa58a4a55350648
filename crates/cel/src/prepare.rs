//! Rewrites a tree once it is checked, before it is lowered or interpreted.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, operators as op};

use super::attributes::Table;
use super::library::time::FOR_FORMAT;
use super::regex::{self, Compiled};
use super::{bounded, check, literals, loops};

/// The prefix of the names that replace literal patterns. No source can spell one.
pub(crate) const PATTERN: &str = "@pattern";

/// What `x.headers[?"name"]` and `x.headers.?name` are evaluated as: `"name" in x.headers ?
/// optional.of(x.headers["name"]) : optional.none()`. An optional index would turn every error
/// there into "none", even that of a header which cannot be read. `x` may be a variable whose value
/// is `request`.
fn optional_header(node: &IdedExpr, table: &Table) -> Option<IdedExpr> {
    let Expr::Call(call) = &node.expr else { return None };
    let (op::OPT_INDEX | op::OPT_SELECT, [headers, name]) =
        (call.func_name.as_str(), call.args.as_slice())
    else {
        return None;
    };
    check::string_literal(name)?;
    match &headers.expr {
        Expr::Select(select)
            if !select.test
                && table.names_headers(&select.field)
                && matches!(select.operand.expr, Expr::Ident(_)) => {}
        _ => return None,
    }
    let made = |expr| IdedExpr { id: node.id, expr };
    let call = |name: &str, args| {
        made(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    };
    let optional = |name: &str, args| {
        let target = Some(Box::new(made(Expr::Ident("optional".to_owned()))));
        made(Expr::Call(CallExpr { func_name: name.to_owned(), target, args }))
    };
    let there = call(op::IN, vec![name.clone(), headers.clone()]);
    let value = call(op::INDEX, vec![headers.clone(), name.clone()]);
    Some(call(
        op::CONDITIONAL,
        vec![there, optional("of", vec![value]), optional("none", Vec::new())],
    ))
}

/// Puts a call around a node.
fn wrap(node: &mut IdedExpr, function: &str) {
    let (id, inner) = (node.id, std::mem::take(node));
    let call = CallExpr { func_name: function.to_owned(), target: None, args: vec![inner] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}

/// Compiles the literal patterns of `matches`, and replaces them by names that resolve to them;
/// calls the bounded functions by their own names.
pub(crate) fn prepare(
    node: &mut IdedExpr,
    table: &Table,
    patterns: &mut Vec<Compiled>,
    mistakes: &mut Vec<check::Mistake>,
) {
    if let Some(plain) = optional_header(node, table) {
        *node = plain;
    }
    // As one name, it is not taken for fields of something.
    if let Some(name) = check::qualified_type(node) {
        node.expr = Expr::Ident(name.to_owned());
    }
    if let Expr::Call(call) = &mut node.expr {
        if call.func_name.starts_with('.') {
            call.func_name.remove(0);
        }
        if let (Some(bounded), true) = (bounded::name_of(&call.func_name), call.target.is_some()) {
            bounded.clone_into(&mut call.func_name);
        }
        mistakes.extend(literals::mistake(call));
        if let ("format", Some(_), [list]) =
            (call.func_name.as_str(), &call.target, call.args.as_mut_slice())
        {
            wrap(list, FOR_FORMAT);
        }
        let target = usize::from(call.target.is_some());
        if let Some(position) = regex::pattern_argument(&call.func_name, call.target.is_some())
            && let Some(argument) = call.args.get_mut(position.saturating_sub(target))
            && let Some(pattern) = check::string_literal(argument)
        {
            match Compiled::new(pattern) {
                Ok(compiled) => {
                    argument.expr = Expr::Ident(format!("{PATTERN}{}", patterns.len()));
                    patterns.push(compiled);
                }
                Err(message) => mistakes.push(check::Mistake { node: argument.id, message }),
            }
        }
    }
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                prepare(part, table, patterns, mistakes);
            }
        }
        Expr::Comprehension(c) => {
            loops::simplify(c, node.id, table);
            for part in [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ] {
                prepare(part, table, patterns, mistakes);
            }
        }
        Expr::List(list) => {
            for part in &mut list.elements {
                prepare(part, table, patterns, mistakes);
            }
        }
        Expr::Select(select) => prepare(&mut select.operand, table, patterns, mistakes),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    prepare(&mut entry.key, table, patterns, mistakes);
                    prepare(&mut entry.value, table, patterns, mistakes);
                }
            }
        }
        // Refused by the check.
        Expr::Struct(_) => {}
    }
}
