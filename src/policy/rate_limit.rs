//! `traffic.rateLimit`, compiled.

use super::conditional::Conditional;
use super::global_limit::GlobalLimit;
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{
    ConditionalConfig, ConfigError, LocalLimitConfig, QuotaHeaders, RateLimitConfig,
};
use crate::rate_limit::bucket::Bucket;
use crate::rate_limit::limiter::LimitId;

/// The compiled limits of a policy.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Those that the waypoint keeps by itself.
    pub(crate) local: Vec<LocalLimit>,
    /// Those that a service keeps.
    pub(crate) global: Option<Box<GlobalLimit>>,
    /// Which answers tell the caller of them.
    pub(crate) headers: QuotaHeaders,
}

/// One limit that the waypoint keeps by itself.
#[derive(Debug)]
pub(crate) struct LocalLimit {
    /// The same in all workers, and after an update that leaves the limit as it is.
    pub(crate) id: LimitId,
    pub(crate) bucket: Bucket,
    /// By what requests are told apart; by the caller if there is none.
    pub(crate) key: Option<Expression>,
}

impl RateLimit {
    /// Compiles the limits of a policy, with their conditions.
    pub(super) fn compile_all(
        policy: &str,
        config: &ConditionalConfig<RateLimitConfig>,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Conditional<RateLimit> {
        let mut entry = 0_u32;
        Conditional::compile(policy, config, scope, errors, |form, errors| {
            entry = entry.saturating_add(1);
            let local = (0_u32..).zip(&form.local);
            let local = local.map(|(number, limit)| {
                let place = [entry.to_le_bytes(), number.to_le_bytes()].concat();
                LocalLimit::compile((policy, &place), limit, scope, errors)
            });
            let local = local.collect();
            let global = form.global.as_ref();
            let global =
                global.map(|global| GlobalLimit::compile(policy, global, scope, errors).into());
            RateLimit { local, global, headers: form.headers }
        })
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let keys = self.local.iter().filter_map(|limit| limit.key.as_ref());
        keys.chain(self.global.iter().flat_map(|global| global.expressions()))
    }
}

impl LocalLimit {
    fn compile(
        (policy, place): (&str, &[u8]),
        config: &LocalLimitConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> LocalLimit {
        let bucket = Bucket::new(config.requests, config.burst, config.unit.duration());
        let source = config.key.as_ref().map_or("", |key| &key.source);
        let key = config.key.as_ref().and_then(|expr| {
            Expression::compile(scope, &expr.source, Phase::Request, Expected::Scalar)
                .map_err(|found| {
                    let error = |error| ConfigError::of_expression(policy, expr, error);
                    errors.extend(found.into_iter().map(error));
                })
                .ok()
        });
        let parts = [policy.as_bytes(), place, &bucket.parameters(), source.as_bytes()];
        LocalLimit { id: LimitId::of(&parts), bucket, key }
    }
}
