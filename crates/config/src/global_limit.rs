//! `traffic.rateLimit.global`: limits that a service keeps.

use std::time::Duration;

use super::Expr;
use super::callouts::{FailureMode, MAX_DEADLINE, read_timeout};
use super::decode::{Errors, Node};
use super::json::Json;
use super::read::read_expression;
use super::service::{self, ServiceConfig, text_of};
use super::shape::{self, Text};

/// The longest domain, in characters.
pub const MAX_DOMAIN: usize = 256;
/// The most descriptors of one policy.
pub const MAX_DESCRIPTORS: usize = 16;
/// The most entries of one descriptor.
pub const MAX_ENTRIES: usize = 16;
/// The longest name of an entry, in characters.
pub const MAX_ENTRY_NAME: usize = 64;
/// How long an answer is waited for where the configuration does not say.
const TIMEOUT: Duration = Duration::from_millis(100);

/// `traffic.rateLimit.global`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalLimitConfig {
    /// The JSON path, for messages.
    pub place: String,
    /// The rate limit service.
    pub service: ServiceConfig,
    /// What becomes of a request without an answer.
    pub failure_mode: FailureMode,
    /// How long an answer is waited for; never zero.
    pub timeout: Duration,
    /// The name space of the limits.
    pub domain: String,
    /// What the request is counted by.
    pub descriptors: Vec<DescriptorConfig>,
}

/// One of `traffic.rateLimit.global.descriptors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorConfig {
    /// Names, and the expressions of their values.
    pub entries: Vec<(String, Expr)>,
    /// How many requests one counts for.
    pub cost: Option<Expr>,
    /// The limit in place of the service's own.
    pub limit_override: Option<Expr>,
}

/// Reads `global`.
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> Option<GlobalLimitConfig> {
    let fields = node.object(shape::GLOBAL_LIMIT, errors)?;
    fields.check(shape::GLOBAL_LIMIT_IS, errors);
    let service = service::read(&fields, errors);
    let failure_mode = fields.get("failureMode").map(|node| node.word(shape::FAILURE_MODE, errors));
    let timeout = match fields.get("timeout") {
        Some(node) => read_timeout(&node, MAX_DEADLINE, "`1ms` to `1m`", errors),
        None => Some(TIMEOUT),
    };
    let domain = text_of(&fields, "domain", Text::Free(MAX_DOMAIN), errors);
    let descriptors = fields.get("descriptors")?.list(shape::DESCRIPTORS, errors);
    let descriptors = descriptors.iter().filter_map(|item| read_descriptor(item, errors)).collect();
    Some(GlobalLimitConfig {
        place: node.place.clone(),
        // The expressions are checked even if the rest is wrong: all errors are reported at once.
        service: service.unwrap_or_default(),
        failure_mode: failure_mode.flatten().unwrap_or_default(),
        timeout: timeout.unwrap_or(TIMEOUT),
        domain: domain.unwrap_or_default(),
        descriptors,
    })
}

fn read_descriptor(node: &Node<'_>, errors: &mut Errors) -> Option<DescriptorConfig> {
    let fields = node.object(shape::DESCRIPTOR, errors)?;
    if let Some(unit) = fields.get("unit") {
        if matches!(unit.json, Json::String(text) if text == "Tokens") {
            errors.add(
                &unit.place,
                "tokens of language models are in bodies, which are not counted here: give \
                 `Requests`, or leave the field out",
            );
        } else {
            unit.word(shape::COUNTED, errors);
        }
    }
    let mut expression = |name: &str| read_expression(&fields.get(name)?, errors);
    let (cost, limit_override) = (expression("cost"), expression("limitOverride"));
    let entries = fields.get("entries")?.list(shape::DESCRIPTOR_ENTRIES, errors);
    let entries = entries.iter().filter_map(|item| {
        let fields = item.object(shape::DESCRIPTOR_ENTRY, errors)?;
        let name = text_of(&fields, "name", Text::Free(MAX_ENTRY_NAME), errors);
        let value = read_expression(&fields.get("expression")?, errors);
        Some((name.unwrap_or_default(), value?))
    });
    Some(DescriptorConfig { entries: entries.collect(), cost, limit_override })
}
