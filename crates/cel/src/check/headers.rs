//! `request.headers` and `response.headers` where they are named as such, and their views.

use cel::IdedExpr;
use cel::common::ast::Expr;

use super::Checker;
use crate::attributes::{Id, Kind};
use crate::types::Type;
use egress_reading::inline;

/// Headers, as far as an expression names them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    of: Id,
    /// Whether the values are lists.
    lists: bool,
    /// Whether a value is made from all lines, so that it does not depend on the choice of one.
    every_line: bool,
    /// Whether the values are the lines as they were received, which Envoy may have joined.
    raw: bool,
}

impl Named {
    /// The type of the view.
    pub(super) fn view(self) -> Type {
        if self.lists { Type::HeaderLists } else { Type::Headers }
    }

    /// The type of its values.
    pub(super) fn value(self) -> Type {
        if self.lists { Type::list(Type::String) } else { Type::String }
    }
}

impl Checker<'_> {
    /// Which headers a node names, where it is `request.headers`, `response.headers` or a view of
    /// them.
    pub(super) fn headers_operand(&mut self, node: &IdedExpr) -> Option<Named> {
        match &node.expr {
            Expr::Select(select) => {
                let Expr::Ident(root) = &select.operand.expr else { return None };
                if select.test || self.variable(root).is_some() {
                    return None;
                }
                let object = root.strip_prefix('.').unwrap_or(root);
                let (of, attribute) = self.table.field(object, &select.field)?;
                if attribute.kind != Kind::Headers {
                    return None;
                }
                match self.ident(&select.operand, root) {
                    Type::Object(_) => {
                        Some(Named { of, lists: false, every_line: false, raw: false })
                    }
                    _ => None,
                }
            }
            Expr::Call(call) if call.args.is_empty() => {
                let view = |lists| move |named: Named| Named { lists, every_line: true, ..named };
                let target = call.target.as_deref()?;
                match call.func_name.as_str() {
                    "redacted" => self.headers_operand(target),
                    "join" => self.headers_operand(target).map(view(false)),
                    "raw" => self
                        .headers_operand(target)
                        .map(view(true))
                        .map(|named| Named { raw: true, ..named }),
                    "split" => self.headers_operand(target).map(view(true)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Notes that the header of this name is read, or without a name that any header may be.
    pub(super) fn read_header(&mut self, named: Named, name: Option<&str>) {
        let may_be_joined = named.raw && name.is_none_or(inline::is_of_request);
        if !named.every_line || may_be_joined {
            self.read_header_of(named.of, name);
        }
    }
}
