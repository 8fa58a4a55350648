//! Hosts that the default action of Deny closes to everybody: policies are for them, and none of
//! these is an Allow.

use std::collections::HashSet;

use super::Found;
use crate::config::{
    Action, ConditionalConfig, Config, DefaultAction, HostPattern, Mode, PolicyConfig, Spot,
};
use crate::lint::{self, Known, Side, Work};
use crate::policy::Policy;

/// The most patterns of Allows that one `*.` is compared with.
const MAX_COMPARED: usize = 10_000;

/// Looks for hosts that have policies, and to which no request can go.
pub(super) fn examine(config: &Config, policies: &[Policy], found: &mut Found) {
    let enforced = || config.policies.iter().filter(|policy| policy.mode == Mode::Enforce);
    let allows = enforced().filter(|policy| action(policy) == Some(Action::Allow));
    let Some(allowed) = Hosts::of(allows) else { return };
    let sets = |action: DefaultAction| {
        Hosts::of(enforced().filter(move |policy| policy.default_action == Some(action)))
    };
    let (Some(denying), Some(opening)) = (sets(DefaultAction::Deny), sets(DefaultAction::Allow))
    else {
        return;
    };
    let is_closed = |host: &&HostPattern| {
        let by_default = config.default_action == DefaultAction::Deny && !opening.meet(host);
        (by_default || denying.cover(host)) && !allowed.meet(host)
    };
    let mut work = Work::default();
    for (policy, compiled) in config.policies.iter().zip(policies) {
        let mut closed = policy.hosts.iter().enumerate().filter(|(_, host)| is_closed(host));
        let Some((index, host)) = closed.next() else { continue };
        if policy.mode != Mode::Enforce || !expects_requests(config, policy, compiled, &mut work) {
            continue;
        }
        let more = closed.count();
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        let mend = match action(policy) {
            Some(Action::Require) => "write this Require as an Allow, or add an Allow for it",
            _ => "add an Allow for it",
        };
        let message = format!(
            "no request to `{}`{more} is ever let through: the default action is Deny there, and \
             only an Allow that is enforced lets requests through: {mend}",
            match host {
                HostPattern::Exact(name) => name.clone(),
                HostPattern::Under(suffix) => format!("*{suffix}"),
            }
        );
        let place = format!("{}.hosts[{index}]", policy.place);
        found.add(policy, "closed-host", (&place, Spot::Whole), message);
    }
}

fn action(policy: &PolicyConfig) -> Option<Action> {
    policy.authorization.as_ref().map(|rule| rule.action)
}

/// Whether a policy makes sense only where some request is let through. One that denies every
/// request says itself that the host is closed, and one that only sets an answer is for those that
/// are denied.
fn expects_requests(
    config: &Config,
    policy: &PolicyConfig,
    compiled: &Policy,
    work: &mut Work,
) -> bool {
    if let (Some(rule), Some(expressions)) = (&policy.authorization, compiled.rule_expressions()) {
        let known = Known {
            hosts: &policy.hosts,
            trust_domains: &config.identity.trust_domains,
            strict_paths: false,
        };
        let side = Side { expressions, combine: rule.combine };
        return rule.action != Action::Deny || !lint::is_always_true(side, known, work);
    }
    let changes = match &policy.transformation {
        ConditionalConfig::Always(form) => *form != Default::default(),
        ConditionalConfig::FirstTrue { .. } => true,
    };
    changes
        || policy.header_modifiers != Default::default()
        || policy.ext_auth.is_some()
        || policy.rate_limit.is_some()
        || policy.url_rewrite.is_some()
        || policy.host_rewrite.is_some()
        || policy.redirect.is_some()
        || policy.direct_response.is_some()
        || policy.request_timeout.is_some()
        || policy.retry.is_some()
        || !policy.credentials.is_empty()
}

/// The hosts of some policies.
#[derive(Debug)]
pub(super) struct Hosts<'c> {
    exact: HashSet<&'c str>,
    /// What the hosts end with, with the dot.
    under: Vec<&'c str>,
}

impl<'c> Hosts<'c> {
    /// Nothing if one of the policies is for all hosts.
    pub(super) fn of(policies: impl Iterator<Item = &'c PolicyConfig>) -> Option<Hosts<'c>> {
        let mut hosts = Hosts { exact: HashSet::new(), under: Vec::new() };
        for policy in policies {
            if policy.hosts.is_empty() {
                return None;
            }
            for host in &policy.hosts {
                match host {
                    HostPattern::Exact(name) => drop(hosts.exact.insert(name)),
                    HostPattern::Under(suffix) => hosts.under.push(suffix),
                }
            }
        }
        Some(hosts)
    }

    /// Whether they have some host of a pattern.
    pub(super) fn meet(&self, host: &HostPattern) -> bool {
        match host {
            HostPattern::Exact(_) => self.cover(host),
            HostPattern::Under(suffix) => {
                let mut exact = self.exact.iter().take(MAX_COMPARED);
                self.exact.len() > MAX_COMPARED
                    || exact.any(|name| host.matches(name))
                    || self.cover(host)
                    || self.under.iter().any(|other| other.ends_with(suffix.as_str()))
            }
        }
    }

    /// Whether they have every host of a pattern.
    fn cover(&self, host: &HostPattern) -> bool {
        match host {
            HostPattern::Exact(name) => {
                let ends = |suffix: &&str| name.len() > suffix.len() && name.ends_with(*suffix);
                self.exact.contains(name.as_str()) || self.under.iter().any(ends)
            }
            HostPattern::Under(suffix) => self.under.iter().any(|other| suffix.ends_with(other)),
        }
    }
}
