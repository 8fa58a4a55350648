//! Istio's `AuthorizationPolicy`: each rule becomes an expression that matches when the rule does.
//!
//! A rule matches when one of its `from`, one of its `to` and all of its `when` do; a field of them
//! when one of its values does, a `not` field when none does. What has no counterpart is left out
//! in the stricter way: an ALLOW loses the alternative that needs it, a DENY loses only the
//! condition.

mod condition;
mod expression;
mod fields;
mod rule;

use std::collections::VecDeque;

use super::note::{At, Effect, Notes};
use super::policy::{Authorization, Policy};
use super::scope::{self, Library, Scope};
pub(super) use fields::Mesh;

/// The most expressions of one policy of the result.
const MAX_EXPRESSIONS: usize = egress_filter::config::MAX_MATCH_EXPRESSIONS;

/// A policy as it was read, before it has a unique name.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) policies: Vec<Policy>,
    pub(super) scope: Scope,
    /// Whether only what an Allow matches goes on, to any host.
    pub(super) denies_by_default: bool,
}

/// What a policy does with a request that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Deny,
}

/// Converts a policy.
pub(super) fn convert<'d>(
    document: &At<'d>,
    name: &str,
    mesh: &Mesh,
    library: &Library<'d>,
    notes: &mut Notes<'d>,
) -> Read {
    let mut read = Read::default();
    let namespace = document.text_at("metadata.namespace");
    let Some(spec) = document.get("spec") else {
        // An empty specification is one: ALLOW without rules.
        notes.add(
            document,
            Effect::Hint,
            "no `spec` is an ALLOW without rules, which allows nothing",
        );
        notes.add(document, Effect::Looser, NO_TARGET);
        return read;
    };
    let fields = notes
        .object(&spec, &["selector", "targetRef", "targetRefs", "action", "rules", "provider"]);
    let get = |name: &str| fields.iter().find(|field| field.name() == name);
    let action = match get("action").map(|action| (action, action.node.as_str())) {
        None | Some((_, Some("ALLOW"))) => Action::Allow,
        Some((_, Some("DENY"))) => Action::Deny,
        Some((_, Some("AUDIT"))) => {
            notes.field(
                &spec,
                Effect::Lost,
                "`action: AUDIT` has no counterpart: nothing is converted; `audit.log: All` logs \
                 every decision",
            );
            return read;
        }
        Some((_, Some("CUSTOM"))) => {
            let message = "`action: CUSTOM` has no counterpart: nothing is converted; leave the \
                policy as it is, the waypoint asks its provider before this filter";
            notes.field(&spec, Effect::Looser, message);
            return read;
        }
        Some((action, _)) => {
            notes.add(
                action,
                Effect::Looser,
                "unknown action: expected `ALLOW`, `DENY`, `AUDIT` or `CUSTOM`; nothing of the \
                 policy is in the result",
            );
            return read;
        }
    };
    if let Some(provider) = get("provider") {
        notes.field(provider, Effect::Hint, "left out: it is for `action: CUSTOM`");
    }
    if let Some(selector) = get("selector") {
        let message = "a waypoint ignores `selector`: nothing is converted; the policy goes on in \
            the pods that it selects. To have it in the waypoint, target the Gateway with \
            `targetRefs`";
        // A note about the whole policy, shown at the field that causes it.
        notes.field(&At { path: spec.path.clone(), ..selector.clone() }, Effect::Looser, message);
        return read;
    }
    let mut targets = get("targetRefs").map(|targets| notes.list(targets)).unwrap_or_default();
    targets.extend(get("targetRef").cloned());
    if targets.is_empty() {
        notes.field(&spec, Effect::Looser, NO_TARGET);
        return read;
    }
    read.scope = scope::resolve(&targets, namespace, library, notes);
    let reader = fields::Reader { action, namespace, mesh };
    let rules = get("rules").map(|rules| notes.list(rules)).unwrap_or_default();
    let mut expressions = Vec::new();
    for rule in &rules {
        expressions.extend(of_rule(rule, &reader, notes));
    }
    if rules.is_empty() {
        let at = get("rules").unwrap_or(&spec);
        let message = match action {
            Action::Allow => "an ALLOW without rules allows nothing: written as `false`",
            Action::Deny => "a DENY without rules denies nothing: left out",
        };
        notes.field(at, Effect::Hint, message);
    }
    if expressions.is_empty() && action == Action::Allow {
        // Without any Allow in scope the requests would be let through.
        expressions.push("false".to_owned());
    }
    let shadow = is_dry_run(document, notes);
    read.policies = split(name, action, expressions, &read.scope, shadow);
    if action == Action::Allow && !shadow {
        denies_by_default(&mut read);
        let message = "where an ALLOW applies, what none matches is denied: written as \
            `defaultAction: Deny`, so that it stays so without the ALLOW";
        notes.once("default", &spec, message);
    }
    read
}

