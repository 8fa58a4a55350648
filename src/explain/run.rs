//! The decision about a request, explained from the trace of the exchange that made it.

use super::header_history::HeaderHistory;
use super::{
    Caller, Decided, Effect, Erred, Explanation, OutOfScope, features, header_rules, rules,
};
use crate::attributes::view::View;
use crate::cel::Phase;
use crate::cel::meter::Meter;
use crate::config::{
    Config, DefaultAction, Direction, HostPattern, PolicyConfig, TransformationConfig,
};
use crate::decision::{Change, Decision, Reply, Verdict};
use crate::exchange::{Event, Pairs, Step};
use crate::order::Stage;
use crate::path::PathSafety;
use crate::policy::{Engine, Policy, Transformation};
use crate::request::Facts;
use crate::request::headers::Headers;
use crate::stage::request_host;
use crate::trace::{Feature, Line, Trace};
use crate::trial::{Brought, Serving, Trial, serve_tokens};

/// Decides about a request, and explains the decision. The configuration is the one that the engine
/// was loaded from.
pub(super) fn explain(engine: &Engine, config: &Config, trial: &Trial) -> Explanation {
    let response = trial.response_headers();
    trial.with_source(|source| {
        let serving = Serving::new(&trial.services, source);
        let request = trial.request_headers();
        let run = Run::of(engine, &serving, trial, &request, &response);
        let facts = trial.facts(engine, source);
        Explaining { engine, config, facts: &facts, run: &run }.explain(&response)
    })
}

/// The outcome of an exchange, and its trace.
struct Run {
    decision: Decision,
    reply: Option<Reply>,
    /// Whether the response passes.
    responds: bool,
    audit: Option<String>,
    trace: Trace,
}

impl Run {
    fn of(
        engine: &Engine,
        source: &Serving<'_>,
        trial: &Trial,
        request: &Headers<'_>,
        response: &Headers<'_>,
    ) -> Run {
        let (mut exchange, mut trace) = (trial.exchange(), Trace::default());
        let mut event = Event::RequestHeaders(request.to_pairs());
        let mut reply = loop {
            match exchange.on_traced(engine, source, event, &mut trace) {
                Step::Reply(reply) => break Some(reply),
                Step::Await(credential) => {
                    serve_tokens(engine);
                    event = Event::Fetched(credential);
                }
                Step::Call(call) => event = source.answer(&call),
                _ => break None,
            }
        };
        let of_body = source.bring(&mut exchange, engine, &trial.body, Some(&mut trace));
        if let Some(Brought::Reply(denial)) = of_body {
            reply = Some(denial);
        }
        let report = exchange.take_report();
        let audit = report.and_then(|report| report.audit_text()).map(str::to_owned);
        let undecided = || Decision::internal_error("there is no decision yet");
        let decision = report.and_then(|report| report.decision.cloned()).unwrap_or_else(undecided);
        let mut responds = false;
        if reply.is_none() {
            let (bytes, count) = (response.to_pairs(), response.lines().count());
            let event = Event::ResponseHeaders(Pairs { bytes: &bytes, count });
            let step = exchange.on_traced(engine, source, event, &mut trace);
            responds = matches!(step, Step::Forward(_));
        }
        Run { decision, reply, responds, audit, trace }
    }

    /// Whether the request was refused whatever the rules say.
    fn is_refused_before_rules(&self) -> bool {
        !self.trace.stages.contains(&Stage::Authorization.name())
    }
}

