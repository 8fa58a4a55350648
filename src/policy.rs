//! Policies, compiled: what they say of a request.
//!
//! [`Engine::load`] compiles a configuration once. Per request, [`Engine::scope`] finds the policies that are for its
//! host and the facts that they read, and [`Engine::decide`] decides.

mod index;
#[cfg(test)]
mod tests;
mod warnings;

pub use crate::audit::load::load_record;
use crate::audit::{self, Record};
use crate::authorization::{self, Judgement, Rule};
use crate::cel::view::View;
use crate::cel::{Expression, Phase};
use crate::config::{AuditLog, Config, ConfigError, HostBinding, IdentityConfig, Mode, PolicyConfig};
use crate::identity::peer;
use crate::outcome::{Change, Count, Counter, Denial, Outcome, Reason};
use crate::path::{self, PathSafety};
use crate::request::headers::Headers;
use crate::request::{Facts, Reads, destination, host};
use crate::transform::HeaderRules;
use index::Index;
pub use warnings::ConfigWarning;
use warnings::Warnings;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    path_safety: Option<PathSafety>,
    pub(crate) rule: Option<Rule>,
    request: HeaderRules,
    response: HeaderRules,
    reads: Reads,
}

/// A compiled configuration.
#[derive(Debug)]
pub struct Engine {
    identity: IdentityConfig,
    path_safety: PathSafety,
    host_binding: HostBinding,
    audit: AuditLog,
    policies: Vec<Policy>,
    index: Index,
    warnings: Warnings,
}

/// The policies that are for one request's host, in the order they apply.
#[derive(Debug, Clone)]
pub struct Scope {
    host: Result<String, &'static str>,
    policies: Vec<usize>,
    path_safety: PathSafety,
    reads: Reads,
}

impl Scope {
    /// The facts that the policies in scope read, beside the headers and the caller's identity.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.reads
    }
}

impl Engine {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it: its shape, and each expression in it.
    pub fn load(json: &[u8]) -> Result<Engine, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse_all(json);
        let index = Index::new(&config.policies);
        let policies: Vec<Policy> = config.policies.iter().map(|policy| Policy::compile(policy, &mut errors)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let warnings = Warnings::of(&config, &policies);
        Ok(Engine {
            identity: config.identity,
            path_safety: config.path_safety,
            host_binding: config.host_binding,
            audit: config.audit,
            policies,
            index,
            warnings,
        })
    }

