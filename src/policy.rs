//! Policies, compiled: [`Engine::load`] compiles a configuration once, for all requests.

pub(crate) mod header_rules;
pub(crate) mod index;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
pub(crate) mod rule;
#[cfg(test)]
mod tests;
mod warnings;

use std::sync::Mutex;
use std::time::Duration;

use crate::call::{Answer, Call};
use crate::cel::Phase;
use crate::config::{
    self, AuditLog, Config, ConfigError, HostBinding, MAX_ALL_PATTERNS, MAX_ERRORS, Mode,
    PolicyConfig, Spot,
};
use crate::credential::token::{Ended, Fetch};
use crate::credential::{self, Credentials, Environment, NamesOnly};
use crate::identity::peer::{Caller, Callers};
use crate::order::{ORDER, Stage};
use crate::path::PathSafety;
use crate::request::Facts;
use header_rules::HeaderRules;
use index::Index;
use rule::Rule;
pub use warnings::ConfigWarning;
use warnings::Warnings;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) rule: Option<Rule>,
    pub(crate) request: HeaderRules,
    pub(crate) response: HeaderRules,
    /// The indices of its credentials, among all of the configuration.
    pub(crate) credentials: Vec<usize>,
}

/// A compiled configuration.
#[derive(Debug)]
pub struct Engine {
    pub(crate) callers: Callers,
    pub(crate) path_safety: PathSafety,
    pub(crate) host_binding: HostBinding,
    pub(crate) audit: AuditLog,
    pub(crate) access_log: bool,
    pub(crate) policies: Vec<Policy>,
    pub(crate) credentials: Credentials,
    pub(crate) index: Index,
    /// The stages that a request passes.
    pub(crate) order: Vec<Stage>,
    /// The allocation for the candidates of a request, kept for the next one.
    candidates: Mutex<Vec<u32>>,
    warnings: Warnings,
    /// The service that the stage for tests calls.
    #[cfg(any(test, feature = "trap-for-tests"))]
    pub(crate) probe: Option<probe::Probe>,
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
        let mut policies = compile(&config.policies, &mut errors);
        let credentials = credential::compile(&config, environment, &mut errors);
        for (index, credential) in credentials.all.iter().enumerate() {
            if let Some(policy) = policies.get_mut(credential.policy) {
                policy.credentials.push(index);
            }
        }
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
        let warnings = Warnings::of(&config, &policies);
        Ok(Engine {
            callers: Callers::new(config.identity.sources, config.identity.trust_domains),
            path_safety: config.path_safety,
            host_binding: config.host_binding,
            audit: config.audit,
            access_log: config.access_log,
            order: order_for(&policies),
            policies,
            credentials,
            index,
            candidates: Mutex::default(),
            warnings,
            #[cfg(any(test, feature = "trap-for-tests"))]
            probe: None,
        })
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

    /// The policy that a token is fetched for, and Envoy's name of the cluster that is called.
    #[must_use]
    pub fn fetched_from(&self, fetch: Fetch) -> Option<(&str, &str)> {
        let credential = self.credentials.all.get(fetch.credential)?;
        let cluster = self.credentials.tokens(fetch.credential)?.cluster();
        Some((self.policy_name(credential.policy)?, cluster))
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

/// The stages that these policies need, in order: a stage that none of them uses costs nothing.
fn order_for(policies: &[Policy]) -> Vec<Stage> {
    let is_needed =
        |stage: &Stage| stage.is_for_all() || policies.iter().any(|policy| policy.needs(*stage));
    ORDER.iter().copied().filter(is_needed).collect()
}

/// Compiles policies, until their patterns or their errors exceed a limit.
fn compile(configs: &[PolicyConfig], errors: &mut Vec<ConfigError>) -> Vec<Policy> {
    let (mut policies, mut patterns) = (Vec::with_capacity(configs.len()), 0_usize);
    for config in configs {
        let policy = Policy::compile(config, errors);
        patterns = patterns.saturating_add(policy.pattern_bytes());
        policies.push(policy);
        if patterns > MAX_ALL_PATTERNS {
            errors.insert(0, too_large_patterns(config, patterns));
        }
        if patterns > MAX_ALL_PATTERNS || errors.len() > MAX_ERRORS {
            break;
        }
    }
    policies
}

fn too_large_patterns(config: &PolicyConfig, bytes: usize) -> ConfigError {
    let message = format!(
        "the patterns of the policies up to this one take {bytes} bytes once compiled, the limit \
         is {MAX_ALL_PATTERNS}: ask for less with `{{n,m}}`, or leave out the policies of hosts \
         that this waypoint does not serve"
    );
    ConfigError {
        policy: Some(config.name.clone()),
        place: config.place.clone(),
        spot: Spot::Whole,
        message,
    }
}

impl Policy {
    /// How many bytes its literal patterns take.
    fn pattern_bytes(&self) -> usize {
        let rule = self.rule.iter().flat_map(Rule::expressions);
        let values = self.request.values().chain(self.response.values());
        rule.chain(values).fold(0, |sum, expression| sum.saturating_add(expression.pattern_bytes()))
    }

    /// Compiles a policy. If that fails, `errors` gets the reasons, and the policy is not used.
    fn compile(config: &PolicyConfig, errors: &mut Vec<ConfigError>) -> Policy {
        let rule = config
            .authorization
            .as_ref()
            .map(|authorization| Rule::compile(&config.name, authorization, errors));
        let request = HeaderRules::compile(&config.name, &config.request, Phase::Request, errors);
        let response =
            HeaderRules::compile(&config.name, &config.response, Phase::Response, errors);
        Policy {
            name: config.name.clone(),
            mode: config.mode,
            rule,
            request,
            response,
            credentials: Vec::new(),
        }
    }

    /// Whether it does anything with a request, or its response, beside deciding about it.
    pub(crate) fn acts(&self) -> bool {
        !self.request.is_empty() || !self.response.is_empty() || !self.credentials.is_empty()
    }

    /// Whether a request must pass this stage because of the policy.
    fn needs(&self, stage: Stage) -> bool {
        match stage {
            Stage::Transformation => self.mode == Mode::Enforce && self.acts(),
            Stage::Credentials => !self.credentials.is_empty(),
            _ => false,
        }
    }

    /// What the index needs to know of it.
    fn entry<'c>(&self, config: &'c PolicyConfig) -> index::Entry<'c> {
        let enforced = self.mode == Mode::Enforce;
        let rule = self.rule.as_ref().map(|rule| index::RuleEntry {
            // Shadow Allows would deny together, so all of them must be evaluated.
            guards: if enforced || !rule.is_allow() { rule.guards() } else { Vec::new() },
            is_allow: rule.is_allow(),
        });
        index::Entry {
            hosts: &config.hosts,
            rule,
            acts: enforced && self.acts(),
            enforced,
            path_safety: config.path_safety,
        }
    }
}
