//! `traffic.authorization`: the rule, and where its expressions have another meaning here.

use super::*;
use crate::convert::policy::Authorization;

pub(super) fn of_authorization<'d>(
    authorization: &At<'d>,
    notes: &mut Notes<'d>,
) -> Option<Authorization> {
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
            notes.push(item, effect, Diagnostic { message, ..error });
        }
    }
    if kept.is_empty() {
        if action == "Deny" {
            notes.field(authorization, Effect::Hint, "left out: none of its expressions is left");
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
    meanings(item, source, notes);
}

/// Notes once where what an expression reads is another thing here than there.
pub(super) fn meanings<'d>(item: &At<'d>, source: &str, notes: &mut Notes<'d>) {
    for (read, topic, message) in DIFFERENCES {
        if source.contains(read) {
            notes.once(topic, item, *message);
        }
    }
}