    /// What in the configuration is legal and cannot be meant: the first hundred warnings.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings.kept
    }

    /// How many warnings there are in all.
    #[must_use]
    pub fn warning_count(&self) -> usize {
        self.warnings.count
    }

    /// How many policies there are.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// The name of the policy at `index` in the configuration.
    #[must_use]
    pub fn policy_name(&self, index: usize) -> Option<&str> {
        self.policies.get(index).map(|policy| policy.name.as_str())
    }

    /// Where the caller's identity is looked for.
    #[must_use]
    pub fn identity(&self) -> &IdentityConfig {
        &self.identity
    }

    /// Finds the policies that are for a request.
    #[must_use]
    pub fn scope(&self, headers: &Headers<'_>) -> Scope {
        let host = request_host(headers);
        let policies = host.as_ref().map_or_else(|_| Vec::new(), |host| self.index.find(host));
        let in_scope = || policies.iter().filter_map(|index| self.policies.get(*index));
        let enforced = in_scope().filter(|policy| policy.mode == Mode::Enforce);
        // Of several policies that each set it, the strictest counts.
        let path_safety = enforced.filter_map(|policy| policy.path_safety).max().unwrap_or(self.path_safety);
        let bound = Reads { service: self.host_binding == HostBinding::Strict, ..Reads::default() };
        let reads = in_scope().fold(bound, |reads, policy| reads.or(policy.reads));
        Scope { host, policies, path_safety, reads }
    }

    /// Decides about a request.
    #[must_use]
    pub fn decide(&self, scope: &Scope, facts: &Facts<'_>) -> Outcome {
        let peer = facts.peer(&self.identity);
        let mut outcome = match self.refusal(scope, facts) {
            Some(denial) => Outcome::denied(denial, None),
            None => self.authorize(scope, &View::new(facts, &facts.headers, peer)),
        };
        if outcome.denial.is_none() {
            outcome = self.transform(scope, facts, peer, outcome);
        }
        self.count(&mut outcome);
        outcome.caller = peer.id.map(|id| id.as_str().to_owned());
        outcome.policy_name = outcome.policy.and_then(|index| self.policy_name(index)).map(str::to_owned);
        let worth_telling = outcome.denial.is_some() || !outcome.shadow.is_empty();
        if self.audit == AuditLog::All || (self.audit == AuditLog::Denied && worth_telling) {
            outcome.audit = Some(self.record(scope, facts, peer, &outcome));
        }
        outcome
    }

    /// Whether a response to this request may be changed.
    #[must_use]
    pub fn changes_response(&self, scope: &Scope) -> bool {
        self.in_scope(scope).any(|(_, policy)| policy.mode == Mode::Enforce && !policy.response.is_empty())
    }

    /// What to change of the response's headers; the facts are the request's as it came.
    #[must_use]
    pub fn respond(&self, scope: &Scope, facts: &Facts<'_>, response: &Headers<'_>) -> (Vec<Change>, Vec<Count>) {
        let peer = facts.peer(&self.identity);
        let mut headers = response.clone();
        let (mut changes, mut counts) = (Vec::new(), Vec::new());
        for (index, policy) in self.in_scope(scope).filter(|(_, policy)| policy.mode == Mode::Enforce) {
            let applied = policy.response.apply(&mut headers, &mut changes, |headers, value| {
                value.header_value(&View::new(facts, &facts.headers, peer).with_response(headers))
            });
            counts.extend(applied.errors.iter().flat_map(|_| Count::of_policy(index, Counter::EvaluationErrors)));
        }
        (changes, counts)
    }

    fn in_scope(&self, scope: &Scope) -> impl Iterator<Item = (usize, &Policy)> {
        scope.policies.iter().filter_map(|index| Some((*index, self.policies.get(*index)?)))
    }

    /// What is refused whatever the rules say.
    fn refusal(&self, scope: &Scope, facts: &Facts<'_>) -> Option<Denial> {
        let host = match &scope.host {
            Ok(host) => host,
            Err(why) => return Some(Denial::bad_request(Reason::BadHost, why)),
        };
        let path = facts.headers.first(b":path").unwrap_or_default();
        if let Some(why) = scope.path_safety.objection(path) {
            return Some(Denial::bad_request(Reason::PathUnsafe, why));
        }
        let bound = self.host_binding == HostBinding::Strict;
        let destination = destination::hostname(facts.service).filter(|_| bound)?;
        (!destination::serves(destination, host)).then(|| Denial::forbidden(Reason::HostMismatch))
    }

    fn authorize(&self, scope: &Scope, view: &View<'_>) -> Outcome {
        let Judgement { denial, policy, reason, shadow, errors } = authorization::judge(self.in_scope(scope), view);
        let mut outcome = match denial {
            Some(denial) => Outcome::denied(denial, policy),
            None => Outcome::allowed(reason, policy),
        };
        outcome.shadow = shadow;
        outcome.errors = errors;
        outcome
    }

    /// Changes the headers of a request that goes on; denies it after all where its request line would be the wrong one.
    fn transform(&self, scope: &Scope, facts: &Facts<'_>, peer: peer::Peer<'_>, mut outcome: Outcome) -> Outcome {
        let changing = || self.in_scope(scope).filter(|(_, policy)| policy.mode == Mode::Enforce && !policy.request.is_empty());
        if changing().next().is_none() {
            return outcome;
        }
        let mut headers = facts.headers.clone();
        for (index, policy) in changing() {
            let value_of = |headers: &Headers<'_>, value: &Expression| value.header_value(&View::new(facts, headers, peer));
            let applied = policy.request.apply(&mut headers, &mut outcome.changes, value_of);
            outcome.errors.extend(applied.errors.into_iter().map(|message| (index, message)));
            if applied.unusable {
                let denied = Outcome::denied(Denial::forbidden(Reason::RewriteError), Some(index));
                return Outcome { errors: outcome.errors, ..denied };
            }
        }
        outcome
    }

    fn count(&self, outcome: &mut Outcome) {
        let verdict = if outcome.denial.is_some() { Counter::Denied } else { Counter::Allowed };
        outcome.counts.push(Count { policy: None, counter: verdict });
        outcome.counts.extend(outcome.policy.map(|index| Count { policy: Some(index), counter: verdict }));
        if !outcome.shadow.is_empty() {
            outcome.counts.push(Count { policy: None, counter: Counter::ShadowDenied });
        }
        outcome.counts.extend(outcome.shadow.iter().map(|index| Count { policy: Some(*index), counter: Counter::ShadowDenied }));
        outcome.counts.extend(outcome.errors.iter().flat_map(|(index, _)| Count::of_policy(*index, Counter::EvaluationErrors)));
    }

    fn record(&self, scope: &Scope, facts: &Facts<'_>, peer: peer::Peer<'_>, outcome: &Outcome) -> String {
        let names = |indices: &[usize]| indices.iter().filter_map(|index| self.policy_name(*index)).map(str::to_owned).collect();
        let errors = outcome.errors.iter().filter_map(|(index, message)| {
            let policy = self.policy_name(*index)?;
            Some(audit::EvaluationError { policy, message })
        });
        Record {
            event: "egress",
            verdict: if outcome.denial.is_some() { "deny" } else { "allow" },
            policy: outcome.policy.and_then(|index| self.policy_name(index)),
            reason: outcome.reason.as_str(),
            detail: outcome.denial.as_ref().and_then(|denial| denial.detail),
            shadow: names(&outcome.shadow),
            errors: errors.collect(),
            caller: peer.id.map(|id| id.as_str()),
            rejected_caller: peer.rejected,
            method: audit::text(facts.headers.first(b":method")),
            host: scope.host.as_deref().ok().map(Into::into).or_else(|| audit::text(facts.headers.first(b":authority"))),
            path: audit::text(facts.headers.first(b":path").map(path::without_query)),
            destination: destination::hostname(facts.service),
            status: outcome.denial.as_ref().map(|denial| denial.status),
            request_id: audit::text(facts.headers.first(b"x-request-id")),
        }
        .to_line()
    }
}

impl Policy {
    /// Compiles a policy; where that fails, the errors say why and what is returned is not used.
    fn compile(config: &PolicyConfig, errors: &mut Vec<ConfigError>) -> Policy {
        let rule = config.authorization.as_ref().map(|authorization| Rule::compile(&config.name, authorization, errors));
        let request = HeaderRules::compile(&config.name, &config.request, Phase::Request, errors);
        let response = HeaderRules::compile(&config.name, &config.response, Phase::Response, errors);
        let reads = rule.as_ref().map_or_else(Reads::default, Rule::reads).or(request.reads()).or(response.reads());
        Policy { name: config.name.clone(), mode: config.mode, path_safety: config.path_safety, rule, request, response, reads }
    }
}

/// The one host that a request names.
fn request_host(headers: &Headers<'_>) -> Result<String, &'static str> {
    let mut authorities = headers.values(b":authority");
    let host = host::canonical(authorities.next().unwrap_or_default())?;
    // Two hosts, however they came: which one counts would be the origin's guess.
    if authorities.next().is_some() || headers.values(b"host").any(|other| host::canonical(other).as_deref() != Ok(host.as_str())) {
        return Err("more than one host");
    }
    Ok(host)
}
