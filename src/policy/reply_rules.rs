//! Answers that a policy composes for the caller: a body, as it is or by an expression, and
//! headers.

use std::borrow::Cow;

use super::header_rules::{COPIED_A_STEP, HeaderValue, ILLEGAL, compile_value, is_legal};
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{ConfigError, MAX_REPLY_BODY, ReplyBody, ReplyConfig};
use crate::decision::Reply;
use crate::request::headers::Headers;

/// The compiled body and headers of an answer.
#[derive(Debug, Default)]
pub(crate) struct ReplyRules {
    pub(crate) body: Option<Body>,
    pub(crate) headers: Vec<HeaderValue>,
}

/// The compiled body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    /// It is the same for every request.
    Text(Vec<u8>),
    /// An expression gives it.
    Expression(Box<Expression>),
}

/// What came of composing an answer.
#[derive(Debug, Default)]
pub(crate) struct Composed {
    /// The body; none if the rules have none, or its expression gave none.
    pub(crate) body: Option<Cow<'static, [u8]>>,
    /// Whether the body's expression gave none.
    pub(crate) body_failed: bool,
    /// The header lines, in order.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// What went wrong, for the audit record and the counters.
    pub(crate) errors: Vec<String>,
}

impl ReplyRules {
    /// Compiles the rules of a policy; of the configuration as a whole if it has no name.
    pub(crate) fn compile(
        policy: &str,
        config: &ReplyConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> ReplyRules {
        let body = config.body.as_ref().and_then(|body| Body::compile(policy, body, scope, errors));
        let headers = config
            .headers
            .iter()
            .filter_map(|rule| compile_value(policy, rule, Phase::Request, scope, errors))
            .collect();
        ReplyRules { body, headers }
    }

    /// The expressions of the body and the headers.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let body = match &self.body {
            Some(Body::Expression(expression)) => Some(&**expression),
            Some(Body::Text(_)) | None => None,
        };
        body.into_iter().chain(self.headers.iter().map(|rule| &rule.value))
    }

    /// Composes the answer to a request. `value_of` evaluates an expression for it.
    pub(crate) fn compose(
        &self,
        request: &Headers<'_>,
        meter: &Meter,
        value_of: impl Fn(&Expression, &Allowance) -> Result<Vec<u8>, String>,
    ) -> Composed {
        let mut composed = Composed::default();
        match &self.body {
            None => {}
            Some(Body::Text(text)) => composed.body = Some(Cow::Owned(text.clone())),
            Some(Body::Expression(expression)) => match body(expression, meter, &value_of) {
                Ok(value) => composed.body = Some(Cow::Owned(value)),
                Err(error) => {
                    composed.body_failed = true;
                    composed.errors.push(format!("body: {error}"));
                }
            },
        }
        let is_grpc = is_grpc(request);
        for rule in &self.headers {
            // The proxy makes a gRPC answer of it, whose own headers these are.
            if is_grpc && (rule.name == CONTENT_TYPE || rule.name.starts_with("grpc-")) {
                continue;
            }
            match header(rule, meter, &value_of) {
                Ok(value) => composed.headers.push((rule.name.clone(), value)),
                Err(error) => composed.errors.push(format!("value of `{}`: {error}", rule.name)),
            }
        }
        composed
    }
}

impl Composed {
    /// Gives an answer the body and the headers that were composed. Without a body, it keeps its
    /// own.
    pub(crate) fn put_into(self, reply: &mut Reply) {
        if let Some(body) = self.body {
            reply.body = body;
        }
        reply.headers.extend(self.headers);
    }
}

impl Body {
    fn compile(
        policy: &str,
        config: &ReplyBody,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Body> {
        let expr = match config {
            ReplyBody::Text(text) => return Some(Body::Text(text.clone().into_bytes())),
            ReplyBody::Expression(expr) => expr,
        };
        match Expression::compile(scope, &expr.source, Phase::Request, Expected::Body) {
            Ok(expression) => match expression.constant() {
                Some(text) if text.len() > MAX_REPLY_BODY => {
                    errors.push(too_long(policy, expr, text.len()));
                    None
                }
                Some(text) => Some(Body::Text(text.as_bytes().to_vec())),
                None => Some(Body::Expression(Box::new(expression))),
            },
            Err(found) => {
                let of = |error| ConfigError::of_expression(policy, expr, error);
                errors.extend(found.into_iter().map(of));
                None
            }
        }
    }
}

fn too_long(policy: &str, expr: &crate::config::Expr, length: usize) -> ConfigError {
    let message = format!("the body has {length} bytes, the limit is {MAX_REPLY_BODY}");
    let error = crate::cel::ExprError { line: 1, column: 1, message };
    ConfigError::of_expression(policy, expr, error)
}

/// The value of the body's expression.
fn body(
    expression: &Expression,
    meter: &Meter,
    value_of: impl Fn(&Expression, &Allowance) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    let value = evaluated(expression, meter, value_of)?;
    if value.len() > MAX_REPLY_BODY {
        return Err(format!("more than {MAX_REPLY_BODY} bytes"));
    }
    Ok(value)
}

/// The value of a header.
fn header(
    rule: &HeaderValue,
    meter: &Meter,
    value_of: impl Fn(&Expression, &Allowance) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    if let Some(value) = &rule.constant {
        return Ok(value.clone().into_bytes());
    }
    let value = evaluated(&rule.value, meter, value_of)?;
    if is_legal(&rule.name, &value) { Ok(value) } else { Err(ILLEGAL.to_owned()) }
}

fn evaluated(
    expression: &Expression,
    meter: &Meter,
    value_of: impl Fn(&Expression, &Allowance) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    meter.rule(|allowance| {
        let value = value_of(expression, allowance)?;
        allowance.spend_on(value.len(), COPIED_A_STEP);
        match allowance.breached() {
            Some(breach) => Err(breach.to_owned()),
            None => Ok(value),
        }
    })
}

const CONTENT_TYPE: &str = "content-type";
const GRPC: &[u8] = b"application/grpc";

/// Whether Envoy takes a request for a gRPC call, so that it makes a gRPC answer of any that the
/// filter gives (`Grpc::Common::isGrpcRequestHeaders` of Envoy).
pub(crate) fn is_grpc(request: &Headers<'_>) -> bool {
    let value = request.first(CONTENT_TYPE.as_bytes()).unwrap_or_default();
    value.strip_prefix(GRPC).is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}
