//! An engine's decision about a request, and why.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;

use crate::attributes::view::View;
use crate::cel::Phase;
use crate::cel::meter::Meter;
use crate::config::{Action, Config, Direction, HostPattern, Mode, PolicyConfig};
use crate::explain::{self, Caller, Effect, Erred, Explanation, Fate, Header, OutOfScope, Verdict};
use crate::outcome::{Change, Outcome, Reason};
use crate::path::PathSafety;
use crate::request::headers::Headers;
use crate::request::{Facts, inline};
use crate::trial::{self, Trial};

use super::{Engine, Policy, request_host};

impl Engine {
    /// Decides about a request, and says why; the configuration is the one that this engine was
    /// loaded from.
    pub(crate) fn explain(&self, config: &Config, trial: &Trial) -> Explanation {
        trial.with_facts(|facts| {
            let outcome = self.decide(facts);
            Explaining { engine: self, config, facts, outcome: &outcome }
                .explain(&trial.response_headers())
        })
    }
}

/// A decision that is being explained.
struct Explaining<'a> {
    engine: &'a Engine,
    config: &'a Config,
    facts: &'a Facts<'a>,
    outcome: &'a Outcome<'a>,
}

impl<'a> Explaining<'a> {
    fn explain(&self, response: &Headers<'a>) -> Explanation {
        let host = request_host(&self.facts.headers).ok();
        let in_scope: Vec<usize> = match &host {
            Some(host) => {
                (0..self.config.policies.len()).filter(|index| self.is_for(*index, host)).collect()
            }
            None => Vec::new(),
        };
        let mut policies: Vec<explain::Policy> =
            in_scope.iter().filter_map(|index| self.policy(*index, host.as_deref()?)).collect();
        self.effects(&in_scope, &mut policies);
        let mut request_headers = Lines::of(&self.facts.headers);
        self.transform(&in_scope, &mut policies, &mut request_headers);
        let response_headers =
            self.outcome.denial.is_none().then(|| self.respond(&in_scope, &mut policies, response));
        let known = host.is_some();
        let elsewhere = self
            .config
            .policies
            .iter()
            .enumerate()
            .filter(|(index, _)| known && !in_scope.contains(index));
        Explanation {
            verdict: self.verdict(),
            caller: self.caller(),
            destination: self.facts.destination().map(str::to_owned),
            path_safety: host
                .as_deref()
                .map_or(self.config.path_safety, |host| self.path_safety(host)),
            host: host.map(std::borrow::Cow::into_owned),
            policies,
            out_of_scope: elsewhere
                .map(|(_, policy)| OutOfScope { name: policy.name.clone(), hosts: hosts(policy) })
                .collect(),
            shadow: self.outcome.shadow.iter().filter_map(|index| self.name(*index)).collect(),
            errors: self.errors(),
            request_headers: request_headers.0,
            response_headers: response_headers.map(|lines| lines.0),
            audit: self.outcome.audit.clone(),
        }
    }

    fn name(&self, index: usize) -> Option<String> {
        self.engine.policy_name(index).map(str::to_owned)
    }

    fn is_for(&self, index: usize, host: &str) -> bool {
        self.config.policies.get(index).is_some_and(|policy| {
            policy.hosts.is_empty() || policy.hosts.iter().any(|own| own.matches(host))
        })
    }

    fn verdict(&self) -> Verdict {
        let denial = self.outcome.denial;
        Verdict {
            allowed: denial.is_none(),
            policy: self.outcome.policy.and_then(|index| self.name(index)),
            reason: self.outcome.reason.as_str(),
            detail: denial.and_then(|denial| denial.detail),
            status: denial.map(|denial| denial.status),
            body: denial.map(|denial| denial.body),
        }
    }

    fn caller(&self) -> Caller {
        let caller = self.engine.caller(self.facts);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Caller {
            spiffe_id: owned(caller.spiffe_id()),
            rejected: owned(caller.rejected()),
            namespace: owned(caller.namespace()),
            service_account: owned(caller.service_account()),
        }
    }

    fn path_safety(&self, host: &str) -> PathSafety {
        self.engine.index.groups(host).path_safety().unwrap_or(self.config.path_safety)
    }

    fn errors(&self) -> Vec<Erred> {
        let errors = self.outcome.errors.iter();
        errors
            .filter_map(|(index, message)| {
                Some(Erred { policy: self.name(*index)?, message: message.clone() })
            })
            .collect()
    }

