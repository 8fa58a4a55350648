//! Policies, compiled: what they say of a request.
//!
//! [`Engine::load`] compiles a configuration once; [`Engine::decide`] decides about a request,
//! looking only at the policies that can matter to it.

#[cfg(all(test, not(target_arch = "wasm32")))]
mod agreement;
#[cfg(not(target_arch = "wasm32"))]
pub mod coverage;
#[cfg(not(target_arch = "wasm32"))]
mod explain;
mod index;
mod refusal;
#[cfg(test)]
mod tests;
mod trailers;
mod warnings;

use std::borrow::Cow;
use std::sync::Mutex;

use crate::attributes;
use crate::attributes::view::View;
pub use crate::audit::load::load_record;
use crate::audit::{self, Record};
use crate::authorization::{self, Judgement, Rule};
use crate::cel::attributes::Set;
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expression, Phase};
use crate::config::{
    self, AuditLog, Config, ConfigError, HostBinding, MAX_ALL_PATTERNS, MAX_ERRORS, Mode,
    PolicyConfig, Spot,
};
use crate::identity::peer::{Caller, Callers};
use crate::outcome::{Denial, Outcome, Reason, ResponseOutcome};
use crate::path::{self, PathSafety};
use crate::reading;
use crate::request::headers::Headers;
use crate::request::{Facts, destination, host};
use crate::transform::HeaderRules;
use index::{Groups, Index};
pub use refusal::refuse_unconfigured;
pub use warnings::ConfigWarning;
use warnings::Warnings;

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) rule: Option<Rule>,
    request: HeaderRules,
    response: HeaderRules,
}

/// A compiled configuration.
#[derive(Debug)]
pub struct Engine {
    callers: Callers,
    path_safety: PathSafety,
    host_binding: HostBinding,
    audit: AuditLog,
    access_log: bool,
    policies: Vec<Policy>,
    index: Index,
    /// Room for the candidates of one request, kept for the next.
    candidates: Mutex<Vec<u32>>,
    warnings: Warnings,
}

