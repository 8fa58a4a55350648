//! `transformation`: headers whose values are computed.

use super::conditional::{self, CONDITIONAL, ConditionalConfig, ENTRIES, Shape, entry};
use super::decode::{Errors, Node};
use super::json::Json;
use super::read::{read_expression, read_header_rules};
use super::shape::{Condition, Field, Kind, REQUEST, RESPONSE, field};
use super::{Expr, HeaderRulesConfig};
use egress_reading::header_name::Direction;

/// `transformation`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransformationConfig {
    /// `request`
    pub request: HeaderRulesConfig,
    /// `request.body`
    pub request_body: Option<Expr>,
    /// `response`
    pub response: HeaderRulesConfig,
    /// `response.body`
    pub response_body: Option<Expr>,
}

const OF_REQUEST: Field = field(
    "request",
    Kind::Object(REQUEST, &[]),
    "Changes to the request's headers, in the order add, set, remove, and to its body.",
);
const OF_RESPONSE: Field = field(
    "response",
    Kind::Object(RESPONSE, &[]),
    "Changes to the response's headers, in the order add, set, remove, and to its body.",
);
const FORM: &[Field] = &[OF_REQUEST, OF_RESPONSE];

/// `traffic.transformation`
pub(super) const TRANSFORMATION: Shape = Shape {
    whole: &[
        OF_REQUEST,
        OF_RESPONSE,
        field(
            "conditional",
            Kind::List(ENTRIES, &Kind::Object(&entry(Kind::Object(FORM, &[])), &[])),
            CONDITIONAL,
        ),
    ],
    whole_is: &[Condition::Alone("conditional")],
    form: FORM,
    form_is: &[],
};

/// Reads `transformation`.
#[inline(never)]
pub(super) fn read(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<TransformationConfig>> {
    conditional::read(node, TRANSFORMATION, errors, |fields, errors| {
        let mut form = TransformationConfig::default();
        if let Some(node) = fields.get("request") {
            form.request = read_header_rules(&node, Direction::Request, REQUEST, errors);
            form.request_body = read_body(&node, errors);
        }
        if let Some(node) = fields.get("response") {
            form.response = read_header_rules(&node, Direction::Response, RESPONSE, errors);
            form.response_body = read_body(&node, errors);
        }
        Some(form)
    })
}

/// Reads `body`, of `request` or `response`, whose fields have been checked.
fn read_body(node: &Node<'_>, errors: &mut Errors) -> Option<Expr> {
    let Json::Object(fields) = node.json else { return None };
    let (_, json) = fields.iter().find(|(name, json)| name == "body" && *json != Json::Null)?;
    read_expression(&Node { place: [&node.place, ".body"].concat(), json }, errors)
}