    /// Whether the request was refused whatever the rules say.
    fn refused_before_rules(&self) -> bool {
        matches!(
            self.outcome.reason,
            Reason::BadHost
                | Reason::MethodUnsafe
                | Reason::HeaderUnsafe
                | Reason::PathUnsafe
                | Reason::HostMismatch
                | Reason::InternalError
        )
    }

    /// A policy in scope and its rule.
    fn policy(&self, index: usize, host: &str) -> Option<explain::Policy> {
        let (config, policy) = (self.config.policies.get(index)?, self.engine.policies.get(index)?);
        let rule =
            policy.rule.as_ref().zip(config.authorization.as_ref()).map(
                |(rule, config)| match self.refused_before_rules() {
                    true => rule.unasked(config),
                    false => {
                        let path = self.facts.headers.first(b":path").unwrap_or_default();
                        rule.explain(
                            config,
                            &View::new(self.facts, &self.engine.callers)
                                .with_host(host, path.contains(&b'%')),
                        )
                    }
                },
            );
        Some(explain::Policy {
            name: config.name.clone(),
            mode: config.mode,
            hosts: hosts(config),
            effect: Effect::None,
            rule,
            request: Vec::new(),
            response: Vec::new(),
        })
    }

    /// What each policy did to the verdict.
    fn effects(&self, in_scope: &[usize], policies: &mut [explain::Policy]) {
        // The rules let a request through whose line was then left without a value: the first Allow
        // that matches did.
        let let_through = |policy: &explain::Policy| {
            let rule = policy
                .rule
                .as_ref()
                .filter(|rule| rule.action == Action::Allow && policy.mode == Mode::Enforce);
            rule.is_some_and(|rule| rule.answer == Some(explain::Answer::Matches))
        };
        let decided = match self.outcome.reason {
            Reason::RewriteError => in_scope
                .iter()
                .zip(&*policies)
                .find(|(_, policy)| let_through(policy))
                .map(|(index, _)| *index),
            _ => self.outcome.policy,
        };
        for (index, policy) in in_scope.iter().zip(policies) {
            policy.effect = if self.outcome.policy == Some(*index) {
                if self.outcome.denial.is_some() { Effect::Denies } else { Effect::Allows }
            } else if self.outcome.shadow.contains(index) {
                Effect::WouldDeny
            } else {
                match &policy.rule {
                    Some(rule) if !self.was_asked(*index, policy.mode, rule.action, decided) => {
                        Effect::NotAsked
                    }
                    _ => Effect::None,
                }
            };
        }
    }

    /// Whether a rule was asked before the verdict was found: Denies come first, then Requires,
    /// then Allows, then what is shadow, each in configuration order.
    fn was_asked(&self, index: usize, mode: Mode, action: Action, decided: Option<usize>) -> bool {
        if self.refused_before_rules() {
            return false;
        }
        let place = |action: Action| match action {
            Action::Deny => 0_u8,
            Action::Require => 1,
            Action::Allow => 2,
        };
        let last = match self.outcome.reason {
            Reason::DenyMatched | Reason::DenyError => place(Action::Deny),
            Reason::RequireNotMatched => place(Action::Require),
            _ => place(Action::Allow),
        };
        match mode {
            Mode::Enforce if place(action) == last => {
                decided.is_none_or(|decided| index <= decided)
            }
            Mode::Enforce => place(action) < last,
            // Shadow Allows count only where no Allow is enforced.
            Mode::Shadow if action == Action::Allow => self.outcome.reason == Reason::NoAllowRule,
            Mode::Shadow => {
                self.outcome.denial.is_none_or(|denial| denial.reason == Reason::RewriteError)
            }
        }
    }

