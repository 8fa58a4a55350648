//! Holds a proposal to what it is for, with the engine that runs in the waypoint.

use std::collections::{BTreeMap, BTreeSet};

use egress_filter::config::{Config, IdentityConfig};
use egress_filter::decision::{Reason, Verdict};
use egress_filter::policy::Engine;
use egress_filter::trial::Trial;
use serde_json::{Map, Value, json};

use super::{Manner, Observed, Proposal};
use crate::{request, yaml};

/// The most requests with which it is tried that nothing else goes through.
const MAX_TRIED: usize = 20_000;

/// The policies in force, which the proposed ones are added to.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Base {
    config: Map<String, Value>,
    identity: IdentityConfig,
}

/// A request that is denied in spite of the proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Refusal {
    pub(in crate::audit) request: Observed,
    pub(in crate::audit) reason: Reason,
    pub(in crate::audit) policy: Option<String>,
}

impl Base {
    /// A configuration that loads.
    pub(in crate::audit) fn new(config: Value) -> Base {
        let identity = Config::parse(config.to_string().as_bytes())
            .map(|config| config.identity)
            .unwrap_or_default();
        let config = if let Value::Object(config) = config { config } else { Map::new() };
        Base { config, identity }
    }

    /// The names of its policies.
    pub(in crate::audit) fn names(&self) -> BTreeSet<String> {
        let name = |policy: &Value| policy.get("name")?.as_str().map(str::to_owned);
        self.policies().iter().filter_map(name).collect()
    }

