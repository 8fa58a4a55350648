//! `traffic.timeouts` and `traffic.retry`, compiled into the values of the headers by which Envoy's
//! router is told of them (Envoy's documentation, "Router", "HTTP headers (consumed)").

use crate::cel::Scope;
use crate::cel::{Expected, Expression, Phase};
use crate::config::{ConfigError, PolicyConfig, RetryConfig};

/// What a policy tells Envoy's router.
#[derive(Debug)]
pub(crate) struct Router {
    /// The milliseconds that the origin has, as `x-envoy-upstream-rq-timeout-ms` has them.
    pub(crate) timeout: Option<String>,
    pub(crate) retry: Option<Retry>,
}

/// When the router sends a request again.
#[derive(Debug)]
pub(crate) struct Retry {
    /// The most further tries, as `x-envoy-max-retries` has them.
    pub(crate) attempts: String,
    /// The status codes, as `x-envoy-retriable-status-codes` has them; none if there are none.
    pub(crate) codes: Option<String>,
    /// What must be true of a request that is to be tried again.
    pub(crate) precondition: Option<Expression>,
}

impl Router {
    /// Compiles what a policy has of these; none where it has none.
    pub(super) fn compile(
        config: &PolicyConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Box<Router>> {
        if config.request_timeout.is_none() && config.retry.is_none() {
            return None;
        }
        let timeout = config.request_timeout.map(|milliseconds| milliseconds.to_string());
        let retry =
            config.retry.as_ref().map(|retry| Retry::compile(&config.name, retry, scope, errors));
        Some(Box::new(Router { timeout, retry }))
    }
}

impl Retry {
    fn compile(
        policy: &str,
        config: &RetryConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Retry {
        let precondition = config.precondition.as_ref().and_then(|expr| {
            Expression::compile(scope, &expr.source, Phase::Request, Expected::Rule)
                .map_err(|found| {
                    let error = |error| ConfigError::of_expression(policy, expr, error);
                    errors.extend(found.into_iter().map(error));
                })
                .ok()
        });
        let codes: Vec<String> = config.codes.iter().map(u64::to_string).collect();
        Retry {
            attempts: config.attempts.to_string(),
            codes: (!codes.is_empty()).then(|| codes.join(",")),
            precondition,
        }
    }
}