/// A decision that is being explained.
struct Explaining<'a> {
    engine: &'a Engine,
    config: &'a Config,
    facts: &'a Facts<'a>,
    run: &'a Run,
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
        let mut policies: Vec<super::Policy> =
            in_scope.iter().filter_map(|index| self.policy(*index, host.as_deref()?)).collect();
        self.effects(&in_scope, &mut policies);
        let mut request_headers = HeaderHistory::of(&self.facts.headers);
        self.transform(&in_scope, &mut policies, &mut request_headers);
        let response_headers =
            self.run.responds.then(|| self.respond(&in_scope, &mut policies, response));
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
            default_action: self.default_action(host.as_deref()),
            host: host.map(std::borrow::Cow::into_owned),
            policies,
            out_of_scope: elsewhere
                .map(|(_, policy)| OutOfScope { name: policy.name.clone(), hosts: hosts(policy) })
                .collect(),
            shadow: self.run.decision.shadow.iter().filter_map(|index| self.name(*index)).collect(),
            errors: self.errors(),
            request_headers: request_headers.0,
            response_headers: response_headers.map(|lines| lines.0),
            audit: self.run.audit.clone(),
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

    fn verdict(&self) -> Decided {
        let Run { decision, reply, .. } = self.run;
        Decided {
            is: decision.verdict(),
            allowed: decision.allows(),
            answered: decision.verdict() == Verdict::Answer,
            policy: decision.policy.and_then(|index| self.name(index)),
            reason: decision.reason.as_str(),
            detail: decision.detail,
            status: reply.as_ref().map(|reply| reply.status),
            headers: reply.iter().flat_map(lines_of).collect(),
            body: reply.as_ref().map(|reply| String::from_utf8_lossy(&reply.body).into_owned()),
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

    /// The default action for a host, and where it is set; for no host, that of all.
    fn default_action(&self, host: Option<&str>) -> super::HostDefault {
        let of_all = (self.config.default_action, None);
        let (action, policy) =
            host.map_or(of_all, |host| self.engine.default_action(&self.engine.index.groups(host)));
        let setting = policy.and_then(|index| self.config.policies.get(index));
        let place = match setting {
            Some(policy) => Some(format!("{}.defaultAction", policy.place)),
            None => (action == DefaultAction::Deny).then(|| "defaultAction".to_owned()),
        };
        super::HostDefault { action, policy: setting.map(|policy| policy.name.clone()), place }
    }

    fn errors(&self) -> Vec<Erred> {
        let errors = self.run.decision.errors.iter();
        errors
            .filter_map(|(index, message)| {
                Some(Erred { policy: self.name(*index)?, message: message.clone() })
            })
            .collect()
    }

    /// A policy in scope and its rule.
    fn policy(&self, index: usize, host: &str) -> Option<super::Policy> {
        let (config, policy) = (self.config.policies.get(index)?, self.engine.policies.get(index)?);
        let path = self.facts.headers.first(b":path").unwrap_or_default();
        let view =
            View::new(self.facts, &self.engine.callers).with_host(host, path.contains(&b'%'));
        let rule =
            policy.rule.as_ref().zip(config.authorization.as_ref()).map(
                |(rule, config)| match self.run.is_refused_before_rules() {
                    true => rules::unasked(rule, config, self.engine.scope()),
                    false => rules::explain(rule, config, self.engine.scope(), &view),
                },
            );
        Some(super::Policy {
            name: config.name.clone(),
            mode: config.mode,
            hosts: hosts(config),
            default_action: config.default_action,
            effect: Effect::None,
            rule,
            request: Vec::new(),
            response: Vec::new(),
            features: features::explain(
                policy,
                config,
                index,
                (&view, self.engine.scope()),
                &self.run.trace,
            ),
        })
    }

    /// The effect of each policy on the verdict.
    fn effects(&self, in_scope: &[usize], policies: &mut [super::Policy]) {
        let Run { decision, trace, .. } = self.run;
        for (index, policy) in in_scope.iter().zip(policies) {
            policy.effect = if decision.policy == Some(*index) {
                match decision.verdict() {
                    Verdict::Allow => Effect::Allows,
                    Verdict::Answer => Effect::Answers,
                    Verdict::Deny => Effect::Denies,
                }
            } else if decision.shadow.contains(index) {
                Effect::WouldDeny
            } else {
                match &policy.rule {
                    Some(rule) if !trace.reached(*index, policy.mode, rule.action) => {
                        Effect::NotAsked
                    }
                    _ => Effect::None,
                }
            };
        }
    }

    /// The policies whose header rules were applied to a message, in the order of application, each
    /// with its explanation.
    fn applied<'e>(
        &self,
        direction: Direction,
        in_scope: &'e [usize],
        policies: &'e mut [super::Policy],
    ) -> Vec<(usize, &'a Policy, &'a PolicyConfig, &'e mut super::Policy)> {
        let (engine, config) = (self.engine, self.config);
        let applied = self.run.trace.applied.iter();
        let order: Vec<usize> = applied
            .filter(|applied| applied.direction == direction)
            .map(|applied| applied.policy)
            .collect();
        let mut found: Vec<_> = in_scope
            .iter()
            .zip(policies)
            .filter_map(|(index, explained)| {
                let position = order.iter().position(|applied| applied == index)?;
                let policy = engine.policies.get(*index)?;
                let config = config.policies.get(*index)?;
                Some((position, (*index, policy, config, explained)))
            })
            .collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, policy)| policy).collect()
    }

    /// Applies the policies to the request's headers, if the rules let the request through.
    fn transform(
        &self,
        in_scope: &[usize],
        policies: &mut [super::Policy],
        lines: &mut HeaderHistory,
    ) {
        let meter = Meter::new();
        let mut headers = self.facts.headers.clone();
        for (index, policy, config, explained) in
            self.applied(Direction::Request, in_scope, policies)
        {
            let Some((form, config)) = self.form(index, policy, config) else { continue };
            let mut changes = Vec::new();
            let of = (self.facts, &self.engine.callers, Phase::Request, self.engine.scope());
            let (applied, rules) = header_rules::explain(
                &form.request,
                &config.request,
                &mut headers,
                &mut changes,
                &meter,
                of,
            );
            explained.request = rules;
            if !applied.unusable && self.run.decision.allows() {
                lines.change(Direction::Request, &changes, &policy.name);
            }
        }
        if self.run.decision.allows() {
            self.change(Direction::Request, lines);
        }
    }

    /// Notes what features other than transformation changed.
    fn change(&self, direction: Direction, lines: &mut HeaderHistory) {
        let changed = self.run.trace.changed.iter();
        for changed in changed.filter(|changed| changed.direction == direction) {
            let changes: Vec<Change<'_>> = changed.changes.iter().map(Line::as_change).collect();
            lines.change(direction, &changes, &self.name(changed.policy).unwrap_or_default());
        }
    }

    /// The form of a policy's transformation that was applied, and its source.
    fn form(
        &self,
        index: usize,
        policy: &'a Policy,
        config: &'a PolicyConfig,
    ) -> Option<(&'a Transformation, &'a TransformationConfig)> {
        let mut chosen = self.run.trace.chosen.iter();
        let chosen = chosen
            .find(|chosen| chosen.policy == index && chosen.feature == Feature::Transformation);
        let entry = chosen.map_or(0, |chosen| chosen.entry);
        policy.transformation.get(entry).zip(config.transformation.get(entry))
    }

    /// Applies the policies to the response's headers.
    fn respond(
        &self,
        in_scope: &[usize],
        policies: &mut [super::Policy],
        response: &Headers<'a>,
    ) -> HeaderHistory {
        let meter = Meter::new();
        let mut headers = response.clone();
        let mut lines = HeaderHistory::of(response);
        self.change(Direction::Response, &mut lines);
        for policy in self.engine.policies.iter().enumerate().filter_map(|(index, policy)| {
            let mut changed = self.run.trace.changed.iter();
            changed
                .any(|one| one.policy == index && one.direction == Direction::Response)
                .then_some(policy)
        }) {
            if let Some(modifiers) = &policy.header_modifiers {
                modifiers.response.apply(&mut headers, &mut Vec::new(), &meter);
            }
        }
        for (index, policy, config, explained) in
            self.applied(Direction::Response, in_scope, policies)
        {
            let Some((form, config)) = self.form(index, policy, config) else { continue };
            let mut changes = Vec::new();
            let of = (self.facts, &self.engine.callers, Phase::Response, self.engine.scope());
            let (_, rules) = header_rules::explain(
                &form.response,
                &config.response,
                &mut headers,
                &mut changes,
                &meter,
                of,
            );
            explained.response = rules;
            lines.change(Direction::Response, &changes, &policy.name);
        }
        lines
    }
}

/// The header lines of an answer.
fn lines_of(reply: &Reply) -> impl Iterator<Item = (String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    reply.headers.iter().map(move |(name, value)| (name.clone(), text(value)))
}

fn hosts(policy: &PolicyConfig) -> Vec<String> {
    let host = |host: &HostPattern| match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Under(suffix) => format!("*{suffix}"),
    };
    policy.hosts.iter().map(host).collect()
}
