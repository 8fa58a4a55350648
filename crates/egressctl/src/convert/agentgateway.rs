//! `AgentgatewayPolicy` and `EnterpriseAgentgatewayPolicy`: the parts of `spec.traffic` that this
//! filter has are taken over verbatim.

mod elsewhere;
mod headers;

use super::compile::{self, Position};
use super::note::{At, Effect, Notes};
use super::policy::{Authorization, Headers, Policy, literal};
use super::scope::{self, Library, Scope};
use headers::{of_headers, of_modifiers};

/// A policy as it was read, before it has a unique name.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) policies: Vec<Policy>,
    pub(super) scope: Scope,
}

/// Converts a policy.
pub(super) fn convert<'d>(
    document: &At<'d>,
    name: &str,
    library: &Library<'d>,
    notes: &mut Notes<'d>,
) -> Read {
    let mut read = Read { policies: Vec::new(), scope: Scope::default() };
    let Some(spec) = document.get("spec") else {
        notes.add(
            document,
            Effect::Looser,
            "field `spec` is missing: nothing of this policy is in the result",
        );
        return read;
    };
    let mut traffic = None;
    let mut has_targets = false;
    for field in
        notes.object(&spec, &["targetRefs", "targetSelectors", "traffic", "backend", "frontend"])
    {
        match field.name() {
            "targetRefs" => {
                let targets = notes.list(&field);
                has_targets |= !targets.is_empty();
                read.scope = scope::resolve(
                    &targets,
                    document.text_at("metadata.namespace"),
                    library,
                    notes,
                );
            }
            "targetSelectors" => {
                has_targets = true;
                let message = "what a selector selects is known in the cluster only, so the \
                    policy would be for every host: use `targetRefs`";
                notes.field(&field, Effect::Looser, message);
            }
            "traffic" => traffic = Some(field),
            section => elsewhere::tell(&field, section, notes),
        }
    }
    if let Some(traffic) = traffic {
        if !has_targets {
            notes.field(
                &traffic,
                Effect::Looser,
                "the policy has no target, so in AgentGateway it does nothing; here it would be \
                 for every host",
            );
        }
        of_traffic(&traffic, name, &mut read, notes);
    }
    read
}

fn of_traffic<'d>(traffic: &At<'d>, name: &str, read: &mut Read, notes: &mut Notes<'d>) {
    let hosts = &read.scope.hosts;
    let mut policy = Policy { name: name.to_owned(), hosts: hosts.clone(), ..Policy::default() };
    let mut modifiers = Policy {
        name: format!("{name}-header-modifiers"),
        hosts: hosts.clone(),
        ..Policy::default()
    };
    for field in traffic.fields() {
        match field.name() {
            "authorization" => policy.authorization = of_authorization(&field, notes),
            "transformation" => {
                for direction in notes.object(&field, &["request", "response", "conditional"]) {
                    match direction.name() {
                        "request" => policy.request = of_headers(&direction, "request", notes),
                        "response" => policy.response = of_headers(&direction, "response", notes),
                        _ => {
                            let message = "a transformation on a condition has no counterpart: a \
                                header that it sets or removes stays as it came; put the \
                                condition into the values, as `condition ? a : b`";
                            notes.field(&direction, Effect::Looser, message);
                        }
                    }
                }
            }
            "headerModifiers" => {
                for direction in notes.object(&field, &["request", "response"]) {
                    match direction.name() {
                        "request" => modifiers.request = of_modifiers(&direction, "request", notes),
                        _ => modifiers.response = of_modifiers(&direction, "response", notes),
                    }
                }
            }
            _ => elsewhere::tell_traffic(&field, notes),
        }
    }
    if policy.request.is_empty() {
        policy.request = std::mem::take(&mut modifiers.request);
    }
    if policy.response.is_empty() {
        policy.response = std::mem::take(&mut modifiers.response);
    }
    // Else header modifiers come after the transformation of a request and before that of a
    // response, so they are policies of their own.
    let response = std::mem::take(&mut modifiers.response);
    let before = Policy {
        name: format!("{name}-response-modifiers"),
        hosts: hosts.clone(),
        response,
        ..Policy::default()
    };
    read.policies
        .extend([before, policy, modifiers].into_iter().filter(|policy| !policy.is_empty()));
}

