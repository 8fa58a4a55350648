//! `traffic.rateLimit`: how many requests there may be in a time.

use std::time::Duration;

use super::conditional::{self, ConditionalConfig};
use super::decode::{Errors, Node, Object};
use super::global_limit::{self, GlobalLimitConfig};
use super::read::read_expression;
use super::{Expr, shape};

/// The most entries of `rateLimit.local`.
pub const MAX_LOCAL_LIMITS: usize = 16;
/// The most `requests` of a local limit, and the largest `burst`.
pub const MAX_LIMIT: u64 = 1_000_000;

/// `traffic.rateLimit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// `local`: the limits that the waypoint keeps by itself. A request must keep all of them.
    pub local: Vec<LocalLimitConfig>,
    /// `global`: those that a service keeps.
    pub global: Option<GlobalLimitConfig>,
    /// `headers`: which answers tell the caller of the limits.
    pub headers: QuotaHeaders,
}

/// One of `rateLimit.local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLimitConfig {
    /// How many requests there may be in each unit.
    pub requests: u32,
    /// The unit.
    pub unit: LimitUnit,
    /// How many more there may be at once, if there were few before.
    pub burst: u32,
    /// By what requests are told apart; by the caller if there is none.
    pub key: Option<Expr>,
}

/// `rateLimit.local[].unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// A second.
    Seconds,
    /// A minute.
    Minutes,
    /// An hour.
    Hours,
}

impl LimitUnit {
    /// How long it is.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            LimitUnit::Seconds => 1,
            LimitUnit::Minutes => 60,
            LimitUnit::Hours => 3600,
        })
    }
}

/// `rateLimit.headers`: which answers have `x-ratelimit-limit`, `-remaining` and `-reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuotaHeaders {
    /// All.
    All,
    /// Those to requests over the limit.
    #[default]
    Denied,
}

/// Reads `rateLimit`.
pub(super) fn read(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<RateLimitConfig>> {
    conditional::read(node, shape::RATE_LIMIT, errors, |fields, errors| {
        let local = fields
            .get("local")
            .map_or_else(Vec::new, |node| node.list(shape::LOCAL_LIMITS, errors))
            .iter()
            .filter_map(|item| read_local(&item.object(shape::LOCAL_LIMIT, errors)?, errors))
            .collect();
        let global = fields.get("global").and_then(|node| global_limit::read(&node, errors));
        let headers =
            fields.get("headers").and_then(|node| node.word(shape::QUOTA_HEADERS, errors));
        Some(RateLimitConfig { local, global, headers: headers.unwrap_or_default() })
    })
}

fn read_local(fields: &Object<'_>, errors: &mut Errors) -> Option<LocalLimitConfig> {
    let number = |name: &str, least: u64, errors: &mut Errors| {
        let number = fields.get(name)?.integer(least, MAX_LIMIT, errors)?;
        u32::try_from(number).ok()
    };
    let requests = number("requests", 1, errors);
    let burst = number("burst", 0, errors);
    let unit = fields.get("unit").and_then(|node| node.word(shape::LIMIT_UNIT, errors));
    // The expression is checked even if the rest is wrong: all errors are reported at once.
    let key = fields.get("key").and_then(|node| read_expression(&node, errors));
    Some(LocalLimitConfig {
        requests: requests.unwrap_or(1),
        unit: unit.unwrap_or(LimitUnit::Hours),
        burst: burst.unwrap_or_default(),
        key,
    })
}