    fn policies(&self) -> &[Value] {
        self.config.get("policies").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl Proposal {
    /// Tries the proposal, as it is written: nothing goes through by it that it is not for, and
    /// with the policies in force, those that only reported now enforced, nothing that it is for is
    /// denied.
    ///
    /// Returns what is denied all the same.
    ///
    /// # Errors
    /// If the proposal is not what it is meant to be. That is an error of this program.
    pub(in crate::audit) fn check(
        &self,
        manner: Manner,
        base: Option<&Base>,
    ) -> Result<Vec<Refusal>, String> {
        let enforced = self.tree(Manner { is_shadow: false, ..manner }).to_yaml();
        let wrong = |message: String| format!("the proposal is not what it should be: {message}");
        let alone = read(&enforced).map_err(wrong)?;
        self.check_alone(&alone).map_err(wrong)?;
        // Written in shadow mode, it loads as well.
        if manner.is_shadow {
            load(&read(&self.tree(manner).to_yaml()).map_err(wrong)?).map_err(wrong)?;
        }
        let whole = self.applied_to(base, &alone);
        let engine = load(&whole)?;
        let identity = base.map(|base| base.identity.clone()).unwrap_or_default();
        let refused = self.observed.iter().filter_map(|request| {
            let tried = trial(request, &identity).run(&engine);
            // What other services, limits and credentials say is not for rules to decide.
            let by_rule = !matches!(
                tried.reason,
                Reason::ExternalDenied
                    | Reason::RateLimited
                    | Reason::CalloutError
                    | Reason::NoAnswer
                    | Reason::CredentialRefused
                    | Reason::CredentialUnavailable
            );
            (tried.reason.verdict() == Verdict::Deny && by_rule).then(|| Refusal {
                request: request.clone(),
                reason: tried.reason,
                policy: tried.policy,
            })
        });
        Ok(refused.collect())
    }

    /// The proposal, alone under a default of Deny, lets through what it is for and nothing else.
    fn check_alone(&self, policies: &Value) -> Result<(), String> {
        let mut config = policies.clone();
        if let Some(config) = config.as_object_mut() {
            config.insert("defaultAction".to_owned(), "Deny".into());
            config.insert("pathSafety".to_owned(), "Off".into());
            config.insert("identity".to_owned(), self.identity());
        }
        let engine = load(&config)?;
        let identity = IdentityConfig::default();
        for request in self.observed.iter().chain(&self.others()) {
            let is_allowed = trial(request, &identity).run(&engine).reason == Reason::AllowMatched;
            // What is denied all the same is told as such.
            if is_allowed && !self.covers(request) {
                return Err(format!("it lets {request:?} through"));
            }
        }
        Ok(())
    }

    /// The waypoint has accepted the callers, so these are the trust domains that it accepts.
    fn identity(&self) -> Value {
        let callers = self.observed.iter().map(|request| trust_domain(&request.caller));
        json!({"trustDomains": callers.collect::<BTreeSet<_>>()})
    }

    /// Requests like those that were seen: what one caller did, of another; and such as nobody has
    /// sent.
    fn others(&self) -> Vec<Observed> {
        type Seen<'p> = (BTreeSet<&'p str>, BTreeSet<&'p str>, BTreeSet<&'p str>);
        let mut at: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
        for request in &self.observed {
            let (callers, methods, paths) = at.entry(&request.host).or_default();
            callers.insert(&request.caller);
            methods.insert(&request.method);
            paths.insert(&request.path);
        }
        let mut others = Vec::new();
        for (host, (callers, methods, paths)) in at {
            for caller in callers.into_iter().chain(["spiffe://cluster.local/ns/not/sa/seen"]) {
                for method in methods.iter().copied().chain(["NOT-SEEN"]) {
                    for path in paths.iter().copied().chain(["/not-seen"]) {
                        if others.len() >= MAX_TRIED {
                            return others;
                        }
                        for path in [path.to_owned(), format!("{path}-not-seen")] {
                            others.push(Observed {
                                caller: caller.to_owned(),
                                host: host.to_owned(),
                                method: method.to_owned(),
                                path,
                            });
                        }
                    }
                }
            }
        }
        others
    }

    /// The configuration once the proposal is a part of it, and the policies that reported are
    /// enforced.
    fn applied_to(&self, base: Option<&Base>, proposed: &Value) -> Value {
        let mut config = base.map_or_else(
            || {
                let config = json!({"defaultAction": "Deny", "identity": self.identity()});
                config.as_object().cloned().unwrap_or_default()
            },
            |base| base.config.clone(),
        );
        let mut policies = base.map(|base| base.policies().to_vec()).unwrap_or_default();
        for policy in policies.iter_mut().filter_map(Value::as_object_mut) {
            let name = policy.get("name").and_then(Value::as_str).unwrap_or_default();
            if !self.reported_by.contains(name) {
                continue;
            }
            if !policy.contains_key("hosts")
                && let Some(action) = policy.remove("defaultAction")
            {
                // That of all hosts is enforced at the top level.
                config.insert("defaultAction".to_owned(), action);
            }
            policy.remove("mode");
        }
        // Some have nothing left to say.
        policies.retain(|policy| policy.as_object().is_none_or(|policy| policy.len() > 1));
        let proposed = proposed.get("policies").and_then(Value::as_array);
        policies.extend(proposed.into_iter().flatten().cloned());
        config.insert("policies".to_owned(), Value::Array(policies));
        Value::Object(config)
    }
}

/// A configuration that was written, as the cluster would read it.
fn read(text: &str) -> Result<Value, String> {
    let documents = yaml::parse(text).map_err(|error| error.message)?;
    let [document] = documents.as_slice() else { return Err("not one document".to_owned()) };
    serde_json::from_str(&document.to_json()).map_err(|error| error.to_string())
}

fn load(config: &Value) -> Result<Engine, String> {
    Engine::load(config.to_string().as_bytes()).map_err(|errors| {
        errors.first().map_or_else(|| "it does not load".to_owned(), ToString::to_string)
    })
}

fn trial(seen: &Observed, identity: &IdentityConfig) -> Trial {
    let mut trial = Trial {
        principal: seen.caller.clone(),
        local_principal: request::waypoint(trust_domain(&seen.caller)),
        service: Some(seen.host.clone()),
        method: seen.method.clone(),
        authority: seen.host.clone(),
        path: seen.path.clone(),
        ..Trial::default()
    };
    trial.present(identity);
    trial
}

/// The trust domain of a SPIFFE ID.
fn trust_domain(caller: &str) -> &str {
    caller.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}