fn of_authorization<'d>(authorization: &At<'d>, notes: &mut Notes<'d>) -> Option<Authorization> {
    let mut action = None;
    let mut expressions = None;
    for field in notes.object(authorization, &["action", "policy"]) {
        if field.name() == "action" {
            action = Some(field);
            continue;
        }
        for field in notes.object(&field, &["matchExpressions"]) {
            expressions = Some(field);
        }
    }
    // Of the two that the resource may leave out, the action has a default.
    let action = match action.as_ref().map(|action| (action, action.node.as_str())) {
        None | Some((_, Some("Allow"))) => "Allow",
        Some((_, Some("Deny"))) => "Deny",
        Some((_, Some("Require"))) => "Require",
        Some((action, _)) => {
            notes.add(
                action,
                Effect::Looser,
                "unknown action: expected `Allow`, `Deny` or \
                `Require`; the rule is not in the result",
            );
            return None;
        }
    };
    let Some(list) = expressions else {
        notes.field(
            authorization,
            Effect::Looser,
            "field `policy.matchExpressions` is missing: there is no rule to convert",
        );
        return None;
    };
    let items = notes.list(&list);
    if items.len() > 1 {
        let (topic, message) = match action {
            "Require" => (
                "match all",
                "`match: All` is written: for Require, AgentGateway wants all expressions to match",
            ),
            _ => (
                "match any",
                "`match: Any` is written: AgentGateway's documentation says that all expressions \
                 must match, its controller lets any of them do for Allow and Deny",
            ),
        };
        notes.once(topic, &list, message);
    }
    let mut kept = Vec::new();
    for item in &items {
        let errors = compile::errors(Position::Rule, item);
        if let (true, Some(source)) = (errors.is_empty(), item.node.as_str()) {
            differences(item, source, action, notes);
            if let Some(name) = underscored_header(source) {
                let message = format!(
                    "header `{}`: this filter counts it as a line of `{}`, so that a condition on \
                     it alone has no counterpart",
                    name.escape_debug(),
                    name.replace('_', "-").escape_debug()
                );
                notes.add(item, Effect::Looser, message);
            }
            kept.push(source.to_owned());
        }
        // Everything in a Require must hold, including what cannot be converted.
        if !errors.is_empty() && action == "Require" {
            kept.push("false".to_owned());
        }
        for error in errors {
            let (effect, consequence) = match action {
                "Deny" => {
                    (Effect::Looser, "the expression is left out, and what it denies is not denied")
                }
                "Require" => (
                    Effect::Stricter,
                    "`false` is written for the expression, so that nothing is let through",
                ),
                _ => (Effect::Stricter, "the expression is left out, and lets nothing through"),
            };
            let message = format!("{}: {consequence}", error.message);
            notes.push(item, effect, crate::diagnostic::Diagnostic { message, ..error });
        }
    }
    if kept.is_empty() {
        if action == "Deny" {
            return None;
        }
        // Without any rule the request would be let through.
        kept.push("false".to_owned());
    }
    Some(Authorization { action, expressions: kept })
}

