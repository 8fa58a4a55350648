//! What policies do with bodies: which of them read them, and which bodies can be read.

use super::rule::Pass;
use super::{Policy, Transformation};
use crate::attributes::REQUEST_BODY;
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{BodiesConfig, ConfigError, Expr, MAX_ERRORS, PolicyConfig, Spot};
use crate::reading::name::same_to_some_origin;
use crate::request::Body;
use crate::request::headers::Headers;

/// Whether this build reads bodies: tools do, and the module for bodies. Envoy calls each callback
/// that a module exports for every request, so the usual module has none for bodies.
pub(crate) const READS_BODIES: bool =
    cfg!(any(feature = "bodies", not(all(target_arch = "wasm32", target_os = "wasi"))));

/// The bodies that are read, where a policy reads bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// The most bytes that one may have.
    pub(crate) max_size: usize,
    /// The types that are read: each as a whole, or what is before and behind its `*`.
    types: Vec<(String, Option<String>)>,
}

/// A body that has this many bytes more than are read.
pub(crate) const TOO_LARGE: &str = "it has more bytes than `bodies.maxSize`";
const TYPE: &str = "its content type is none of `bodies.contentTypes`";
const TYPES: &str = "it has several content types";
const CODED: &str = "it has a content coding";
const CHARSET: &str = "its charset is neither UTF-8 nor US-ASCII";
const NUL: &str = "it has a NUL byte, as a text in UTF-16 has";
pub(crate) const UPGRADE: &str = "what follows an upgrade is no body";

impl Bodies {
    /// The bodies that these policies need; none if they need none.
    #[inline(never)]
    pub(super) fn compile(
        config: &BodiesConfig,
        configs: &[PolicyConfig],
        policies: &[Policy],
        errors: &mut Vec<ConfigError>,
    ) -> Option<Bodies> {
        let reading = configs.iter().zip(policies).filter_map(|(config, policy)| {
            Some((config.name.as_str(), place_of_use(config, policy)?))
        });
        let mut is_needed = false;
        for (policy, place) in reading {
            is_needed = true;
            if !READS_BODIES && errors.len() <= MAX_ERRORS {
                errors.push(ConfigError {
                    policy: Some(policy.to_owned()),
                    place,
                    spot: Spot::Whole,
                    message: OTHER_MODULE.to_owned(),
                });
            }
        }
        is_needed.then(|| Bodies {
            max_size: config.max_size,
            types: config.content_types.iter().map(|pattern| parts(pattern)).collect(),
        })
    }

    /// Why expressions cannot read the body of a message with these headers.
    pub(crate) fn objection(&self, headers: &Headers<'_>) -> Option<&'static str> {
        let mut types = values(headers, b"content-type");
        let content_type = types.next();
        if types.next().is_some() || content_type.is_some_and(|value| value.contains(&b',')) {
            return Some(TYPES);
        }
        let is_coded = |value: &[u8]| !value.trim_ascii().eq_ignore_ascii_case(b"identity");
        if values(headers, b"content-encoding").any(is_coded) {
            return Some(CODED);
        }
        // Many origins take a body without a type for what they expect.
        let content_type = content_type?.to_ascii_lowercase();
        let Ok(content_type) = std::str::from_utf8(&content_type) else { return Some(TYPE) };
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let media_type = media_type.trim();
        let is_read = self.types.iter().any(|(start, end)| match end {
            None => media_type == start,
            Some(end) => media_type
                .strip_prefix(start.as_str())
                .is_some_and(|rest| rest.ends_with(end.as_str())),
        });
        if !is_read {
            return Some(TYPE);
        }
        let is_foreign = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            // Also `charset*` and `charset*0` (RFC 8187, RFC 2231), which some origins decode.
            name.trim().starts_with("charset") && !matches!(value, "utf-8" | "utf8" | "us-ascii")
        };
        parameters.split(';').any(is_foreign).then_some(CHARSET)
    }

    /// The body of a message with these headers, as expressions read it.
    pub(crate) fn read<'b>(&self, headers: &Headers<'_>, bytes: &'b [u8]) -> Body<'b> {
        let objection = if is_upgrade(headers) {
            Some(UPGRADE)
        } else if bytes.is_empty() {
            None
        } else {
            self.objection(headers)
        };
        self.readable(objection, bytes)
    }

    /// The same, where it is known what speaks against reading it.
    pub(crate) fn readable<'b>(
        &self,
        objection: Option<&'static str>,
        bytes: &'b [u8],
    ) -> Body<'b> {
        let objection = objection
            .or((bytes.len() > self.max_size).then_some(TOO_LARGE))
            .or(bytes.contains(&0).then_some(NUL));
        objection.map_or(Body::Read(bytes), Body::Unreadable)
    }
}

/// Whether a tunnel may follow these headers of a request.
pub(crate) fn is_upgrade(headers: &Headers<'_>) -> bool {
    headers.first(b":method") == Some(b"CONNECT") || values(headers, b"upgrade").next().is_some()
}

/// The body of a request that may be a tunnel.
pub(crate) const TUNNEL: Body<'static> = Body::Unreadable(UPGRADE);

fn values<'h>(headers: &'h Headers<'_>, name: &'static [u8]) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.lines();
    lines.filter(move |(line, _)| same_to_some_origin(line, name)).map(|(_, value)| value)
}

fn parts(pattern: &str) -> (String, Option<String>) {
    match pattern.split_once('*') {
        _ if pattern == "*/*" => (String::new(), Some(String::new())),
        Some((start, end)) => (start.to_owned(), Some(end.to_owned())),
        None => (pattern.to_owned(), None),
    }
}

/// The message for a configuration that the usual module cannot carry out.
const OTHER_MODULE: &str = "this reads bodies, which this image of the filter cannot: use the one \
    whose tag ends in `-bodies` (docs/bodies.md)";

/// The place of what needs a body in a policy, if anything does.
fn place_of_use(config: &PolicyConfig, policy: &Policy) -> Option<String> {
    if policy.pass() == Pass::Body
        && let Some((rule, config)) = policy.rule.as_ref().zip(config.authorization.as_ref())
    {
        let mut both = rule.expressions().iter().zip(&config.expressions);
        let reading = both.find(|(expression, _)| reads_body(expression));
        return reading.map(|(_, expr)| expr.place.clone());
    }
    let forwards = config.ext_auth.iter().flat_map(|forms| forms.forms());
    if let Some(form) = forwards.into_iter().find(|form| form.forward_body.is_some()) {
        return Some([&form.place, ".forwardBody"].concat());
    }
    let mut forms = config.transformation.forms();
    let body = forms.find_map(|form| form.request_body.as_ref().or(form.response_body.as_ref()));
    body.map(|expr| expr.place.clone())
}

pub(super) fn reads_body(expression: &Expression) -> bool {
    expression.uses().attributes.contains(REQUEST_BODY)
}

impl Transformation {
    /// Compiles the expression of a new body. If that fails, `errors` gets the reasons.
    pub(super) fn compile_body(
        policy: &str,
        config: Option<&Expr>,
        phase: Phase,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Expression> {
        let expr = config?;
        match Expression::compile(scope, &expr.source, phase, Expected::Value) {
            Ok(expression) => Some(expression),
            Err(found) => {
                let of = |error| ConfigError::of_expression(policy, expr, error);
                errors.extend(found.into_iter().map(of));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
