//! How parts of an expression were written, for messages.

use cel::IdedExpr;
use cel::common::ast::{Expr, operators as op};

/// A name with its fields, such as `request.headers`, without the dot that may lead it.
pub(crate) fn dotted(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.strip_prefix('.').unwrap_or(name).to_owned()),
        Expr::Select(select) if !select.test => {
            let mut name = dotted(&select.operand)?;
            name.push('.');
            name.push_str(&select.field);
            Some(name)
        }
        _ => None,
    }
}

/// A field whose name was written with `-`, which takes what follows away from it: what it is a
/// field of, and the name that is meant.
pub(crate) fn hyphenated(node: &IdedExpr) -> Option<(&IdedExpr, String)> {
    match &node.expr {
        Expr::Select(select) if !select.test => Some((&select.operand, select.field.clone())),
        Expr::Call(call) if call.func_name == op::SUBSTRACT => {
            let [left, IdedExpr { expr: Expr::Ident(rest), .. }] = call.args.as_slice() else {
                return None;
            };
            let (of, mut name) = hyphenated(left)?;
            name.push('-');
            name.push_str(rest);
            Some((of, name))
        }
        _ => None,
    }
}
