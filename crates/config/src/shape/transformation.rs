//! `traffic.transformation`: the rules over headers.

use super::{Bounds, Field, Kind, REQUEST_BODY, RESPONSE_BODY, Text, field, required};
use crate::{Direction, MAX_TRANSFORMATIONS};

const SET: &str = "Headers that get this one value, whatever they had before. If the value's \
    expression fails, the header is left out, the caller's own as well.";
const ADD: &str =
    "Headers that get one more value. If the value's expression fails, it is left out.";
const REMOVE: &str = "Headers that lose all their values.";

/// `traffic.transformation.request`
pub(crate) const REQUEST: &[Field] = &[
    field(
        "set",
        Kind::List(HEADERS, &Kind::Object(&header_value(Direction::Request, true), &[])),
        SET,
    ),
    field(
        "add",
        Kind::List(HEADERS, &Kind::Object(&header_value(Direction::Request, false), &[])),
        ADD,
    ),
    field(
        "remove",
        Kind::List(HEADERS, &Kind::Text(Text::Header { of: Direction::Request, pseudo: false })),
        REMOVE,
    ),
    REQUEST_BODY,
];

/// `traffic.transformation.response`
pub(crate) const RESPONSE: &[Field] = &[
    field(
        "set",
        Kind::List(HEADERS, &Kind::Object(&header_value(Direction::Response, true), &[])),
        SET,
    ),
    field(
        "add",
        Kind::List(HEADERS, &Kind::Object(&header_value(Direction::Response, false), &[])),
        ADD,
    ),
    field(
        "remove",
        Kind::List(HEADERS, &Kind::Text(Text::Header { of: Direction::Response, pseudo: false })),
        REMOVE,
    ),
    RESPONSE_BODY,
];

/// `set`, `add` and `remove`
pub(crate) const HEADERS: Bounds = Bounds { limit: MAX_TRANSFORMATIONS, if_empty: None };

/// One of `set` or `add`.
pub(crate) const fn header_value(of: Direction, pseudo: bool) -> [Field; 2] {
    [
        required(
            "name",
            Kind::Text(Text::Header { of, pseudo }),
            "The header's name. Letter case does not matter.",
        ),
        required(
            "value",
            Kind::Text(Text::Expression),
            "A CEL expression that returns a string or bytes; a fixed text is `'\"text\"'`.",
        ),
    ]
}
