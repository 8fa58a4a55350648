//! What each policy had to do with a request, whichever policy decided it: for tools that measure
//! what tests cover.

use std::fmt;

use crate::attributes::view::View;
use crate::cel::meter::Meter;
use crate::config::{Action, DefaultAction, Direction, HostRewrite, Mode};
use crate::exchange::{Event, Pairs, Step};
use crate::order::Stage;
use crate::policy::rule::Rule;
pub use crate::policy::rule::RuleResult;
use crate::policy::{Engine, Policy};
use crate::request::Source;
use crate::stage::Admitted;
pub use crate::trace::Feature;
use crate::trace::Trace;
use crate::trial::{Brought, Serving, Trial, serve_tokens};

/// What a policy may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline<'e> {
    /// Its name.
    pub name: &'e str,
    /// Whether it is enforced.
    pub mode: Mode,
    /// What its rule does, if it has one.
    pub action: Option<Action>,
    /// It changes headers of requests.
    pub changes_request: bool,
    /// It changes headers of responses.
    pub changes_response: bool,
    /// The forms of its features of which a request gets one at most.
    pub forms: Vec<Form>,
    /// The default action that it sets for its hosts.
    pub default_action: Option<DefaultAction>,
}

/// One form of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The feature.
    pub feature: Feature,
    /// Its index in `conditional`; none where the feature has no conditions.
    pub entry: Option<usize>,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            None => f.write_str(self.feature.field()),
            Some(entry) => write!(f, "{}.conditional[{entry}]", self.feature.field()),
        }
    }
}

impl Outline<'_> {
    /// Whether it is an Allow that is enforced.
    #[must_use]
    pub fn enforces_allow(&self) -> bool {
        self.mode == Mode::Enforce && self.action == Some(Action::Allow)
    }
}

/// What one policy had to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its index in the configuration.
    pub policy: usize,
    /// The result of its rule, also if the decision did not need it; none if it has no rule.
    pub rule: Option<RuleResult>,
    /// It changed headers of the request.
    pub changed_request: bool,
    /// It changed headers of the response.
    pub changed_response: bool,
    /// The features that the request got, each with the index of its form.
    pub used: Vec<(Feature, usize)>,
}

/// What each policy may do, in configuration order.
pub fn outlines(engine: &Engine) -> impl Iterator<Item = Outline<'_>> {
    engine.policies.iter().map(|policy| Outline {
        name: &policy.name,
        mode: policy.mode,
        action: policy.rule.as_ref().map(Rule::action),
        changes_request: policy
            .transformation
            .forms()
            .any(|form| !form.request.is_empty() || form.request_body.is_some())
            || policy.header_modifiers.as_ref().is_some_and(|both| !both.request.is_empty()),
        changes_response: policy
            .transformation
            .forms()
            .any(|form| !form.response.is_empty() || form.response_body.is_some())
            || policy.header_modifiers.as_ref().is_some_and(|both| !both.response.is_empty()),
        forms: forms(policy),
        default_action: policy.default_action,
    })
}

/// The forms of a policy's features of which a request gets one at most.
fn forms(policy: &Policy) -> Vec<Form> {
    let mut forms = Vec::new();
    if let Some(limits) = &policy.rate_limit {
        let is_conditional = limits.conditions().next().is_some();
        for (index, form) in limits.forms().enumerate() {
            let entry = is_conditional.then_some(index);
            let local = (!form.local.is_empty()).then_some(Feature::LocalRateLimit);
            let global = form.global.as_ref().map(|_| Feature::GlobalRateLimit);
            let features = local.into_iter().chain(global);
            forms.extend(features.map(|feature| Form { feature, entry }));
        }
    }
    let mut add = |feature, conditions: usize, count: usize| {
        let entry = |entry| if conditions == 0 { None } else { Some(entry) };
        forms.extend((0..count).map(|index| Form { feature, entry: entry(index) }));
    };
    // Of one without conditions, the headers that it changes are covered.
    let conditions = policy.transformation.conditions().count();
    add(Feature::Transformation, conditions, conditions);
    if let Some(rewrite) = &policy.url_rewrite {
        add(Feature::UrlRewrite, rewrite.conditions().count(), rewrite.forms().count());
    }
    if policy.host_rewrite == Some(HostRewrite::Auto) {
        add(Feature::HostRewrite, 0, 1);
    }
    if let Some(redirect) = &policy.redirect {
        add(Feature::RequestRedirect, redirect.conditions().count(), redirect.forms().count());
    }
    if let Some(answer) = &policy.direct_response {
        add(Feature::DirectResponse, answer.conditions().count(), answer.forms().count());
    }
    if let Some(forms) = &policy.ext_auth {
        add(Feature::ExtAuth, forms.conditions().count(), forms.forms().count());
    }
    if !policy.credentials.is_empty() {
        add(Feature::Credentials, 0, 1);
    }
    forms
}

