//! What asks whether something is there must not fail because it is not: `has(request.body)`,
//! `has(extauthz.team)` and `extauthz.?team`.
//!
//! Reading bytes that are not there is an error that nothing catches, and data that is not there
//! has no fields. So these forms get names of their own, which no source can spell: a bool, and
//! data that is an empty map where it is not there.

use cel::IdedExpr;
use cel::common::ast::{Expr, operators as op};
use cel::common::types::CelBool;
use cel::common::value::Val;

use super::attributes::{Attributes, Kind, Table, Unread};
use super::data::Data;
use super::variables::each_child_mut;
use super::{bridge, values};

/// The prefix of the names.
const PREFIX: &str = "@has ";

/// Puts the names into a tree that has been checked. `bound` are the variables of the macros
/// around it, which hide attributes.
pub(crate) fn mark(node: &mut IdedExpr, table: &Table, bound: &mut Vec<String>) {
    let is_bound = |name: &str| bound.iter().any(|known| known == name);
    match &mut node.expr {
        Expr::Select(select) if select.test => {
            if let Expr::Ident(root) = &select.operand.expr
                && !is_bound(root)
            {
                let object = plain(root);
                if let Some((_, field)) = table.field(object, &select.field)
                    && field.kind == Kind::Bytes
                {
                    node.expr = Expr::Ident(format!("{PREFIX}{}", field.name));
                    return;
                }
                if table.data(object).is_some() {
                    select.operand.expr = Expr::Ident(format!("{PREFIX}{object}"));
                    return;
                }
            }
        }
        Expr::Call(call) if matches!(call.func_name.as_str(), op::OPT_SELECT | op::OPT_INDEX) => {
            if let Some(operand) = call.args.first_mut()
                && let Expr::Ident(root) = &operand.expr
                && !is_bound(root)
                && table.data(plain(root)).is_some()
            {
                operand.expr = Expr::Ident(format!("{PREFIX}{}", plain(root)));
            }
        }
        Expr::Comprehension(c) => {
            mark(&mut c.iter_range, table, bound);
            mark(&mut c.accu_init, table, bound);
            let before = bound.len();
            bound.push(c.accu_var.clone());
            mark(&mut c.result, table, bound);
            bound.push(c.iter_var.clone());
            bound.extend(c.iter_var2.clone());
            mark(&mut c.loop_cond, table, bound);
            mark(&mut c.loop_step, table, bound);
            bound.truncate(before);
            return;
        }
        _ => {}
    }
    each_child_mut(node, &mut |child| mark(child, table, bound));
}

fn plain(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}

/// The attribute that such a name asks for.
pub(crate) fn asked_for(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}

/// The value of such a name.
#[inline(never)]
pub(crate) fn named<'a>(
    attributes: &'a dyn Attributes,
    name: &str,
) -> Option<Option<Box<dyn Val + 'a>>> {
    let name = asked_for(name)?;
    let table = attributes.table();
    let id = table.id(name)?;
    Some(match table.attribute(id)?.kind {
        Kind::Bytes => match attributes.bytes(id) {
            Ok(_) => Some(Box::new(CelBool::from(true))),
            Err(Unread::Missing(_)) => Some(Box::new(CelBool::from(false))),
            Err(Unread::Unreadable(_)) => {
                bridge::unreadable();
                None
            }
        },
        _ => {
            static NOTHING: Data = Data::Map(Vec::new());
            let found = values::found_data(attributes, id);
            found.and_then(|found| values::of_data(found.unwrap_or(&NOTHING))).ok()
        }
    })
}
