//! `headerModifiers`: headers that get, or lose, values that the configuration states.

use super::decode::{Errors, Node};
use super::json::Json;
use super::read::read_header_name;
use super::shape::{Bounds, Field, Kind, Text, field, required};
use egress_reading::header_name::{Direction, is_value};

/// The most headers that one list of `headerModifiers` may name.
pub const MAX_MODIFIERS: usize = 16;
/// The longest value of a header that `headerModifiers` states, in characters.
pub const MAX_HEADER_VALUE: usize = 4_096;

/// `headerModifiers`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderModifiersConfig {
    /// `request`
    pub request: FixedHeadersConfig,
    /// `response`
    pub response: FixedHeadersConfig,
}

/// `set`, `add` and `remove`, with values as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FixedHeadersConfig {
    /// Headers that get this one value, whatever they had before: name, lower-case, and value.
    pub set: Vec<(String, String)>,
    /// Headers that get one more value.
    pub add: Vec<(String, String)>,
    /// Headers that lose all values, lower-case.
    pub remove: Vec<String>,
}

/// `traffic.headerModifiers`
pub(super) const HEADER_MODIFIERS: &[Field] = &[
    field(
        "request",
        Kind::Object(&lists(Direction::Request), &[]),
        "Changes to the request's headers behind the transformations, in the order add, set, \
         remove.",
    ),
    field(
        "response",
        Kind::Object(&lists(Direction::Response), &[]),
        "Changes to the response's headers before the transformations, in the order add, set, \
         remove.",
    ),
];

const HEADERS: Bounds = Bounds { limit: MAX_MODIFIERS, if_empty: None };

const fn lists(of: Direction) -> [Field; 3] {
    let (request, response) = (
        &const { Kind::Object(&value(Direction::Request), &[]) },
        &const { Kind::Object(&value(Direction::Response), &[]) },
    );
    let (values, names) = match of {
        Direction::Request => {
            (request, &Kind::Text(Text::Header { of: Direction::Request, pseudo: false }))
        }
        Direction::Response => {
            (response, &Kind::Text(Text::Header { of: Direction::Response, pseudo: false }))
        }
    };
    [
        field("set", Kind::List(HEADERS, values), "Headers that get this one value."),
        field("add", Kind::List(HEADERS, values), "Headers that get one more value."),
        field("remove", Kind::List(HEADERS, names), "Headers that lose all their values."),
    ]
}

const fn value(of: Direction) -> [Field; 2] {
    [
        required(
            "name",
            Kind::Text(Text::Header { of, pseudo: false }),
            "The header's name. Letter case does not matter.",
        ),
        required("value", Kind::Text(Text::HeaderValue), "The value, as it is."),
    ]
}

/// Reads `headerModifiers`.
#[inline(never)]
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> HeaderModifiersConfig {
    let mut modifiers = HeaderModifiersConfig::default();
    let Some(fields) = node.object(HEADER_MODIFIERS, errors) else { return modifiers };
    if let Some(node) = fields.get("request") {
        modifiers.request = read_lists(&node, Direction::Request, errors);
    }
    if let Some(node) = fields.get("response") {
        modifiers.response = read_lists(&node, Direction::Response, errors);
    }
    modifiers
}

fn read_lists(node: &Node<'_>, of: Direction, errors: &mut Errors) -> FixedHeadersConfig {
    let Some(fields) = node.object(&lists(of), errors) else {
        return FixedHeadersConfig::default();
    };
    let values = |name: &str, errors: &mut Errors| -> Vec<(String, String)> {
        let items = fields.get(name).map(|node| node.list(HEADERS, errors)).unwrap_or_default();
        items.iter().filter_map(|item| read_value(item, of, errors)).collect()
    };
    let (set, add) = (values("set", errors), values("add", errors));
    let items = fields.get("remove").map(|node| node.list(HEADERS, errors)).unwrap_or_default();
    let remove = items.iter().filter_map(|item| read_name(item, of, errors)).collect();
    FixedHeadersConfig { set, add, remove }
}

fn read_value(node: &Node<'_>, of: Direction, errors: &mut Errors) -> Option<(String, String)> {
    let fields = node.object(&value(of), errors)?;
    let name = fields.get("name").and_then(|node| read_name(&node, of, errors));
    let value = fields.get("value").and_then(|node| node.text(Text::HeaderValue, errors));
    Some((name?, value?.to_owned()))
}

fn read_name(node: &Node<'_>, of: Direction, errors: &mut Errors) -> Option<String> {
    let is_of_request_line =
        |name: &str| name.starts_with(':') || name.eq_ignore_ascii_case("host");
    if matches!(node.json, Json::String(name) if is_of_request_line(name)) {
        errors.add(
            &node.place,
            "no header to be modified here: use `urlRewrite`, or `set` of a `transformation`",
        );
        return None;
    }
    read_header_name(node, of, false, errors)
}

/// Checks a header's value that is stated in the configuration.
pub(super) fn check(value: &str) -> Result<(), String> {
    let length = value.chars().count();
    if length == 0 || length > MAX_HEADER_VALUE {
        return Err(format!("the value has {length} characters: expected 1 to {MAX_HEADER_VALUE}"));
    }
    if is_value(value.as_bytes()) {
        Ok(())
    } else {
        Err("no legal value of a header: expected no control bytes, and no blanks around it"
            .to_owned())
    }
}
