//! Reads `traffic.timeouts` and `traffic.retry`.

use super::decode::{Errors, Node, Object};
use super::read::read_expression;
use super::shape::{self, Text};
use super::{Expr, PolicyConfig, text};

/// The most further tries of a request, as in AgentGateway.
pub const MAX_ATTEMPTS: u64 = 255;
/// The most status codes with which a request is tried again.
pub const MAX_RETRY_CODES: usize = 32;

/// `traffic.retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryConfig {
    /// The most further tries, at least 1.
    pub attempts: u64,
    /// The status codes of the origin with which a request is tried again.
    pub codes: Vec<u64>,
    /// What must be true of a request that is to be tried again.
    pub precondition: Option<Expr>,
}

/// Reads what `traffic` has of these into a policy.
#[inline(never)]
pub(super) fn read(traffic: &Object<'_>, policy: &mut PolicyConfig, errors: &mut Errors) {
    if let Some(node) = traffic.get("timeouts") {
        policy.request_timeout = read_timeout(&node, errors);
    }
    if let Some(node) = traffic.get("retry") {
        policy.retry = read_retry(&node, errors);
    }
}

fn read_timeout(node: &Node<'_>, errors: &mut Errors) -> Option<u64> {
    let node = node.object(shape::TIMES, errors)?.get("request")?;
    let milliseconds = text::milliseconds(node.text(Text::Duration, errors)?)?;
    if milliseconds == 0 {
        errors.add(
            &node.place,
            "a timeout is at least `1ms`: leave `timeouts` out for that of the route",
        );
    }
    Some(milliseconds)
}

fn read_retry(node: &Node<'_>, errors: &mut Errors) -> Option<RetryConfig> {
    let fields = node.object(shape::RETRIED, errors)?;
    let attempts = fields.get("attempts").and_then(|node| node.integer(0, MAX_ATTEMPTS, errors));
    let codes =
        fields.get("codes").map_or_else(Vec::new, |node| node.list(shape::RETRY_CODES, errors));
    Some(RetryConfig {
        attempts: attempts.unwrap_or_default().max(1),
        codes: codes.iter().filter_map(|node| node.integer(400, 599, errors)).collect(),
        precondition: fields.get("precondition").and_then(|node| read_expression(&node, errors)),
    })
}
