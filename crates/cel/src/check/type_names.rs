//! The names of types, which are values.

use cel::IdedExpr;
use cel::common::ast::Expr;

use crate::written::dotted;

/// The type names that CEL has as values.
pub(super) const TYPE_NAMES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// Those with dots in them, which no variable hides.
const QUALIFIED_TYPE_NAMES: &[&str] =
    &["google.protobuf.Timestamp", "google.protobuf.Duration", "net.IP", "net.CIDR"];

/// The name of a type with dots in it, if a node spells one.
pub(crate) fn qualified_type(node: &IdedExpr) -> Option<&'static str> {
    let Expr::Select(select) = &node.expr else { return None };
    let names = QUALIFIED_TYPE_NAMES.iter().copied();
    let mut of_field = names.filter(|name| name.ends_with(select.field.as_str())).peekable();
    of_field.peek()?;
    let spelled = dotted(node)?;
    of_field.find(|name| *name == spelled)
}