impl Engine {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it: its shape, and each expression in it.
    pub fn load(json: &[u8]) -> Result<Engine, Vec<ConfigError>> {
        let (config, mut errors) = Config::parse_all(json);
        let policies = compile(&config.policies, &mut errors);
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
            policies,
            index,
            candidates: Mutex::default(),
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

    /// Whether the proxy's access log is to be told of each decision.
    #[must_use]
    pub fn tells_access_log(&self) -> bool {
        self.access_log
    }

    /// Whether a caller of any trust domain has been believed, because neither the configuration
    /// nor the proxy says which one is to be.
    #[must_use]
    pub fn believes_blindly(&self) -> bool {
        self.callers.believe_blindly()
    }

    /// Who the caller of a request is.
    #[must_use]
    pub fn caller<'f>(&self, facts: &'f Facts<'_>) -> &'f Caller {
        facts.caller(&self.callers)
    }

    /// Decides about a request.
    #[must_use]
    pub fn decide<'a>(&'a self, facts: &'a Facts<'a>) -> Outcome<'a> {
        let meter = Meter::new();
        let host = request_host(&facts.headers);
        let mut outcome = match self.admit(facts, &host) {
            Ok(admitted) => self.judge(facts, &admitted, &meter),
            Err(denial) => Outcome::denied(denial, None),
        };
        if meter.is_exhausted() {
            let denied = Outcome::denied(Denial::forbidden(Reason::LimitExceeded), None);
            outcome = Outcome { errors: outcome.errors, ..denied };
        }
        if facts.failed() {
            outcome = Outcome::internal_error("host call failed");
        }
        let worth_telling = outcome.denial.is_some() || !outcome.shadow.is_empty();
        if self.audit == AuditLog::All || (self.audit == AuditLog::Denied && worth_telling) {
            let status = outcome.denial.as_ref().map(|denial| denial.status);
            outcome.audit = Some(self.record(facts, host.as_deref().ok(), &outcome, status));
        }
        outcome
    }

    /// What to change of the response to a request that went on, by what was
    /// [applied](Outcome::applied) to it; the facts are the request's as it came.
    #[must_use]
    pub fn respond<'a>(
        &'a self,
        applied: &[u32],
        facts: &'a Facts<'a>,
        response: &Headers<'a>,
    ) -> ResponseOutcome<'a> {
        let meter = Meter::new();
        let mut headers = response.clone();
        let mut outcome = ResponseOutcome::default();
        for (index, policy) in self.policies_at(applied) {
            let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
                let view = View::new(facts, &self.callers).with_response(headers);
                value.header_value(&view, allowance)
            };
            let changes = &mut outcome.changes;
            let applied = policy.response.apply(&mut headers, changes, &meter, value_of);
            outcome.errors.extend(applied.errors.into_iter().map(|message| (index, message)));
        }
        outcome.exhausted = meter.is_exhausted();
        outcome
    }

    fn policies_at(&self, indices: &[u32]) -> impl Iterator<Item = (usize, &Policy)> {
        indices.iter().filter_map(|index| {
            let index = usize::try_from(*index).ok()?;
            Some((index, self.policies.get(index)?))
        })
    }

    /// Refuses what is refused whatever the rules say; else gives the request's host, and the
    /// groups of policies for it.
    fn admit<'h>(
        &self,
        facts: &Facts<'_>,
        host: &'h Result<Cow<'_, str>, &'static str>,
    ) -> Result<Admitted<'h, '_>, Denial> {
        let host = match host {
            Ok(host) => &**host,
            Err(why) => return Err(Denial::bad_request(Reason::BadHost, why)),
        };
        let groups = self.index.groups(host);
        let path = facts.headers.first(b":path").unwrap_or_default();
        if let Some(why) = groups.path_safety().unwrap_or(self.path_safety).objection(path) {
            return Err(Denial::bad_request(Reason::PathUnsafe, why));
        }
        if let Some((reason, why)) = reading::objection(&facts.headers) {
            return Err(Denial::bad_request(reason, why));
        }
        if self.host_binding == HostBinding::Strict
            && facts
                .destination()
                .is_some_and(|destination| !destination::serves(destination, host))
        {
            return Err(Denial::forbidden(Reason::HostMismatch));
        }
        Ok(Admitted { host, groups, path_has_escapes: path.contains(&b'%') })
    }

    /// What the policies say of a request, and do to it.
    fn judge<'a>(
        &'a self,
        facts: &'a Facts<'a>,
        admitted: &Admitted<'_, '_>,
        meter: &Meter,
    ) -> Outcome<'a> {
        let Admitted { host, groups, path_has_escapes } = admitted;
        let view = View::new(facts, &self.callers).with_host(host, *path_has_escapes);
        let mut candidates = self
            .candidates
            .try_lock()
            .map_or_else(|_| Vec::new(), |mut kept| std::mem::take(&mut *kept));
        self.index.candidates(groups, &view, &mut candidates);
        let Judgement { denial, policy, reason, shadow, errors } =
            authorization::judge(&self.policies, &candidates, groups.allows(), &view, meter);
        let mut outcome = match denial {
            Some(denial) => Outcome::denied(denial, policy),
            None => Outcome::allowed(reason, policy),
        };
        outcome.shadow = shadow;
        outcome.errors = errors;
        if outcome.denial.is_none() {
            outcome = self.transform(&candidates, facts, meter, outcome);
        }
        if let Ok(mut kept) = self.candidates.try_lock() {
            *kept = candidates;
        }
        outcome
    }

    /// Changes the headers of a request that goes on; denies it after all where its request line
    /// would be the wrong one.
    fn transform<'a>(
        &'a self,
        candidates: &[u32],
        facts: &'a Facts<'a>,
        meter: &Meter,
        mut outcome: Outcome<'a>,
    ) -> Outcome<'a> {
        let transforms =
            |(_, policy): &(usize, &Policy)| policy.mode == Mode::Enforce && policy.transforms();
        let mut headers = None;
        let mut reads = Set::default();
        for (index, policy) in self.policies_at(candidates).filter(transforms) {
            if outcome.applied.is_empty() {
                outcome.applied = Vec::with_capacity(4);
            }
            outcome.applied.extend(u32::try_from(index));
            if !policy.response.is_empty() {
                outcome.responds = true;
                reads = reads.or(policy.response.reads());
            }
            if policy.request.is_empty() {
                continue;
            }
            let headers = headers.get_or_insert_with(|| {
                outcome.changes.reserve(8);
                facts.headers.clone()
            });
            let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
                let view = View::new(facts, &self.callers).with_request(headers);
                value.header_value(&view, allowance)
            };
            let applied = policy.request.apply(headers, &mut outcome.changes, meter, value_of);
            outcome.errors.extend(applied.errors.into_iter().map(|message| (index, message)));
            if applied.unusable {
                let denied = Outcome::denied(Denial::forbidden(Reason::RewriteError), Some(index));
                return Outcome { errors: outcome.errors, ..denied };
            }
        }
        // When the response comes, the proxy no longer tells what it knows of the request.
        if outcome.responds {
            attributes::prefetch(reads, &View::new(facts, &self.callers));
        }
        outcome
    }

    fn record(
        &self,
        facts: &Facts<'_>,
        host: Option<&str>,
        outcome: &Outcome<'_>,
        status: Option<u16>,
    ) -> String {
        let caller = self.caller(facts);
        let shadow = outcome.shadow.iter().filter_map(|index| self.policy_name(*index));
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
            shadow: shadow.take(audit::MAX_LIST).collect(),
            errors: errors.take(audit::MAX_LIST).collect(),
            caller: caller.spiffe_id(),
            rejected_caller: caller.rejected(),
            method: audit::text(facts.headers.first(b":method")),
            host: host
                .map(Cow::Borrowed)
                .or_else(|| audit::text(facts.headers.first(b":authority"))),
            path: audit::text(facts.headers.first(b":path").map(path::without_query)),
            destination: facts.destination(),
            status,
            request_id: audit::text(facts.headers.first(b"x-request-id")),
        }
        .to_line()
    }
}

