//! Policies, compiled: [`Engine::load`] compiles a configuration once, for all requests.

pub(crate) mod answers;
pub(crate) mod bodies;
mod compile;
pub(crate) mod conditional;
pub(crate) mod denial;
pub(crate) mod ext_auth;
pub(crate) mod fixed_headers;
pub(crate) mod global_limit;
pub(crate) mod header_rules;
pub(crate) mod index;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
pub(crate) mod rate_limit;
mod recording;
pub(crate) mod reply_rules;
pub(crate) mod router;
pub(crate) mod rule;
#[cfg(test)]
mod tests;
mod variables;
mod warnings;

use std::sync::Mutex;
use std::time::Duration;

use crate::attributes::TABLE;
use crate::call::{Answer, Call};
use crate::cel::{Expression, Scope, Variables};
use crate::config::{
    self, AuditLog, Config, ConfigError, DefaultAction, HostBinding, HostRewrite, Mode,
    RedirectConfig, UrlRewriteConfig,
};
use crate::credential::token::{Ended, Fetch};
use crate::credential::{self, Credentials, Environment, NamesOnly};
use crate::identity::peer::{Caller, Callers};
use crate::order::{BODY_ORDER, ORDER, Stage};
use crate::path::PathSafety;
use crate::rate_limit::limiter::Limiter;
use crate::request::Facts;
use answers::DirectResponse;
use bodies::{Bodies, READS_BODIES};
use compile::{compile, order_for};
use conditional::Conditional;
use ext_auth::ExtAuth;
use fixed_headers::FixedHeaders;
use header_rules::HeaderRules;
use index::{Groups, Index};
use rate_limit::RateLimit;
pub use recording::FieldValue;
pub(crate) use recording::Recording;
use reply_rules::ReplyRules;
use router::Router;
use rule::{Pass, Rule};
pub use warnings::ConfigWarning;
use warnings::Warnings;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use warnings::covers;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) rule: Option<Rule>,
    /// The default action that it sets for its hosts.
    pub(crate) default_action: Option<DefaultAction>,
    /// The answer to requests that it denies.
    pub(crate) denial: Option<ReplyRules>,
    pub(crate) ext_auth: Option<Box<Conditional<ExtAuth>>>,
    pub(crate) rate_limit: Option<Box<Conditional<RateLimit>>>,
    pub(crate) transformation: Conditional<Transformation>,
    /// None where the policy has none, as with the features below.
    pub(crate) header_modifiers: Option<Box<HeaderModifiers>>,
    pub(crate) url_rewrite: Option<Box<Conditional<UrlRewriteConfig>>>,
    pub(crate) host_rewrite: Option<HostRewrite>,
    pub(crate) redirect: Option<Box<Conditional<RedirectConfig>>>,
    pub(crate) direct_response: Option<Box<Conditional<DirectResponse>>>,
    /// What it tells Envoy's router, if anything.
    pub(crate) router: Option<Box<Router>>,
    /// The indices of its credentials, among all of the configuration.
    pub(crate) credentials: Vec<usize>,
}

/// The compiled header rules of both directions.
#[derive(Debug, Default)]
pub(crate) struct Transformation {
    pub(crate) request: HeaderRules,
    pub(crate) response: HeaderRules,
    /// What replaces the request's body.
    pub(crate) request_body: Option<Expression>,
    /// What replaces the response's body.
    pub(crate) response_body: Option<Expression>,
}

/// The fixed changes of headers of both directions.
#[derive(Debug)]
pub(crate) struct HeaderModifiers {
    pub(crate) request: FixedHeaders,
    pub(crate) response: FixedHeaders,
}

/// A compiled configuration.
#[derive(Debug)]
pub struct Engine {
    fingerprint: u64,
    pub(crate) callers: Callers,
    pub(crate) path_safety: PathSafety,
    pub(crate) host_binding: HostBinding,
    default_action: DefaultAction,
    /// The answer to requests that the rules deny, where no policy has one of its own.
    pub(crate) denial: Option<ReplyRules>,
    /// Whether there is one at all, of the whole or of a policy.
    pub(crate) composes_denials: bool,
    /// The time that all calls about one request may take together.
    pub(crate) deadline: Duration,
    bodies: Option<Bodies>,
    /// Whether some rules are evaluated after the others, because they need more than headers.
    pub(crate) has_passes: bool,
    /// Whether a policy is only in shadow.
    pub(crate) has_shadow: bool,
    /// Whether there is an enforced Deny or Require.
    pub(crate) may_refuse: bool,
    pub(crate) audit: AuditLog,
    pub(crate) access_log: bool,
    /// What is evaluated for audit records, if anything is.
    pub(crate) recording: Option<Box<Recording>>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) credentials: Credentials,
    /// What this worker keeps of all local rate limits.
    pub(crate) limiter: Limiter,
    variables: Variables,
    pub(crate) index: Index,
    /// The stages that a request passes.
    pub(crate) order: Vec<Stage>,
    /// Those that it passes once its body is there.
    pub(crate) body_order: Vec<Stage>,
    /// The allocation for the candidates of a request, kept for the next one.
    candidates: Mutex<Vec<u32>>,
    warnings: Warnings,
    /// The service that the stage for tests calls.
    #[cfg(any(test, feature = "trap-for-tests"))]
    pub(crate) probe: Option<probe::Probe>,
}