/// What the policies in scope had to do with a request, in configuration order; empty if the
/// request was refused before any rule. Every rule is evaluated, also after another has decided.
#[must_use]
pub fn parts(engine: &Engine, trial: &Trial) -> Vec<Part> {
    trial.with_source(|source| {
        let serving = Serving::new(&trial.services, source);
        let source: &dyn Source = &serving;
        let request = trial.request_headers();
        let (mut running, mut trace) = (trial.exchange(), Trace::default());
        let mut event = Event::RequestHeaders(request.to_pairs());
        let mut is_forwarded = loop {
            match running.on_traced(engine, source, event, &mut trace) {
                Step::Await(credential) => {
                    serve_tokens(engine);
                    event = Event::Fetched(credential);
                }
                Step::Call(call) => event = serving.answer(&call),
                step => break matches!(step, Step::Forward(_)),
            }
        };
        let of_body = serving.bring(&mut running, engine, &trial.body, Some(&mut trace));
        is_forwarded &= !matches!(of_body, Some(Brought::Reply(_) | Brought::Ended));
        if is_forwarded {
            let response = trial.response_headers();
            let (bytes, count) = (response.to_pairs(), response.lines().count());
            let event = Event::ResponseHeaders(Pairs { bytes: &bytes, count });
            let _ = running.on_traced(engine, source, event, &mut trace);
        }
        let facts = trial.facts(engine, source);
        let admitted = Admitted::of(engine, &facts);
        let (Ok(admitted), true) = (admitted, trace.stages.contains(&Stage::Authorization.name()))
        else {
            return Vec::new();
        };
        let view =
            View::new(&facts, &engine.callers).with_host(&admitted.host, admitted.path_has_escapes);
        let changed = |policy: usize, direction: Direction| {
            let transformed = trace.applied.iter().any(|applied| {
                applied.policy == policy && applied.direction == direction && applied.changed
            });
            let modified = trace.changed.iter().any(|changed| {
                changed.policy == policy
                    && changed.direction == direction
                    && changed.feature == Feature::HeaderModifiers
                    && !changed.changes.is_empty()
            });
            is_forwarded && (transformed || modified)
        };
        let used = |policy: usize| {
            let chosen = trace.chosen.iter();
            let chosen = chosen.filter(|chosen| chosen.policy == policy && chosen.is_used);
            chosen.map(|chosen| (chosen.feature, chosen.entry)).collect()
        };
        let in_scope = admitted.groups.everyone();
        let policies = engine.policies_at(&in_scope);
        policies
            .map(|(index, policy)| Part {
                policy: index,
                rule: policy
                    .rule
                    .as_ref()
                    .map(|rule| rule.ask(&view, &Meter::new(), &mut Vec::new())),
                changed_request: changed(index, Direction::Request),
                changed_response: changed(index, Direction::Response),
                used: used(index),
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(policies: &str) -> Engine {
        Engine::load(format!(r#"{{"policies": [{policies}]}}"#).as_bytes()).unwrap()
    }

    fn rule(name: &str, action: &str, expression: &str) -> String {
        format!(
            r#"{{"name": "{name}", "traffic": {{"authorization": {{"action": "{action}",
                "policy": {{"matchExpressions": ["{expression}"]}}}}}}}}"#
        )
    }

    fn parts(engine: &Engine, path: &str) -> Vec<Part> {
        let trial =
            Trial { authority: "a.example".to_owned(), path: path.to_owned(), ..Trial::default() };
        super::parts(engine, &trial)
    }

    #[test]
    fn every_rule_in_scope_is_asked_also_behind_one_that_decided() {
        let policies = [
            rule("first", "Deny", "true"),
            rule("second", "Deny", "request.path == '/x'"),
            rule("third", "Allow", "request.headers['x-a'] == ''"),
            r#"{"name": "elsewhere", "hosts": ["b.example"], "traffic": {"transformation":
                {"request": {"remove": ["x-a"]}}}}"#
                .to_owned(),
        ];
        let engine = engine(&policies.join(","));
        let said = |path: &str| {
            parts(&engine, path).iter().map(|part| (part.policy, part.rule)).collect::<Vec<_>>()
        };
        assert_eq!(
            said("/x"),
            [
                (0, Some(RuleResult::Matches)),
                (1, Some(RuleResult::Matches)),
                (2, Some(RuleResult::Fails))
            ]
        );
        assert_eq!(said("/y")[1], (1, Some(RuleResult::DoesNotMatch)));
        assert_eq!(said("/x/../y"), [], "refused before any rule");
    }

    /// The index leaves out policies that cannot match. They are in scope all the same.
    #[test]
    fn policies_that_the_index_passes_over_are_in_scope() {
        let policies: Vec<String> = (0..20)
            .map(|n| rule(&format!("p{n}"), "Allow", &format!("request.path == '/{n}'")))
            .collect();
        let parts = parts(&engine(&policies.join(",")), "/7");
        assert_eq!(
            parts.iter().map(|part| part.policy).collect::<Vec<_>>(),
            (0..20).collect::<Vec<_>>()
        );
        let matched: Vec<usize> = parts
            .iter()
            .filter(|part| part.rule == Some(RuleResult::Matches))
            .map(|part| part.policy)
            .collect();
        assert_eq!(matched, [7]);
    }

    #[test]
    fn a_policy_that_changes_nothing_is_told_from_one_that_does() {
        let policies = r#"
            {"name": "a", "traffic": {"transformation": {"request": {"remove": ["x-none"]}}}},
            {"name": "b", "traffic": {"transformation": {"request": {"set": [
                {"name": "x-b", "value": "'1'"}]}}}},
            {"name": "c", "traffic": {"transformation": {"response": {"remove": [":none"]},
                "request": {"remove": ["X-B"]}}}},
            {"name": "d", "mode": "Shadow", "traffic": {"transformation": {"request": {"add": [
                {"name": "x-d", "value": "'1'"}]}}}}"#;
        let changed = |policies: &str| {
            let parts = parts(&engine(policies), "/");
            parts
                .iter()
                .map(|part| (part.changed_request, part.changed_response))
                .collect::<Vec<_>>()
        };
        let policies = policies.replace(":none", "x-none");
        assert_eq!(
            changed(&policies),
            [(false, false), (true, false), (true, false), (false, false)]
        );
        let denying = format!("{policies}, {}", rule("no", "Deny", "true"));
        assert!(
            changed(&denying).iter().all(|part| *part == (false, false)),
            "a denied request changes nowhere"
        );
    }
}