/// Compiles policies, until their patterns or what is wrong with them pass a limit.
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
        "the patterns of the policies up to this one take {bytes} bytes once compiled, the limit is {MAX_ALL_PATTERNS}: ask for less with `{{n,m}}`, or leave out the policies of hosts that this waypoint does not serve"
    );
    ConfigError {
        policy: Some(config.name.clone()),
        place: config.place.clone(),
        spot: Spot::Whole,
        message,
    }
}

/// What is known of a request that is not refused whatever the rules say.
#[derive(Debug)]
struct Admitted<'h, 'g> {
    host: &'h str,
    /// The groups of policies for the host.
    groups: Groups<'g>,
    path_has_escapes: bool,
}

impl Policy {
    /// How many bytes its literal patterns take.
    fn pattern_bytes(&self) -> usize {
        let rule = self.rule.iter().flat_map(Rule::expressions);
        let values = self.request.values().chain(self.response.values());
        rule.chain(values).fold(0, |sum, expression| sum.saturating_add(expression.pattern_bytes()))
    }

    /// Compiles a policy; where that fails, the errors say why and what is returned is not used.
    fn compile(config: &PolicyConfig, errors: &mut Vec<ConfigError>) -> Policy {
        let rule = config
            .authorization
            .as_ref()
            .map(|authorization| Rule::compile(&config.name, authorization, errors));
        let request = HeaderRules::compile(&config.name, &config.request, Phase::Request, errors);
        let response =
            HeaderRules::compile(&config.name, &config.response, Phase::Response, errors);
        Policy { name: config.name.clone(), mode: config.mode, rule, request, response }
    }

    /// Whether it changes headers at all.
    fn transforms(&self) -> bool {
        !self.request.is_empty() || !self.response.is_empty()
    }

    /// What the index needs to know of it.
    fn entry<'c>(&self, config: &'c PolicyConfig) -> index::Entry<'c> {
        let enforced = self.mode == Mode::Enforce;
        let is_allow = self.rule.as_ref().is_some_and(Rule::is_allow);
        // Headers change whatever the rule says; and what shadow Allows would do together needs all
        // of them.
        let findable =
            self.request.is_empty() && self.response.is_empty() && (enforced || !is_allow);
        let guards = self.rule.as_ref().filter(|_| findable).map_or_else(Vec::new, Rule::guards);
        index::Entry {
            hosts: &config.hosts,
            guards,
            is_allow,
            enforced,
            path_safety: config.path_safety,
        }
    }
}

/// The one host that a request names.
fn request_host<'h>(headers: &'h Headers<'_>) -> Result<Cow<'h, str>, &'static str> {
    let mut authorities = headers.values(b":authority");
    let host = host::canonical(authorities.next().unwrap_or_default())?;
    // Two hosts, however they came: which one counts would be the origin's guess.
    if authorities.next().is_some()
        || headers.values(b"host").any(|other| host::canonical(other).as_deref() != Ok(&*host))
    {
        return Err("more than one host");
    }
    Ok(host)
}
