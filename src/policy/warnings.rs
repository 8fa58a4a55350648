//! Warnings of what is legal but can hardly be meant: rules that never match, or always do.

mod conditional;
mod dead;
mod ext_auth;
mod limits;
#[cfg(test)]
mod tests;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use dead::covers;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::fmt;

use super::Policy;

use crate::cel::Scope;
use crate::config::{
    Action, AuthorizationConfig, Config, Expr, HostPattern, Mode, OnError, PolicyConfig, Spot,
};
use crate::counters::{PLUGIN_TAG, POLICY_TAG};
use crate::hash::Map;
use crate::lint::{self, Known, Settled, Work};
use crate::path::PathSafety;

/// The most warnings that are kept. Of the others, only the number is.
const MAX_WARNINGS: usize = 100;
/// The most hosts with looser path safety that are compared with the hosts of each policy.
const MAX_LOOSE_HOSTS: usize = 64;

/// Something in a configuration that can hardly be meant; it is loaded all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The name of its kind, by which tools let it be silenced: words with `-` between them.
    pub name: &'static str,
    /// The policy's name, if the warning is about a policy.
    pub policy: Option<String>,
    /// The JSON path, such as `policies[2].traffic.authorization.policy.matchExpressions[0]`.
    pub place: String,
    /// The part of the value at that place that the warning is about.
    pub spot: Spot,
    /// The message, in lower case, without a full stop.
    pub message: String,
}

impl ConfigWarning {
    /// The message, with line and column where it is about a point in an expression.
    #[must_use]
    pub fn detail(&self) -> Cow<'_, str> {
        self.spot.with(&self.message)
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(policy) = &self.policy {
            write!(f, "policy `{policy}`: ")?;
        }
        write!(f, "{}: {}", self.place, self.detail())
    }
}

/// The warnings of a configuration.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    /// The first of them.
    pub(super) kept: Vec<ConfigWarning>,
    /// How many there are.
    pub(super) count: usize,
}

impl Warnings {
    /// Looks for rules of a compiled configuration that can hardly be meant.
    pub(super) fn of(config: &Config, policies: &[Policy], scope: Scope<'_>) -> Warnings {
        let mut warnings = Warnings::default();
        warnings.add_names(config);
        warnings.add_unused_variables(config, scope);
        warnings.add_limits(config);
        let mut work = Work::default();
        let loose = LooseHosts::of(config);
        for (config_of, policy) in config.policies.iter().zip(policies) {
            let known = Known {
                hosts: &config_of.hosts,
                trust_domains: &config.identity.trust_domains,
                strict_paths: loose.are_strict_for(config_of, config.path_safety),
            };
            warnings.add_conditional(config_of, policy, known, &mut work);
            let (Some(authorization), Some(rule)) = (&config_of.authorization, &policy.rule) else {
                continue;
            };
            let found = lint::examine(rule.expressions(), authorization.combine, known, &mut work);
            let expr = |position: usize| authorization.expressions.get(position);
            let of = |name: &'static str, expr: Option<&Expr>, spot: Spot, message: String| {
                let place = expr.map_or_else(
                    || format!("{}.traffic.authorization", config_of.place),
                    |expr| expr.place.clone(),
                );
                ConfigWarning { name, policy: Some(config_of.name.clone()), place, spot, message }
            };
            for (position, message) in found.parts {
                warnings.add(|| {
                    let point = expr(position)
                        .and_then(|expr| lint::point_of(scope, &expr.source, &message, known));
                    of(
                        "odd-comparison",
                        expr(position),
                        point.map_or(Spot::Whole, |(line, column)| Spot::Source { line, column }),
                        message,
                    )
                });
            }
            for (position, settled) in found.expressions {
                warnings.add(|| {
                    of("constant-rule", expr(position), Spot::Whole, says(&settled, config_of))
                });
            }
            if let Some(settled) = found.rule {
                let only = (authorization.expressions.len() == 1).then_some(0).and_then(expr);
                warnings.add(|| {
                    of(
                        "constant-rule",
                        only,
                        Spot::Whole,
                        format!(
                            "{}, so {}",
                            says(&settled, config_of),
                            effect(&settled, authorization)
                        ),
                    )
                });
            }
        }
        warnings.add_ext_auth(config, policies);
        dead::add(&mut warnings, config, policies, &loose, &mut work);
        warnings
    }

    /// Warns of policies whose counters are one and the same in Prometheus if the tags are not
    /// configured.
    #[inline(never)]
    fn add_names(&mut self, config: &Config) {
        let mut first: Map<String, &str> = Map::default();
        for policy in &config.policies {
            let shown = policy
                .name
                .chars()
                .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
            match first.entry(shown.collect()) {
                Entry::Vacant(entry) => drop(entry.insert(&policy.name)),
                Entry::Occupied(entry) => self.add(|| ConfigWarning {
                    name: "same-metric-name",
                    policy: Some(policy.name.clone()),
                    place: format!("{}.name", policy.place),
                    spot: Spot::Whole,
                    message: format!(
                        "where Prometheus does not get the tags `{POLICY_TAG}` and \
                         `{PLUGIN_TAG}`, its metrics are those of policy `{}` too: both are `{}` \
                         there",
                        entry.get(),
                        entry.key(),
                    ),
                }),
            }
        }
    }

    /// Warns of variables that no expression reads.
    #[inline(never)]
    fn add_unused_variables(&mut self, config: &Config, scope: Scope<'_>) {
        let unused = scope.variables.unused().into_iter();
        for variable in unused.filter_map(|position| config.variables.get(position)) {
            self.add(|| ConfigWarning {
                name: "unused-variable",
                policy: None,
                place: variable.place.clone(),
                spot: Spot::Field("name".to_owned()),
                message: format!(
                    "no expression reads `variables.{}`: leave it out, or read it",
                    variable.name
                ),
            });
        }
    }

    /// Counts a warning. It is made only while there is room for it, because finding its place
    /// parses the expression again.
    fn add(&mut self, warning: impl FnOnce() -> ConfigWarning) {
        self.count = self.count.saturating_add(1);
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(warning());
        }
    }
}