/// Writes out what an ALLOW implies.
fn denies_by_default(read: &mut Read) {
    match read.policies.first_mut().filter(|policy| !policy.hosts.is_empty()) {
        Some(policy) => policy.denies_by_default = true,
        None => read.denies_by_default = true,
    }
}

const NO_TARGET: &str = "a waypoint ignores a policy without `targetRefs`: nothing is converted; \
    to have it in the waypoint, target the Gateway";

/// The expressions in as many policies as they need: any match counts, so it does not matter in
/// which it is.
fn split(
    name: &str,
    action: Action,
    expressions: Vec<String>,
    scope: &Scope,
    shadow: bool,
) -> Vec<Policy> {
    let action = match action {
        Action::Allow => "Allow",
        Action::Deny => "Deny",
    };
    let policies =
        expressions.chunks(MAX_EXPRESSIONS).enumerate().map(|(index, expressions)| Policy {
            name: if index == 0 {
                name.to_owned()
            } else {
                format!("{name}-{}", index.saturating_add(1))
            },
            hosts: scope.hosts.clone(),
            shadow,
            authorization: Some(Authorization { action, expressions: expressions.to_vec() }),
            ..Policy::default()
        });
    policies.collect()
}

/// `istio.io/dry-run`, read as Go's `strconv.ParseBool` does.
fn is_dry_run<'d>(document: &At<'d>, notes: &mut Notes<'d>) -> bool {
    let Some(annotation) = document
        .at("metadata.annotations")
        .and_then(|annotations| annotations.get("istio.io/dry-run"))
    else {
        return false;
    };
    match annotation.node.as_str() {
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => {
            notes.once(
                "dry run",
                &annotation,
                "written as `mode: Shadow`: evaluated and reported, not enforced",
            );
            true
        }
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => {
            notes.add(&annotation, Effect::Hint, "left out: the policy is enforced");
            false
        }
        _ => {
            notes.add(
                &annotation,
                Effect::Hint,
                "expected \"true\" or \"false\": Istio takes it \
                for false, so the policy is enforced",
            );
            false
        }
    }
}

/// The expressions of a rule, of which any may match.
fn of_rule<'d>(at: &At<'d>, reader: &fields::Reader<'_>, notes: &mut Notes<'d>) -> Vec<String> {
    let before = notes.losses();
    let Some(rule) = reader.rule(at, notes) else {
        notes.add(at, Effect::Hint, "the rule is left out of the ALLOW");
        return Vec::new();
    };
    let mut whole = VecDeque::from([rule]);
    let mut expressions = Vec::new();
    while let Some(rule) = whole.pop_front() {
        let expression = rule.to_cel();
        let objection = if expression.len() > egress_filter::cel::limits::MAX_SOURCE {
            format!(
                "the expression has {} bytes, the limit is {}",
                expression.len(),
                egress_filter::cel::limits::MAX_SOURCE
            )
        } else {
            match super::compile::check_rule(&expression) {
                Ok(()) => {
                    if expression == "true" && notes.losses() > before {
                        notes.add(
                            at,
                            Effect::Stricter,
                            "nothing is left of the rule's conditions: it denies every request",
                        );
                    }
                    expressions.push(expression);
                    continue;
                }
                Err(objection) => objection,
            }
        };
        match rule.halves() {
            Some([first, second]) => {
                whole.push_front(second);
                whole.push_front(first);
            }
            None => {
                let (effect, consequence) = match reader.action {
                    Action::Allow => (
                        Effect::Stricter,
                        "what it allows is denied, unless another rule allows it",
                    ),
                    Action::Deny => (Effect::Looser, "what it denies is not denied"),
                };
                notes.add(
                    at,
                    effect,
                    format!("the rule, or a part of it, is left out: {objection}; {consequence}"),
                );
            }
        }
    }
    expressions
}
