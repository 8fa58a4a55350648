//! `audit.filter` and `audit.fields`.

use super::{Bounds, Field, Kind, Text, field, required};
use crate::MAX_RECORD_FIELDS;

pub(super) const FILTER: Field = field(
    "filter",
    Kind::Text(Text::Expression),
    "A CEL expression that returns a bool. Of the decisions that `log` selects, those for which it \
     is true get a record, and those for which it fails.",
);

pub(super) const FIELDS: Field = field(
    "fields",
    Kind::Object(RECORD_FIELDS, &[]),
    "Values of one's own in each audit record, as in AgentGateway's `logging.fields`.",
);

/// `audit.fields`
pub(crate) const RECORD_FIELDS: &[Field] = &[required(
    "add",
    Kind::Map(ADDED_FIELDS, ADDED, &Kind::Text(Text::Expression)),
    "Names, and for each a CEL expression that returns a value of any type. In a record they are \
     under `fields`; with `accessLog: true` they are filter state `wasm.egress_field_<name>` too. \
     A value whose expression fails is left out.",
)];

/// The names of fields.
pub(crate) const ADDED: Text = Text::RecordField;
/// `audit.fields.add`
pub(crate) const ADDED_FIELDS: Bounds =
    Bounds { limit: MAX_RECORD_FIELDS, if_empty: Some("name a field, or leave `fields` out") };