fn says(settled: &Settled, policy: &PolicyConfig) -> String {
    let scoped = !policy.hosts.is_empty()
        && settled.because.iter().any(|part| part.contains("request.host"));
    let given = if scoped { " for the policy's `hosts`" } else { "" };
    let always =
        if settled.may_err { "always matches, where it does not err" } else { "always matches" };
    match (settled.matches, settled.because.as_slice()) {
        (true, []) => always.to_owned(),
        (true, [part]) => format!("{always}: `{part}` is always true{given}"),
        (true, parts) => format!("{always}: one of {} is always true{given}", list(parts)),
        (false, []) => "never matches: it contradicts itself".to_owned(),
        (false, [part]) => format!("never matches: `{part}` is never true{given}"),
        (false, parts) => format!("never matches: {} are never true together{given}", list(parts)),
    }
}

fn list(parts: &[String]) -> String {
    let quoted: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The consequence of a rule that always has the same result.
fn effect(settled: &Settled, authorization: &AuthorizationConfig) -> &'static str {
    let denies_errors = authorization.on_error == OnError::Deny;
    match (authorization.action, settled.matches, settled.may_err) {
        (Action::Allow, false, _) => "this Allow lets no request through",
        (Action::Allow, true, false) => "this Allow lets every request through",
        (Action::Allow, true, true) => "this Allow lets every other request through",
        (Action::Require, false, _) => "this Require refuses every request",
        (Action::Require, true, false) => "this Require refuses no request",
        (Action::Require, true, true) => "this Require refuses only where it errs",
        (Action::Deny, false, true) if denies_errors => "this Deny denies only where it errs",
        (Action::Deny, false, _) => "this Deny denies no request",
        (Action::Deny, true, true) if !denies_errors => "this Deny denies every other request",
        (Action::Deny, true, _) => "this Deny denies every request",
    }
}

/// The hosts whose path safety a policy loosens.
#[derive(Debug)]
struct LooseHosts<'c> {
    /// None if there are too many to compare.
    patterns: Option<Vec<&'c HostPattern>>,
}

impl<'c> LooseHosts<'c> {
    fn of(config: &'c Config) -> Self {
        let loosens = |policy: &&PolicyConfig| {
            policy.mode == Mode::Enforce
                && policy.path_safety.is_some_and(|safety| safety < PathSafety::Strict)
        };
        let patterns: Vec<_> = config
            .policies
            .iter()
            .filter(loosens)
            .flat_map(|policy| &policy.hosts)
            .take(MAX_LOOSE_HOSTS.saturating_add(1))
            .collect();
        LooseHosts { patterns: (patterns.len() <= MAX_LOOSE_HOSTS).then_some(patterns) }
    }

    /// Whether path safety is strict for every request in the policy's scope.
    fn are_strict_for(&self, policy: &PolicyConfig, default: PathSafety) -> bool {
        // Of several policies that each set it, the strictest counts.
        if policy.mode == Mode::Enforce && policy.path_safety == Some(PathSafety::Strict) {
            return true;
        }
        let Some(patterns) = &self.patterns else { return false };
        let is_loose = |host: &HostPattern| patterns.iter().any(|loose| meet(host, loose));
        let any = if policy.hosts.is_empty() {
            !patterns.is_empty()
        } else {
            policy.hosts.iter().any(is_loose)
        };
        default == PathSafety::Strict && !any
    }
}

/// Whether some host may belong to both.
fn meet(a: &HostPattern, b: &HostPattern) -> bool {
    match (a, b) {
        (HostPattern::Exact(name), other) | (other, HostPattern::Exact(name)) => {
            other.matches(name)
        }
        (HostPattern::Under(a), HostPattern::Under(b)) => {
            a.ends_with(b.as_str()) || b.ends_with(a.as_str())
        }
    }
}
