//! Answers that the author of a configuration composes: a body, as it is or by an expression, and
//! headers.

use super::decode::{Errors, Node, Object, shown};
use super::read::read_expression;
use super::shape::{Bounds, Condition, Field, Kind, Text, field, header_value};
use super::{Expr, HeaderValueConfig};
use egress_reading::header_name::{self, Direction};

/// The longest body of an answer: in characters as a text, in bytes as the value of an expression.
pub const MAX_REPLY_BODY: usize = 4_096;
/// The most headers that one answer may have.
pub const MAX_REPLY_HEADERS: usize = 16;

/// `body` or `bodyExpression`, and `headers`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplyConfig {
    /// The body; none where neither field is there.
    pub body: Option<ReplyBody>,
    /// The headers, in order.
    pub headers: Vec<HeaderValueConfig>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyBody {
    /// `body`: this text.
    Text(String),
    /// `bodyExpression`: the value of an expression, a string or bytes.
    Expression(Expr),
}

/// `body`
pub(super) const BODY: Field = field(
    "body",
    Kind::Text(Text::Free(MAX_REPLY_BODY)),
    "The body, as it is: text/plain, unless `headers` has another `content-type`.",
);

/// `bodyExpression`
pub(super) const BODY_EXPRESSION: Field = field(
    "bodyExpression",
    Kind::Text(Text::Expression),
    "The body, as a CEL expression that returns a string or bytes, of at most 4,096 bytes.",
);

/// `headers`
pub(super) const REPLY_HEADERS: Field = field(
    "headers",
    Kind::List(LISTED_HEADERS, &Kind::Object(&header_value(Direction::Response, false), &[])),
    "Headers of the answer. If a value's expression fails, that header is left out.",
);

const LISTED_HEADERS: Bounds =
    Bounds { limit: MAX_REPLY_HEADERS, if_empty: Some("name a header, or leave the field out") };

/// A body is given in one way.
pub(super) const ONE_BODY: Condition = Condition::AtMostOne(&["body", "bodyExpression"]);

/// `denial`
pub(super) const DENIAL: &[Field] = &[BODY, BODY_EXPRESSION, REPLY_HEADERS];

/// What `denial` must have.
pub(super) const DENIAL_IS: &[Condition] =
    &[ONE_BODY, Condition::AnyOf(&["body", "bodyExpression", "headers"])];

/// Reads `denial`.
pub(super) fn read_denial(node: &Node<'_>, errors: &mut Errors) -> Option<ReplyConfig> {
    let fields = node.object(DENIAL, errors)?;
    fields.check(DENIAL_IS, errors);
    Some(read_reply(&fields, errors))
}

/// Reads body and headers of an answer among the fields of an object that has been checked against
/// its shape.
pub(super) fn read_reply(fields: &Object<'_>, errors: &mut Errors) -> ReplyConfig {
    let text = fields.get("body").and_then(|node| node.text(Text::Free(MAX_REPLY_BODY), errors));
    let expression = fields.get("bodyExpression").and_then(|node| read_expression(&node, errors));
    let body = expression
        .map(ReplyBody::Expression)
        .or_else(|| text.map(|text| ReplyBody::Text(text.to_owned())));
    let items = fields.get("headers").map(|node| node.list(LISTED_HEADERS, errors));
    let items = items.unwrap_or_default();
    let headers = items.iter().filter_map(|item| read_header(item, errors)).collect();
    ReplyConfig { body, headers }
}

fn read_header(item: &Node<'_>, errors: &mut Errors) -> Option<HeaderValueConfig> {
    let fields = item.object(&header_value(Direction::Response, false), errors)?;
    let name = fields.get("name").and_then(|node| read_name(&node, errors));
    let value = fields.get("value").and_then(|node| read_expression(&node, errors));
    // The expression is checked even if the name is wrong: all errors are reported at once.
    Some(HeaderValueConfig { name: name.unwrap_or_default(), value: value? })
}

fn read_name(node: &Node<'_>, errors: &mut Errors) -> Option<String> {
    let name = node.string(errors)?.to_ascii_lowercase();
    let checked = if name.starts_with(':') {
        Err(format!("`{}` is no header: an answer has no pseudo-headers here", shown(&name)))
    } else {
        header_name::check(&name, Direction::Response, false)
    };
    match checked {
        Ok(()) => Some(name),
        Err(message) => {
            errors.add(&node.place, message);
            None
        }
    }
}
