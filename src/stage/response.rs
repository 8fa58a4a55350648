//! What happens to the response of a request that went on, and to the trailers of both.

use crate::attributes::view::View;
use crate::cel::Expression;
use crate::cel::meter::{Allowance, Meter};
use crate::config::Direction;
use crate::decision::Change;
use crate::credential::place;
use crate::policy::Engine;
use crate::policy::header_rules;
use crate::request::Facts;
use crate::request::headers::Headers;
use crate::trace::{Applied, Trace};

/// The changes of a response's headers.
#[derive(Debug, Default)]
pub(crate) struct Response<'a> {
    pub(crate) changes: Vec<Change<'a>>,
    /// Expressions that failed: the index of their policy, and the message.
    pub(crate) errors: Vec<(usize, String)>,
    /// The rules took more steps than one response gets, so some were not applied. The response
    /// must not pass.
    pub(crate) is_exhausted: bool,
}

/// Applies the response's header rules of these policies.
pub(crate) fn transform<'a>(
    engine: &'a Engine,
    policies: &[u32],
    facts: &Facts<'_>,
    response: &Headers<'a>,
    mut trace: Option<&mut Trace>,
) -> Response<'a> {
    let meter = Meter::new();
    let mut headers = response.clone();
    let mut result = Response::default();
    for (index, policy) in engine.policies_at(policies) {
        if policy.response.is_empty() {
            continue;
        }
        let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
            value.header_value(&View::new(facts, &engine.callers).with_response(headers), allowance)
        };
        let before = result.changes.len();
        let applied = policy.response.apply(&mut headers, &mut result.changes, &meter, value_of);
        result.errors.extend(applied.errors.into_iter().map(|message| (index, message)));
        if let Some(trace) = trace.as_deref_mut() {
            let changed = result.changes.len() > before;
            trace.applied.push(Applied { policy: index, direction: Direction::Response, changed });
        }
    }
    result.is_exhausted = meter.is_exhausted();
    result
}

/// Drops trailers that an origin, or caller, may take for a header which these policies set or
/// remove, so that such a header cannot be sent behind the body.
pub(crate) fn drop_trailers<'a>(
    engine: &'a Engine,
    policies: &[u32],
    direction: Direction,
    mut trailers: Headers<'a>,
) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (_, policy) in engine.policies_at(policies) {
        let rules = match direction {
            Direction::Request => &policy.request,
            Direction::Response => &policy.response,
        };
        rules.drop_trailers(&mut trailers, &mut changes);
        if direction == Direction::Request {
            let own = policy.credentials.iter().filter_map(|own| engine.credentials.all.get(*own));
            for name in own.filter_map(|credential| place::header_of(&credential.location)) {
                header_rules::remove(&mut trailers, &mut changes, name, true);
            }
        }
    }
    changes
}
