//! Policies, compiled: [`Engine::load`] compiles a configuration once, for all requests.

pub(crate) mod denial;
pub(crate) mod header_rules;
pub(crate) mod index;
#[cfg(any(test, feature = "trap-for-tests"))]
pub(crate) mod probe;
pub(crate) mod reply_rules;
pub(crate) mod rule;
#[cfg(test)]
mod tests;
mod warnings;

use std::sync::Mutex;

use crate::cel::Phase;
use crate::config::{
    self, AuditLog, Config, ConfigError, DefaultAction, HostBinding, MAX_ALL_PATTERNS, MAX_ERRORS,
    Mode, PolicyConfig, Spot,
};
use crate::identity::peer::{Caller, Callers};
use crate::order::{ORDER, Stage};
use crate::path::PathSafety;
use crate::request::Facts;
use header_rules::HeaderRules;
use index::{Groups, Index};
use reply_rules::ReplyRules;
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
    /// The default action that it sets for its hosts.
    pub(crate) default_action: Option<DefaultAction>,
    /// The answer to requests that it denies.
    pub(crate) denial: Option<ReplyRules>,
}

/// A compiled configuration.
#[derive(Debug)]
pub struct Engine {
    pub(crate) callers: Callers,
    pub(crate) path_safety: PathSafety,
    pub(crate) host_binding: HostBinding,
    default_action: DefaultAction,
    /// The answer to requests that the rules deny, where no policy has one of its own.
    pub(crate) denial: Option<ReplyRules>,
    pub(crate) audit: AuditLog,
    pub(crate) access_log: bool,
    pub(crate) policies: Vec<Policy>,
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
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it: its shape, and each expression in it.
    pub fn load(json: &[u8]) -> Result<Engine, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse_all(json);
        let policies = compile(&config.policies, &mut errors);
        let denial = config.denial.as_ref();
        let denial = denial.map(|denial| ReplyRules::compile("", denial, &mut errors));
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
            default_action: config.default_action,
            denial,
            audit: config.audit,
            access_log: config.access_log,
            order: order_for(&policies),
            policies,
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
        let denial = self.denial.iter().flat_map(ReplyRules::expressions);
        rule.chain(values)
            .chain(denial)
            .fold(0, |sum, expression| sum.saturating_add(expression.pattern_bytes()))
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
        let denial =
            config.denial.as_ref().map(|denial| ReplyRules::compile(&config.name, denial, errors));
        Policy {
            name: config.name.clone(),
            mode: config.mode,
            rule,
            request,
            response,
            default_action: config.default_action,
            denial,
        }
    }

    /// Whether it does anything with a request, or its response, beside deciding about it.
    pub(crate) fn acts(&self) -> bool {
        !self.request.is_empty() || !self.response.is_empty()
    }

    /// Whether a request must pass this stage because of the policy.
    fn needs(&self, stage: Stage) -> bool {
        match stage {
            Stage::Transformation => self.mode == Mode::Enforce && self.acts(),
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
            default_action: self.default_action,
            has_denial: self.denial.is_some(),
        }
    }
}
