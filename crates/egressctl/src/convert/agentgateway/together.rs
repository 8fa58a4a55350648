//! What several policies do together, there and here.

use super::*;
use crate::convert::overlap;

/// Notes where what AgentGateway makes of several policies is not what this filter makes of them.
pub(in crate::convert) fn check_together<'d>(
    sources: &[At<'d>],
    made: &[(At<'d>, Policy)],
    notes: &mut Notes<'d>,
) {
    check_headers(sources, notes);
    check_phases(sources, notes);
    check_conditions(sources, notes);
    for feature in FEATURES {
        check_once(feature, made, notes);
    }
    check_routes(made, notes);
}

fn has(source: &At<'_>, name: &str) -> bool {
    source.at(&format!("spec.traffic.{name}")).is_some()
}

fn is_early(source: &At<'_>) -> bool {
    source.text_at("spec.traffic.phase") == Some("PreRouting")
}

/// AgentGateway would apply the header rules of one of several policies, this filter applies them
/// all.
fn check_headers<'d>(sources: &[At<'d>], notes: &mut Notes<'d>) {
    for name in ["transformation", "headerModifiers", "rateLimit"] {
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
}

fn check_phases<'d>(sources: &[At<'d>], notes: &mut Notes<'d>) {
    for source in sources.iter().filter(|source| is_early(source)) {
        let mut others = sources.iter().filter(|other| !std::ptr::eq(other.node, source.node));
        let acts = ["authorization", "transformation", "headerModifiers"]
            .iter()
            .any(|name| has(source, name));
        if acts
            && others.any(|other| has(other, "authorization") && !is_early(other))
            && let Some(phase) = source.at("spec.traffic.phase")
        {
            let message = "before the `authorization` of another policy, which so sees what this \
                one made of the request, and is asked as well as this one's: here there is one \
                phase";
            notes.add(&phase, Effect::Looser, message);
        }
    }
}

/// A condition reads the request as it came. There, that of a direct response reads it as all
/// before it left it, and that of a transformation as the phase before did.
fn check_conditions<'d>(sources: &[At<'d>], notes: &mut Notes<'d>) {
    for source in sources {
        for (feature, of_phase) in [("directResponse", false), ("transformation", true)] {
            let entries = source
                .at(&format!("spec.traffic.{feature}.conditional"))
                .map(|list| list.items())
                .unwrap_or_default();
            let earlier: Vec<Changed> = sources
                .iter()
                .filter(|other| !of_phase || (is_early(other) && !is_early(source)))
                .flat_map(changed)
                .collect();
            for condition in entries.iter().filter_map(|entry| entry.get("condition")) {
                let text = condition.node.as_str().unwrap_or_default();
                if let Some(changed) = earlier.iter().find(|changed| changed.is_read_by(text)) {
                    let message = format!(
                        "here a condition reads the request as it came, in AgentGateway as \
                         earlier steps left it, and one of them changes {}",
                        changed.title()
                    );
                    notes.add(&condition, Effect::Looser, message);
                }
            }
        }
    }
}

/// A part of the request that a policy changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Header(String),
    /// An attribute of `request`.
    Attribute(&'static str),
}

impl Changed {
    pub(super) fn of_header(name: &str) -> Changed {
        match name.to_ascii_lowercase().as_str() {
            ":path" => Changed::Attribute("path"),
            ":authority" | "host" => Changed::Attribute("host"),
            ":method" => Changed::Attribute("method"),
            ":scheme" => Changed::Attribute("scheme"),
            name => Changed::Header(name.to_owned()),
        }
    }

    /// Whether an expression may read it. Of headers, one that it names, or all of them where it
    /// goes through them.
    pub(super) fn is_read_by(&self, source: &str) -> bool {
        match self {
            Changed::Attribute(name) => {
                source.contains(&format!("request.{name}")) || source.contains("request.uri")
            }
            Changed::Header(name) => {
                let goes_through = source.match_indices("request.headers").any(|(at, word)| {
                    let rest = source.get(at.saturating_add(word.len())..).unwrap_or_default();
                    let rest = rest.trim_start_matches('?').trim_start();
                    let first = rest.strip_prefix('[').map(|rest| rest.trim_start_matches('?'));
                    let is_literal =
                        first.is_some_and(|rest| rest.trim_start().starts_with(['"', '\'']));
                    let calls = [".exists", ".all", ".filter", ".map", ".transform"]
                        .iter()
                        .any(|call| rest.starts_with(call));
                    calls || (first.is_some() && !is_literal)
                });
                source.contains("request.headers")
                    && (goes_through || source.to_ascii_lowercase().contains(name.as_str()))
            }
        }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Changed::Header(name) => format!("the header `{}`", name.escape_debug()),
            Changed::Attribute(name) => format!("`request.{name}`"),
        }
    }
}

/// What a policy changes of requests.
fn changed(source: &At<'_>) -> Vec<Changed> {
    let Some(traffic) = source.at("spec.traffic") else { return Vec::new() };
    let branches = traffic
        .at("transformation.conditional")
        .map(|list| list.items())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|entry| entry.at("policy.request"));
    let directions = ["transformation.request", "headerModifiers.request"]
        .into_iter()
        .filter_map(|path| traffic.at(path))
        .chain(branches);
    let mut found = Vec::new();
    for headers in directions {
        for list in ["set", "add", "remove"].iter().filter_map(|name| headers.get(name)) {
            let items = list.items();
            let names =
                items.iter().filter_map(|item| item.text_at("name").or_else(|| item.node.as_str()));
            found.extend(names.map(Changed::of_header));
        }
    }
    if traffic.text_at("hostRewrite.mode") == Some("Auto") {
        found.push(Changed::Attribute("host"));
    }
    if traffic.get("urlRewrite").is_some() {
        found.extend([Changed::Attribute("path"), Changed::Attribute("host")]);
    }
    found
}

