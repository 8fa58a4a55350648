//! `callouts`, and what the calls to services have in common.

use std::time::Duration;

use super::decode::{Errors, Node};
use super::shape::{self, Text};
use super::text;

/// The time that all calls about one request may take together, where the configuration does not
/// say.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// The longest such time.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// `failureMode`: what becomes of a request if a service that is asked about it gives no answer
/// that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureMode {
    /// It is refused.
    #[default]
    FailClosed,
    /// It goes on.
    FailOpen,
}

/// Reads `callouts`: its deadline.
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> Duration {
    let deadline = node
        .object(shape::CALLOUTS, errors)
        .and_then(|fields| fields.get("deadline"))
        .and_then(|node| read_timeout(&node, MAX_DEADLINE, "`1ms` to `1m`", errors));
    deadline.unwrap_or(DEADLINE)
}

/// Reads how long to wait for something: from a millisecond to `limit`, which `expected` says.
pub(super) fn read_timeout(
    node: &Node<'_>,
    limit: Duration,
    expected: &str,
    errors: &mut Errors,
) -> Option<Duration> {
    let timeout =
        text::milliseconds(node.text(Text::Duration, errors)?).map(Duration::from_millis)?;
    if timeout.is_zero() || timeout > limit {
        errors.add(&node.place, format!("the timeout is out of bounds: expected {expected}"));
        return None;
    }
    Some(timeout)
}
