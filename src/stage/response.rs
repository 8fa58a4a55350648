//! What happens to the response of a request that went on, and to the trailers of both.

use super::body::new_body;
use super::{Found, collected};
use crate::attributes::view::View;
use crate::cel::Expression;
use crate::cel::meter::{Allowance, Meter};
use crate::config::Direction;
use crate::credential::place;
use crate::decision::Change;
use crate::policy::Engine;
use crate::policy::header_rules;
use crate::request::headers::Headers;
use crate::request::{Body, Facts};
use crate::trace::{Applied, Feature, Trace};

/// The changes of a response's headers.
#[derive(Debug, Default)]
pub(crate) struct Response<'a> {
    pub(crate) changes: Vec<Change<'a>>,
    /// Expressions that failed: the index of their policy, and the message.
    pub(crate) errors: Vec<(usize, String)>,
    /// The rules took more steps than one response gets, so some were not applied. The response
    /// must not pass.
    pub(crate) is_exhausted: bool,
    /// The headers, changed.
    pub(crate) headers: Headers<'a>,
}

/// Applies the response's header modifiers, then its header rules, of the policies that were found
/// for the request.
pub(crate) fn transform<'a>(
    engine: &'a Engine,
    found: &Found,
    facts: &Facts<'_>,
    response: &Headers<'a>,
    mut trace: Option<&mut Trace>,
) -> Response<'a> {
    let meter = Meter::new();
    let mut headers = response.clone();
    let mut result = Response::default();
    for (index, policy) in engine.policies_at(&found.applied) {
        let Some(modifiers) = &policy.header_modifiers else { continue };
        let before = result.changes.len();
        modifiers.response.apply(&mut headers, &mut result.changes, &meter);
        if let Some(trace) = trace.as_deref_mut() {
            let changes = result.changes.get(before..).unwrap_or_default();
            trace.changed(index, Feature::HeaderModifiers, Direction::Response, changes);
        }
    }
    for (index, policy) in engine.policies_at(&found.applied) {
        let Some(form) = found.transformation(index, policy) else { continue };
        if let (Some(trace), Some(_)) = (trace.as_deref_mut(), &form.response_body) {
            trace.replaced_body(index, Direction::Response);
        }
        if form.response.is_empty() {
            continue;
        }
        let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
            value.header_value(&View::new(facts, &engine.callers).with_response(headers), allowance)
        };
        let before = result.changes.len();
        let applied = form.response.apply(&mut headers, &mut result.changes, &meter, value_of);
        result.errors.extend(applied.errors.into_iter().map(|message| (index, message)));
        if let Some(trace) = trace.as_deref_mut() {
            let changed = result.changes.len() > before;
            trace.applied.push(Applied { policy: index, direction: Direction::Response, changed });
        }
    }
    if let Some(said) = &found.services {
        collected::write(said, &mut headers, &mut result.changes);
    }
    result.is_exhausted = meter.is_exhausted();
    result.headers = headers;
    result
}

/// Computes the new body of a response with these headers, policy by policy. Each sees what the one
/// before has made.
///
/// # Errors
/// The policy whose expression fails, and the message.
pub(crate) fn replace_body(
    engine: &Engine,
    found: &Found,
    facts: &Facts<'_>,
    headers: &Headers<'_>,
    body: Body<'_>,
    meter: &Meter,
) -> Result<Vec<u8>, (usize, String)> {
    let mut new: Option<Vec<u8>> = None;
    for (index, policy) in engine.policies_at(&found.applied) {
        let form = found.transformation(index, policy);
        let Some(expression) = form.and_then(|form| form.response_body.as_ref()) else { continue };
        let now = facts.again().with_response_body(new.as_deref().map_or(body, Body::Read));
        found.tell(&now);
        let view = View::new(&now, &engine.callers).with_response(headers);
        new = Some(new_body(expression, &view, meter).map_err(|message| (index, message))?);
    }
    Ok(new.unwrap_or_default())
}

/// Drops trailers that an origin, or caller, may take for a header which these policies set or
/// remove, so that such a header cannot be sent behind the body.
pub(crate) fn drop_trailers<'a>(
    engine: &'a Engine,
    found: &'a Found,
    direction: Direction,
    mut trailers: Headers<'a>,
) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (index, policy) in engine.policies_at(&found.applied) {
        if let Some(form) = found.transformation(index, policy) {
            let rules = match direction {
                Direction::Request => &form.request,
                Direction::Response => &form.response,
            };
            rules.drop_trailers(&mut trailers, &mut changes);
        }
        if let Some(modifiers) = &policy.header_modifiers {
            let fixed = match direction {
                Direction::Request => &modifiers.request,
                Direction::Response => &modifiers.response,
            };
            fixed.drop_trailers(&mut trailers, &mut changes);
        }
        if direction == Direction::Request {
            let own = policy.credentials.iter().filter_map(|own| engine.credentials.all.get(*own));
            for name in own.filter_map(|credential| place::header_of(&credential.location)) {
                header_rules::remove(&mut trailers, &mut changes, name, true);
            }
        }
    }
    if let Some(said) = &found.services {
        let of_response = said.response_headers.iter().map(|line| &line.name);
        let (request, response) = match direction {
            Direction::Request => (Some(&said.written), None),
            Direction::Response => (None, Some(of_response)),
        };
        for name in request.into_iter().flatten().chain(response.into_iter().flatten()) {
            header_rules::remove(&mut trailers, &mut changes, name, true);
        }
    }
    changes
}