    /// The enforced policies in scope, each with its explanation.
    fn enforced<'e>(
        &self,
        in_scope: &'e [usize],
        policies: &'e mut [explain::Policy],
    ) -> impl Iterator<Item = (&'a Policy, &'a PolicyConfig, &'e mut explain::Policy)> {
        let (engine, config) = (self.engine, self.config);
        in_scope.iter().zip(policies).filter_map(move |(index, explained)| {
            let policy =
                engine.policies.get(*index).filter(|policy| policy.mode == Mode::Enforce)?;
            Some((policy, config.policies.get(*index)?, explained))
        })
    }

    /// What the policies make of the request's headers, if the rules let it through.
    fn transform(&self, in_scope: &[usize], policies: &mut [explain::Policy], lines: &mut Lines) {
        if self.outcome.denial.is_some_and(|denial| denial.reason != Reason::RewriteError) {
            return;
        }
        let meter = Meter::new();
        let mut headers = self.facts.headers.clone();
        for (policy, config, explained) in self.enforced(in_scope, policies) {
            let mut changes = Vec::new();
            let of = (self.facts, &self.engine.callers, Phase::Request);
            let (applied, rules) =
                policy.request.explain(&config.request, &mut headers, &mut changes, &meter, of);
            explained.request = rules;
            if applied.unusable {
                return;
            }
            if self.outcome.denial.is_none() {
                lines.change(Direction::Request, &changes, &policy.name);
            }
        }
    }

    /// What the policies make of the response's headers.
    fn respond(
        &self,
        in_scope: &[usize],
        policies: &mut [explain::Policy],
        response: &Headers<'a>,
    ) -> Lines {
        let meter = Meter::new();
        let mut headers = response.clone();
        let mut lines = Lines::of(response);
        for (policy, config, explained) in self.enforced(in_scope, policies) {
            let mut changes = Vec::new();
            let of = (self.facts, &self.engine.callers, Phase::Response);
            let (_, rules) =
                policy.response.explain(&config.response, &mut headers, &mut changes, &meter, of);
            explained.response = rules;
            lines.change(Direction::Response, &changes, &policy.name);
        }
        lines
    }
}

fn hosts(policy: &PolicyConfig) -> Vec<String> {
    let host = |host: &HostPattern| match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Under(suffix) => format!("*{suffix}"),
    };
    policy.hosts.iter().map(host).collect()
}

/// A message's header lines, before and after.
#[derive(Debug)]
struct Lines(Vec<Header>);

impl Lines {
    fn of(headers: &Headers<'_>) -> Lines {
        let line = |(name, value): (String, Vec<u8>)| Header {
            name,
            value: text(&value),
            fate: Fate::Kept,
            policy: None,
        };
        Lines(trial::lines(headers).into_iter().map(line).collect())
    }

    /// Notes what a policy changes, as [`trial::changed`] makes it.
    fn change(&mut self, direction: Direction, changes: &[Change<'_>], policy: &str) {
        for change in changes {
            match change {
                Change::Add(name, value) if inline::is_inline(direction, name.as_bytes()) => {
                    self.join(name, value, policy)
                }
                Change::Add(name, value) => self.put(name, value, Fate::Added, policy),
                Change::Replace(name, value) => {
                    let fate = if self.take(name, Fate::Replaced, policy) {
                        Fate::Replacement
                    } else {
                        Fate::Added
                    };
                    self.put(name, value, fate, policy);
                }
                Change::Remove(name) => {
                    self.take(name, Fate::Removed, policy);
                }
            }
        }
    }

    fn put(&mut self, name: &str, value: &[u8], fate: Fate, policy: &str) {
        self.0.push(Header {
            name: name.to_owned(),
            value: text(value),
            fate,
            policy: Some(policy.to_owned()),
        });
    }

    /// Adds to the line that there is, as Envoy does where it keeps one.
    fn join(&mut self, name: &str, value: &[u8], policy: &str) {
        let found =
            self.0.iter_mut().enumerate().find(|(_, line)| line.name == name && line.fate.stays());
        let Some((index, line)) = found else { return self.put(name, value, Fate::Added, policy) };
        let mut joined = line.value.clone().into_bytes();
        inline::join(&mut joined, value);
        let came = line.fate == Fate::Kept;
        let fate = if came { Fate::Replacement } else { line.fate };
        let joined = Header {
            name: name.to_owned(),
            value: text(&joined),
            fate,
            policy: Some(policy.to_owned()),
        };
        if came {
            line.fate = Fate::Replaced;
            line.policy = Some(policy.to_owned());
            self.0.insert(index.saturating_add(1), joined);
        } else {
            *line = joined;
        }
    }

    /// Takes the lines of a name away; gives whether there were any. What an earlier policy put
    /// there is as if it had not.
    fn take(&mut self, name: &str, fate: Fate, policy: &str) -> bool {
        let mut found = false;
        self.0.retain_mut(|line| {
            if line.name != name || !line.fate.stays() {
                return true;
            }
            found = true;
            let came = line.fate == Fate::Kept;
            line.fate = fate;
            line.policy = Some(policy.to_owned());
            came
        });
        found
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