/// A header with an underscore in its name, of those that an expression reads by a name that is
/// written in it.
fn underscored_header(source: &str) -> Option<&str> {
    let names = source.match_indices("headers").filter_map(|(at, word)| {
        let before = source.get(..at)?.strip_suffix("request.")?.trim_end();
        // `"x_a" in request.headers`
        let sought = before.strip_suffix("in").map(str::trim_end).and_then(|before| {
            let quote = before.chars().last().filter(|last| matches!(last, '"' | '\''))?;
            before.strip_suffix(quote)?.rsplit(quote).next()
        });
        // `request.headers["x_a"]`, `request.headers.x_a`, also optional
        let after = source
            .get(at.saturating_add(word.len())..)?
            .trim_start_matches(['.', '[', '?', '(', ' ', '"', '\'']);
        let read =
            after.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).next();
        [sought, read].into_iter().flatten().find(|name| name.contains('_'))
    });
    names.into_iter().next()
}

/// Where an expression has another meaning here than in AgentGateway: what it reads, the topic, and
/// the note.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "request.host",
        "host",
        "`request.host` is lower-case, without port and final dot; in AgentGateway it is what the \
         caller wrote",
    ),
    (
        "request.path",
        "path",
        "a path that an origin may read in another way (`/a/../b`, `//`, `%2F`) is refused with \
         400 before any rule; AgentGateway passes it on. `pathSafety` relaxes that",
    ),
    (
        "request.headers",
        "headers",
        "a header on several lines: a Deny matches if it does for any line, an Allow or Require \
         only if for all; AgentGateway looks at the first; and `x_team` counts as a line of \
         `x-team`",
    ),
    (
        "source.identity",
        "identity",
        "`source.identity` is that of the certificate's only SPIFFE ID, of any trust domain \
         unless `identity.trustDomains` lists them; of two IDs AgentGateway takes the first",
    ),
];

/// Notes once where an expression has another meaning here than there.
fn differences<'d>(item: &At<'d>, source: &str, action: &str, notes: &mut Notes<'d>) {
    if action == "Deny" {
        let message = "a Deny whose expression errs, by a missing header or identity, denies; \
            AgentGateway lets such a request through (`onError: Ignore` does so here)";
        notes.once("deny errors", item, message);
    }
    for (read, topic, message) in DIFFERENCES {
        if source.contains(read) {
            notes.once(topic, item, *message);
        }
    }
}

/// Notes where AgentGateway would apply the header rules of one of several policies, and this
/// filter applies them all.
pub(super) fn check_transformations<'d>(sources: &[At<'d>], notes: &mut Notes<'d>) {
    for name in ["transformation", "headerModifiers"] {
        let mut having =
            sources.iter().filter_map(|source| source.at(&format!("spec.traffic.{name}")));
        if let (Some(_), Some(second)) = (having.next(), having.next()) {
            let message = format!(
                "a second policy with `{name}`: here each applies in turn; where several are for \
                 one request, AgentGateway takes the one with the narrowest target"
            );
            notes.field(&second, Effect::Lost, message);
        }
    }
    for source in sources {
        let others = || sources.iter().filter(|other| !std::ptr::eq(other.node, source.node));
        if let Some(modifiers) = source.at("spec.traffic.headerModifiers")
            && others().any(|other| other.at("spec.traffic.transformation").is_some())
        {
            let message = "beside another policy's `transformation`: AgentGateway modifies \
                headers after all transformations of a request, and before those of a response; \
                here the policies apply in the order of the list";
            notes.field(&modifiers, Effect::Looser, message);
        }
        let traffic =
            |other: &At<'_>, name: &str| other.at(&format!("spec.traffic.{name}")).is_some();
        if source.text_at("spec.traffic.phase") == Some("PreRouting")
            && ["authorization", "transformation", "headerModifiers"]
                .iter()
                .any(|name| traffic(source, name))
            && others().any(|other| {
                traffic(other, "authorization")
                    && other.text_at("spec.traffic.phase") != Some("PreRouting")
            })
            && let Some(phase) = source.at("spec.traffic.phase")
        {
            let message = "before the `authorization` of another policy, which so sees what this \
                one made of the request, and is asked as well as this one's: here there is one \
                phase";
            notes.add(&phase, Effect::Looser, message);
        }
    }
}
