//! The features of a policy beside its rule and its headers: which form of each a request gets, and
//! the values of the conditions that choose it.

use super::{Feature, Step, Value};
use crate::attributes::view::View;
use crate::cel::explain::Explainable;
use crate::cel::meter::Allowance;
use crate::cel::{Expression, Scope};
use crate::config::{ConditionalConfig, PolicyConfig};
use crate::policy::Policy;
use crate::policy::conditional::Conditional;
use crate::policy::rule::{RuleResult, ask_once};
use crate::trace::{self, Trace};

/// The features of a policy that came into question. The view is that of the request as it came.
pub(super) fn explain(
    policy: &Policy,
    config: &PolicyConfig,
    index: usize,
    (view, scope): (&View<'_>, Scope<'_>),
    trace: &Trace,
) -> Vec<Feature> {
    let of = Of { index, view, scope, trace };
    let transformation = &policy.transformation;
    let limits = policy.rate_limit.as_deref().zip(config.rate_limit.as_ref());
    let url_rewrite = policy.url_rewrite.as_deref().zip(config.url_rewrite.as_ref());
    let redirect = policy.redirect.as_deref().zip(config.redirect.as_ref());
    let answer = policy.direct_response.as_deref().zip(config.direct_response.as_ref());
    let ext_auth = policy.ext_auth.as_deref().zip(config.ext_auth.as_ref());
    [
        ext_auth.and_then(|(a, b)| of.feature(trace::Feature::ExtAuth, a, b)),
        limits.and_then(|(a, b)| of.feature(trace::Feature::LocalRateLimit, a, b)),
        of.feature(trace::Feature::Transformation, transformation, &config.transformation)
            // Without conditions, its headers are told one by one.
            .filter(|feature| !feature.conditions.is_empty()),
        of.that_changed(trace::Feature::HeaderModifiers),
        url_rewrite.and_then(|(a, b)| of.feature(trace::Feature::UrlRewrite, a, b)),
        policy.host_rewrite.and_then(|_| of.without_conditions(trace::Feature::HostRewrite)),
        of.that_changed(trace::Feature::Timeouts),
        of.that_changed(trace::Feature::Retry),
        redirect.and_then(|(a, b)| of.feature(trace::Feature::RequestRedirect, a, b)),
        answer.and_then(|(a, b)| of.feature(trace::Feature::DirectResponse, a, b)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A policy, and what is known of its part in a request.
struct Of<'e> {
    index: usize,
    view: &'e View<'e>,
    scope: Scope<'e>,
    trace: &'e Trace,
}

impl Of<'_> {
    /// A feature, if the request came to it; a request that is answered or denied before does not.
    fn feature<T, C>(
        &self,
        feature: trace::Feature,
        compiled: &Conditional<T>,
        config: &ConditionalConfig<C>,
    ) -> Option<Feature> {
        let ConditionalConfig::FirstTrue { entries, .. } = config else {
            return self.without_conditions(feature);
        };
        if !self.was_reached(feature) {
            return None;
        }
        let chosen = self.chosen(feature);
        let mut conditions = Vec::with_capacity(entries.len());
        for (entry, condition) in entries.iter().zip(compiled.conditions()) {
            let (Some(source), Some(condition)) = (&entry.condition, condition) else { break };
            let (result, step) = evaluated(&source.source, condition, self.view, self.scope);
            conditions.push(step);
            if result != RuleResult::DoesNotMatch {
                break;
            }
        }
        Some(Feature {
            name: feature.field(),
            conditions,
            entry: chosen.map(|chosen| chosen.entry),
            used: chosen.is_some_and(|chosen| chosen.is_used),
        })
    }

    fn without_conditions(&self, feature: trace::Feature) -> Option<Feature> {
        let chosen = self.chosen(feature)?;
        let used = chosen.is_used;
        Some(Feature { name: feature.field(), conditions: Vec::new(), entry: None, used })
    }

    /// A feature without conditions, if it changed the request.
    fn that_changed(&self, feature: trace::Feature) -> Option<Feature> {
        let mut changed = self.trace.changed.iter();
        changed.find(|changed| changed.policy == self.index && changed.feature == feature)?;
        Some(Feature { name: feature.field(), conditions: Vec::new(), entry: None, used: true })
    }

    fn chosen(&self, feature: trace::Feature) -> Option<&trace::Chosen> {
        let mut chosen = self.trace.chosen.iter();
        chosen.find(|chosen| chosen.policy == self.index && chosen.feature == feature)
    }

    /// Whether the policy's conditions were asked: no policy before it had the feature.
    fn was_reached(&self, feature: trace::Feature) -> bool {
        let is_for_all =
            matches!(feature, trace::Feature::Transformation | trace::Feature::LocalRateLimit);
        let mut used = self.trace.chosen.iter().filter(|one| one.feature == feature && one.is_used);
        self.trace.stages.contains(&feature.stage().name())
            && (is_for_all || used.all(|one| one.policy >= self.index))
    }
}

/// The result of a condition, and the values of its parts.
fn evaluated(
    source: &str,
    condition: &Expression,
    view: &View<'_>,
    scope: Scope<'_>,
) -> (RuleResult, Step) {
    let (result, message) = ask_once(condition, view, &Allowance::whole());
    let value = match result {
        RuleResult::Matches => Value::Known("true".to_owned()),
        RuleResult::DoesNotMatch => Value::Known("false".to_owned()),
        RuleResult::Fails | RuleResult::PassesLimit => Value::Error(message.unwrap_or_default()),
    };
    let step = Explainable::of(source, scope).map(|whole| whole.explain(view, value.clone()));
    let step = step.unwrap_or_else(|| Step {
        source: source.to_owned(),
        variables: Vec::new(),
        value,
        parts: Vec::new(),
        omitted: 0,
    });
    (result, step)
}
