//! Allows that can never matter, because a Deny matches whatever they match, or because another
//! Allow lets everything through.

use super::{ConfigWarning, LooseHosts, Warnings, list};
use crate::config::{Action, Config, HostPattern, Mode, OnError, PolicyConfig, Spot};
use crate::lint::{self, Known, Side, Work};
use crate::policy::Policy;

/// The most pairs of rules that are compared.
const MAX_PAIRS: usize = 256;
/// The most policies of one kind that are compared with each of the others.
const MAX_COMPARED: usize = 64;
/// The most Allows that one warning names.
const MAX_NAMED: usize = 3;

/// An enforced rule, and its policy's configuration.
#[derive(Clone, Copy)]
struct Of<'c> {
    config: &'c PolicyConfig,
    side: Side<'c>,
}

/// Warns of enforced Allows that can never matter.
#[inline(never)]
pub(super) fn add(
    warnings: &mut Warnings,
    config: &Config,
    policies: &[Policy],
    loose: &LooseHosts<'_>,
    work: &mut Work,
) {
    let enforced = |action: Action| {
        config.policies.iter().zip(policies).filter_map(move |(config, policy)| {
            let rule = policy.rule.as_ref().filter(|rule| rule.action() == action)?;
            let side = Side { expressions: rule.expressions(), combine: rule.combine() };
            (policy.mode == Mode::Enforce).then_some(Of { config, side })
        })
    };
    let mut pairs = MAX_PAIRS;
    let fails_closed = |deny: &Of<'_>| {
        let rule = deny.config.authorization.as_ref();
        rule.is_some_and(|rule| rule.on_error == OnError::Deny)
    };
    for deny in enforced(Action::Deny).filter(fails_closed).take(MAX_COMPARED) {
        let mut dead = Vec::new();
        for allow in enforced(Action::Allow).filter(|allow| covers(deny.config, allow.config)) {
            let Some(left) = pairs.checked_sub(1) else { break };
            pairs = left;
            if lint::is_covered(allow.side, deny.side, known(config, loose, allow.config), work) {
                dead.push(allow.config.name.clone());
            }
        }
        if !dead.is_empty() {
            warnings.add(|| at_rule(deny.config, denies_all_of(&dead)));
        }
    }
    let always = enforced(Action::Allow)
        .take(MAX_COMPARED)
        .filter(|allow| lint::is_always_true(allow.side, known(config, loose, allow.config), work));
    let always: Vec<Of<'_>> = always.collect();
    for (index, open) in always.iter().enumerate() {
        for allow in enforced(Action::Allow).take(MAX_PAIRS) {
            let is_later = !always.iter().take(index.saturating_add(1)).any(|it| same(it, &allow));
            let is_named = always.iter().take(index).any(|it| covers(it.config, allow.config));
            let is_told = !is_later || is_named || !covers(open.config, allow.config);
            let known = known(config, loose, allow.config);
            // One that matches nothing by itself is told for that.
            if !is_told && lint::is_covered(allow.side, open.side, known, work) {
                let by = &open.config.name;
                let message = format!(
                    "this Allow adds nothing: `{by}` lets every request to its hosts through"
                );
                warnings.add(|| at_rule(allow.config, message));
            }
        }
    }
}

/// What is known of every request that a policy is for.
fn known<'c>(config: &'c Config, loose: &LooseHosts<'_>, policy: &'c PolicyConfig) -> Known<'c> {
    Known {
        hosts: &policy.hosts,
        trust_domains: &config.identity.trust_domains,
        strict_paths: loose.are_strict_for(policy, config.path_safety),
    }
}

fn same(a: &Of<'_>, b: &Of<'_>) -> bool {
    std::ptr::eq(a.config, b.config)
}

fn at_rule(policy: &PolicyConfig, message: String) -> ConfigWarning {
    ConfigWarning {
        name: "dead-allow",
        policy: Some(policy.name.clone()),
        place: format!("{}.traffic.authorization", policy.place),
        spot: Spot::Whole,
        message,
    }
}

fn denies_all_of(dead: &[String]) -> String {
    let named = list(dead.get(..MAX_NAMED).unwrap_or(dead));
    let more = dead.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (allows, lets) =
        if dead.len() == 1 { ("Allow", "it lets") } else { ("Allows", "they let") };
    format!(
        "this Deny denies whatever the {allows} {named}{more} could let through, so {lets} no \
         request through"
    )
}

/// Whether every host of the other policy is one of this policy's.
pub(crate) fn covers(policy: &PolicyConfig, other: &PolicyConfig) -> bool {
    let within = |host: &HostPattern| {
        policy.hosts.iter().any(|pattern| match (pattern, host) {
            (pattern, HostPattern::Exact(name)) => pattern.matches(name),
            (HostPattern::Under(pattern), HostPattern::Under(suffix)) => suffix.ends_with(pattern),
            (HostPattern::Exact(_), HostPattern::Under(_)) => false,
        })
    };
    policy.hosts.is_empty() || (!other.hosts.is_empty() && other.hosts.iter().all(within))
}
