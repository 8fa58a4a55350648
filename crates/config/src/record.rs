//! Reads `audit.filter` and `audit.fields`.

use super::Expr;
use super::decode::{Errors, Object};
use super::read::read_expression;
use super::shape;

/// The most fields that may be added to audit records.
pub const MAX_RECORD_FIELDS: usize = 32;

/// `audit.filter` and `audit.fields`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordConfig {
    /// Which of the decisions that `audit.log` selects are logged: those for which it is true.
    pub filter: Option<Expr>,
    /// The fields that are added to records.
    pub fields: Vec<RecordFieldConfig>,
}

/// One of `audit.fields.add`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFieldConfig {
    /// The field's name.
    pub name: String,
    /// Its value.
    pub value: Expr,
}

/// Reads what `audit` has of these.
pub(super) fn read(audit: &Object<'_>, errors: &mut Errors) -> RecordConfig {
    let filter = audit.get("filter").and_then(|node| read_expression(&node, errors));
    let fields = audit.get("fields").and_then(|node| node.object(shape::RECORD_FIELDS, errors));
    let added = fields
        .and_then(|fields| fields.get("add"))
        .map_or_else(Vec::new, |node| node.map(shape::ADDED_FIELDS, shape::ADDED, errors));
    let fields = added.into_iter().filter_map(|(name, node)| {
        Some(RecordFieldConfig { name: name.to_owned(), value: read_expression(&node, errors)? })
    });
    RecordConfig { filter, fields: fields.collect() }
}