/// The variables and policies of a configuration, compiled for tools that look into them; none if
/// it has an error.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn compile_for_tools(config: &Config) -> Option<(Variables, Vec<Policy>)> {
    let mut errors = Vec::new();
    let variables = variables::compile(&config.variables, &mut errors);
    let scope = Scope { table: &TABLE, variables: &variables };
    let policies = compile(&config.policies, scope, &mut errors);
    errors.is_empty().then_some((variables, policies))
}

impl Policy {
    /// The expressions of its rule.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn rule_expressions(&self) -> Option<&[Expression]> {
        self.rule.as_ref().map(Rule::expressions)
    }

    /// Whether it is enforced, and has a rule that can refuse a request by itself.
    fn may_refuse(&self) -> bool {
        let refuses = self.rule.as_ref().is_some_and(|rule| !rule.is_allow());
        refuses && self.mode == Mode::Enforce
    }
}

impl Engine {
    /// Compiles a configuration without its secrets, as tools do: `<redacted>` stands for the value
    /// of every environment variable.
    ///
    /// # Errors
    /// Everything that is wrong with it: its shape, and each expression in it.
    pub fn load(json: &[u8]) -> Result<Engine, Vec<ConfigError>> {
        Engine::load_with(json, &NamesOnly)
    }

    /// Compiles a configuration. Credentials come from this environment.
    ///
    /// # Errors
    /// Everything that is wrong with it: its shape, each expression in it, and each environment
    /// variable that is not there or has no value that can be used.
    pub fn load_with(
        json: &[u8],
        environment: &dyn Environment,
    ) -> Result<Engine, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse_all(json);
        let variables = variables::compile(&config.variables, &mut errors);
        let scope = Scope { table: &TABLE, variables: &variables };
        let recording = Recording::compile(&config.record, scope, &mut errors);
        let mut policies = compile(&config.policies, scope, &mut errors);
        ext_auth::assign_passes(&config.policies, &mut policies, &mut errors);
        let denial = config.denial.as_ref();
        let denial = denial.map(|denial| ReplyRules::compile("", denial, scope, &mut errors));
        let credentials = credential::compile(&config, environment, &mut errors);
        for (index, credential) in credentials.all.iter().enumerate() {
            if let Some(policy) = policies.get_mut(credential.policy) {
                policy.credentials.push(index);
            }
        }
        let bodies = Bodies::compile(&config.bodies, &config.policies, &policies, &mut errors);
        if !errors.is_empty() {
            return Err(config::bounded(errors));
        }
        let entries: Vec<index::Entry<'_>> = config
            .policies
            .iter()
            .zip(&policies)
            .map(|(config, policy)| policy.entry(config))
            .collect();
        let index = Index::new(&entries);
        let warnings = Warnings::of(&config, &policies, scope);
        Ok(Engine {
            fingerprint: config.fingerprint,
            callers: Callers::new(config.identity.sources, config.identity.trust_domains),
            path_safety: config.path_safety,
            host_binding: config.host_binding,
            default_action: config.default_action,
            composes_denials: denial.is_some() || policies.iter().any(Policy::composes_denials),
            denial,
            deadline: config.deadline,
            bodies,
            has_shadow: policies.iter().any(|policy| policy.mode == Mode::Shadow),
            may_refuse: policies.iter().any(Policy::may_refuse),
            has_passes: policies.iter().any(|policy| policy.pass() != Pass::First),
            audit: config.audit,
            access_log: config.access_log,
            recording,
            order: order_for(ORDER, &policies),
            body_order: order_for(BODY_ORDER, &policies),
            policies,
            credentials,
            limiter: Limiter::default(),
            variables,
            index,
            candidates: Mutex::default(),
            warnings,
            #[cfg(any(test, feature = "trap-for-tests"))]
            probe: None,
        })
    }

    /// The bodies that are read; none where no policy reads any.
    pub(crate) fn bodies(&self) -> Option<&Bodies> {
        if READS_BODIES { self.bodies.as_ref() } else { None }
    }

    /// Whether some policy reads bodies, which only the module for bodies can.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        self.bodies().is_some()
    }

    /// What the expressions of the configuration may name.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope { table: &TABLE, variables: &self.variables }
    }

    /// Warnings of what is legal in the configuration but can hardly be meant: the first hundred.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings.kept
    }

    /// How many warnings there are in all.
    #[must_use]
    pub fn warning_count(&self) -> usize {
        self.warnings.count
    }

    /// Which configuration it is: a number of 48 bits that is the same wherever the same settings
    /// are written, whatever the order of their fields. Load records have it as 12 hexadecimal
    /// digits.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
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

    /// What becomes of a request to a host of these groups that nothing denies and no Allow is for;
    /// and the policy that says so, unless it is the configuration as a whole.
    pub(crate) fn default_action(&self, groups: &Groups<'_>) -> (DefaultAction, Option<usize>) {
        match groups.default_action() {
            None => (self.default_action, None),
            Some(set) => (set.action, usize::try_from(set.policy).ok()),
        }
    }

    /// What becomes of a request to this host (lower-case, no port) that nothing denies and no
    /// Allow is for.
    #[must_use]
    pub fn default_action_for(&self, host: &str) -> DefaultAction {
        self.default_action(&self.index.groups(host)).0
    }

    /// Whether a request to this host (lower-case, no port) goes on unless something denies it: no
    /// enforced Allow is for the host, and the default action is Allow.
    #[must_use]
    pub fn leaves_open(&self, host: &str) -> bool {
        let groups = self.index.groups(host);
        !groups.allows() && self.default_action(&groups).0 == DefaultAction::Allow
    }

    /// The default action of hosts for which no policy sets one.
    #[must_use]
    pub fn default_action_of_all(&self) -> DefaultAction {
        self.default_action
    }

    /// Whether each decision goes into the proxy's access log.
    #[must_use]
    pub fn tells_access_log(&self) -> bool {
        self.access_log
    }

    /// Whether a caller of any trust domain has been accepted, because neither the configuration
    /// nor the proxy names the right one.
    #[must_use]
    pub fn believes_blindly(&self) -> bool {
        self.callers.believe_blindly()
    }

    /// Who the caller of a request is.
    #[must_use]
    pub fn caller<'f>(&self, facts: &'f Facts<'_>) -> &'f Caller {
        facts.caller(&self.callers)
    }

    /// Whether there are credentials that must be fetched, so that calls may become due.
    #[must_use]
    pub fn fetches_tokens(&self) -> bool {
        self.credentials.has_tokens()
    }

    /// A call that fetches a token, to be made now; each is returned once. Its answer goes to
    /// [`end_fetch`](Self::end_fetch).
    #[must_use]
    pub fn due_fetch(&self) -> Option<(Fetch, Call)> {
        let all = self.credentials.all.iter().enumerate();
        all.filter_map(|(index, _)| self.credentials.tokens(index)?.due(index)).next()
    }

    /// Takes the answer to a call that fetches a token. Unless it is ignored, every exchange that
    /// waits for the credential is to get [`Event::Fetched`](crate::exchange::Event::Fetched).
    pub fn end_fetch(&self, fetch: Fetch, answer: &Answer<'_>, now: Duration) -> Ended {
        let tokens = self.credentials.tokens(fetch.credential);
        tokens.map_or(Ended::Ignored, |tokens| tokens.end(fetch.number, answer, now))
    }

    /// The index of the policy that a token is fetched for, and Envoy's name of the cluster that is
    /// called.
    #[must_use]
    pub fn fetched_from(&self, fetch: Fetch) -> Option<(usize, &str)> {
        let credential = self.credentials.all.get(fetch.credential)?;
        let cluster = self.credentials.tokens(fetch.credential)?.cluster();
        Some((credential.policy, cluster))
    }

    /// The policies at these indices.
    pub(crate) fn policies_at(&self, indices: &[u32]) -> impl Iterator<Item = (usize, &Policy)> {
        indices.iter().filter_map(|index| {
            let index = usize::try_from(*index).ok()?;
            Some((index, self.policies.get(index)?))
        })
    }

    /// The allocation for the candidates of a request.
    pub(crate) fn spare_candidates(&self) -> Vec<u32> {
        match self.candidates.try_lock() {
            Ok(mut kept) => std::mem::take(&mut *kept),
            Err(_) => Vec::new(),
        }
    }

    /// Keeps that allocation for the next request.
    pub(crate) fn keep_candidates(&self, candidates: Vec<u32>) {
        if let Ok(mut kept) = self.candidates.try_lock() {
            *kept = candidates;
        }
    }
}