/// What a policy of the result changes of requests behind transformations: modifiers, rewrites.
pub(super) fn changed_later(policy: &Policy) -> Vec<Changed> {
    let mut found = changed_in(&policy.modifiers.request);
    if policy.feature("hostRewrite").is_some() {
        found.push(Changed::Attribute("host"));
    }
    if policy.feature("urlRewrite").is_some() {
        found.extend([Changed::Attribute("path"), Changed::Attribute("host")]);
    }
    found
}

/// What a policy of the result changes of requests, but for its credentials.
pub(super) fn changed_by(policy: &Policy) -> Vec<Changed> {
    let mut found = changed_in(&policy.headers.request);
    found.extend(policy.conditional.iter().flat_map(|entry| changed_in(&entry.headers.request)));
    found.extend(changed_later(policy));
    found
}

fn changed_in(headers: &Headers) -> Vec<Changed> {
    let written = headers.set.iter().chain(&headers.add).map(|(name, _)| name);
    written.chain(&headers.remove).map(|name| Changed::of_header(name)).collect()
}

/// A feature that applies once: here, that of the first policy in scope, there, that of the one
/// with the narrowest target.
fn check_once<'d>(feature: &str, made: &[(At<'d>, Policy)], notes: &mut Notes<'d>) {
    let having: Vec<_> =
        made.iter().filter(|(_, policy)| policy.feature(feature).is_some()).collect();
    for (index, (document, later)) in having.iter().enumerate() {
        let earlier = having.iter().take(index).map(|(_, policy)| policy);
        let Some(first) = earlier.into_iter().find(|first| meet(first, later)) else { continue };
        let is_answer = !matches!(feature, "timeouts" | "retry");
        let falls_through = first.feature(feature).is_some_and(is_conditional);
        let (effect, message) = match (is_within(&first.hosts, &later.hosts), falls_through) {
            (false, _) if is_answer => (Effect::Looser, WIDER_FIRST),
            (false, _) => (Effect::Lost, WIDER_FIRST),
            (true, true) => (
                Effect::Lost,
                "where no condition of an earlier policy is true, this one applies; in \
                 AgentGateway only the policy with the narrowest target does",
            ),
            (true, false) if first.hosts == later.hosts => (
                Effect::Lost,
                "an earlier policy for the same requests has it too, and applies; in AgentGateway \
                 the older resource does",
            ),
            (true, false) => continue,
        };
        let path = format!("spec.traffic.{feature}");
        let at = document.at(&path).unwrap_or_else(|| document.clone());
        notes.field(&at, effect, format!("`{feature}`: {message}"));
    }
}

const WIDER_FIRST: &str = "an earlier policy with a wider target has it too, and applies; in \
    AgentGateway this one does. Put the narrower one first";

/// The header modifiers of a route that are for some requests only are a transformation here, and
/// so at another place in the order.
fn check_routes<'d>(made: &[(At<'d>, Policy)], notes: &mut Notes<'d>) {
    for (route, policy) in made {
        let responds = policy.conditional.iter().any(|entry| !entry.headers.response.is_empty());
        if policy.conditional.is_empty() || route.text_at("kind") != Some("HTTPRoute") {
            continue;
        }
        let is_before = |(other, earlier): &&(At<'d>, Policy)| {
            let transforms = !earlier.headers.response.is_empty()
                || earlier.conditional.iter().any(|entry| !entry.headers.response.is_empty());
            let is_other = !std::ptr::eq(other.node, route.node);
            is_other
                && meet(earlier, policy)
                && (responds && transforms || !earlier.modifiers.is_empty())
        };
        if let Some((_, earlier)) = made.iter().find(is_before) {
            let message = format!(
                "the header modifiers of single rules are written as a transformation, which is \
                 applied behind those of policy `{}` and before its `headerModifiers`; \
                 AgentGateway applies them all in one step, that of a response before any \
                 transformation",
                earlier.name
            );
            notes.add(route, Effect::Looser, message);
        }
    }
}

fn is_conditional(feature: &Tree) -> bool {
    matches!(feature, Tree::Map(fields) if fields.iter().any(|(name, _)| name == "conditional"))
}

/// Whether a request can be in scope of both.
pub(super) fn meet(one: &Policy, other: &Policy) -> bool {
    let share = |a: &String, b: &String| overlap::is_within(a, b) || overlap::is_within(b, a);
    one.hosts.is_empty()
        || other.hosts.is_empty()
        || one.hosts.iter().any(|a| other.hosts.iter().any(|b| share(a, b)))
}

/// Whether each of some hosts is one of the others, or every host is.
fn is_within(hosts: &[String], wide: &[String]) -> bool {
    wide.is_empty()
        || (!hosts.is_empty()
            && hosts
                .iter()
                .all(|host| wide.iter().any(|pattern| overlap::is_within(host, pattern))))
}
