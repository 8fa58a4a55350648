//! `rateLimit`: limits that the waypoint keeps, and limits that a service keeps.

use super::service::Origin;
use super::*;
use crate::convert::policy::entry;
use crate::yaml::{Node, Value};

const PASSES: &str = "what is over the limit is let through";

/// `rateLimit`
pub(super) fn rate_limit<'d>(at: &At<'d>, of: Origin<'_, 'd>, notes: &mut Notes<'d>) -> Feature {
    let Some(list) = at.get("conditional") else {
        return Some(("rateLimit", form(at, of, notes)?));
    };
    conditional::check_alone(at, notes);
    let entries = conditional::entries(&list, notes, |entry, notes| form(entry, of, notes));
    let Some(entries) = entries else {
        let message = format!("the rate limits are not in the result: {PASSES}");
        notes.field(&list, Effect::Looser, message);
        return None;
    };
    let entries = entries.into_iter().map(|(condition, form)| entry(condition.as_deref(), form));
    Some(("rateLimit", Tree::map([("conditional", Tree::list(entries))])))
}

/// One form of the limits. Where a part of it is not converted, the others are.
fn form<'d>(at: &At<'d>, of: Origin<'_, 'd>, notes: &mut Notes<'d>) -> Option<Tree> {
    let mut kept = Vec::new();
    for field in notes.object(at, &["local", "global"]) {
        let node = match field.name() {
            "local" => local(&field, notes),
            _ => global(&field, of, notes),
        };
        kept.extend(node.map(|node| (field.name(), node)));
    }
    limits(at, kept, notes)
}

/// Limits, if there are any and the engine takes them.
fn limits<'d>(at: &At<'d>, mut kept: Vec<(&str, Node)>, notes: &mut Notes<'d>) -> Option<Tree> {
    if kept.is_empty() {
        notes.field(at, Effect::Looser, format!("no limit is left of it: {PASSES}"));
        return None;
    }
    // There, every answer tells of the limits.
    kept.push(("headers", compile::text(at, "All")));
    let node = compile::fields(at, kept);
    let errors = compile::errors_of(Position::Traffic("rateLimit"), at, node.clone());
    if errors.is_empty() {
        return Some(Tree::of(&node));
    }
    notes.refused(at, Effect::Looser, errors, &format!("no limit is in the result: {PASSES}"));
    None
}

fn local<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Node> {
    let mut kept = Vec::new();
    for item in notes.list(at) {
        let fields = notes.object(&item, &["requests", "tokens", "unit", "burst", "key"]);
        if item.get("tokens").is_some() {
            not_tokens(&item, notes);
            continue;
        }
        let mut fields: Vec<(&str, Node)> =
            fields.iter().map(|field| (field.name(), field.node.clone())).collect();
        if item.get("key").is_none() {
            let message = "all callers are counted together, there and so here, by a `key` that is \
                the same for all; leave it out to count each caller for itself";
            notes.once("one bucket", &item, message);
            fields.push(("key", compile::text(&item, "\"all callers\"")));
        }
        let message = "what was used comes back request by request; in AgentGateway all at once, \
            whenever a whole unit has passed";
        notes.once("refill", &item, message);
        kept.push(compile::fields(&item, fields));
    }
    list(at, kept)
}

fn global<'d>(at: &At<'d>, of: Origin<'_, 'd>, notes: &mut Notes<'d>) -> Option<Node> {
    let mut kept = Vec::new();
    let known = ["backendRef", "url", "failureMode", "domain", "descriptors"];
    for field in notes.object(at, &known) {
        match field.name() {
            "backendRef" | "url" => {}
            "descriptors" => kept.push(("descriptors", descriptors(&field, notes)?)),
            name => kept.push((name, field.node.clone())),
        }
    }
    kept.push(("backendRef", service::service(at, of, SERVICE, notes)?));
    let message = "the service's answer is waited for no longer than 100 ms, unless `timeout` says \
        otherwise; AgentGateway waits for it without limit";
    notes.once("limit timeout", at, message);
    Some(compile::fields(at, kept))
}

/// What is asked.
const SERVICE: &str = "the rate limit service";

fn descriptors<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Node> {
    let mut kept = Vec::new();
    for item in notes.list(at) {
        let fields = notes.object(&item, &["entries", "unit", "cost", "limitOverride"]);
        if item.text_at("unit") == Some("Tokens") {
            not_tokens(&item, notes);
            continue;
        }
        let fields = fields.iter().map(|field| (field.name(), field.node.clone())).collect();
        kept.push(compile::fields(&item, fields));
    }
    let message = "an expression that fails refuses the request with 500, unless the failure mode \
        is FailOpen; in AgentGateway its descriptor is left out. One that is an optional, such as \
        `request.headers[?\"x-tenant\"]`, leaves it out here too";
    notes.once("descriptors", at, message);
    list(at, kept)
}

fn not_tokens<'d>(at: &At<'d>, notes: &mut Notes<'d>) {
    let message =
        format!("tokens of language models are in bodies, which are not counted here: {PASSES}");
    notes.add(at, Effect::Looser, message);
}

fn list(at: &At<'_>, items: Vec<Node>) -> Option<Node> {
    let value = Value::List(items);
    let is_empty = matches!(&value, Value::List(items) if items.is_empty());
    (!is_empty).then(|| Node { span: at.node.span.clone(), value })
}

/// `entRateLimit`, whose descriptors are actions in RateLimitConfig resources. `domain` is what the
/// limits are to be filed under.
pub(super) fn enterprise<'d>(
    at: &At<'d>,
    domain: &str,
    of: Origin<'_, 'd>,
    notes: &mut Notes<'d>,
) -> Feature {
    let fields = notes.object(at, &["global"]);
    let global = fields.first()?;
    let mut made = Vec::new();
    for field in notes.object(global, &["backendRef", "rateLimitConfigRefs"]) {
        if field.name() == "rateLimitConfigRefs" {
            for reference in notes.list(&field) {
                of_config(&reference, domain, of, &mut made, notes);
            }
        }
    }
    if global.get("backendRef").is_none() {
        let message = format!(
            "no `backendRef`: it is AgentGateway's own server, which a mesh has not. Run Envoy's \
             rate limit service, name it here, and convert again: {PASSES}"
        );
        notes.field(global, Effect::Looser, message);
        return None;
    }
    let descriptors = list(global, made);
    let Some(descriptors) = descriptors else {
        notes.field(global, Effect::Looser, format!("no limit is left of it: {PASSES}"));
        return None;
    };
    let kept = vec![
        ("backendRef", service::service(global, of, SERVICE, notes)?),
        ("domain", compile::text(global, domain)),
        ("descriptors", descriptors),
    ];
    let kept = vec![("global", compile::fields(global, kept))];
    Some(("rateLimit", limits(global, kept, notes)?))
}

/// The descriptors of a RateLimitConfig.
fn of_config<'d>(
    reference: &At<'d>,
    domain: &str,
    of: Origin<'_, 'd>,
    made: &mut Vec<Node>,
    notes: &mut Notes<'d>,
) {
    notes.object(reference, &["name", "namespace"]);
    let name = reference.text_at("name");
    let namespace = reference.text_at("namespace").or(of.namespace);
    let is_meant = |resource: &&At<'d>| {
        is_config(resource)
            && resource.text_at("metadata.name") == name
            && resource.text_at("metadata.namespace").or(namespace) == namespace
    };
    let config = of.library.resources.iter().find(is_meant);
    let Some(raw) = config.and_then(|config| config.at("spec.raw")) else {
        let message = format!("no such RateLimitConfig with `spec.raw` in these files: {PASSES}");
        notes.add(reference, Effect::Looser, message);
        return;
    };
    for field in notes.object(&raw, &["descriptors", "rateLimits"]) {
        if field.name() == "descriptors" {
            let message = format!(
                "the limits themselves are the service's: give Envoy's rate limit service these \
                 descriptors under `domain: {}`, with `rateLimit` as `rate_limit`, \
                 `requestsPerUnit` as `requests_per_unit`, and the unit in lower case. Until then \
                 {PASSES}",
                domain.escape_debug()
            );
            notes.field(&field, Effect::Looser, message);
            continue;
        }
        made.extend(notes.list(&field).iter().filter_map(|item| of_actions(item, notes)));
    }
}

/// Whether it is a RateLimitConfig.
fn is_config(resource: &At<'_>) -> bool {
    let version = resource.text_at("apiVersion").unwrap_or_default();
    version.starts_with("ratelimit.solo.io/") && resource.text_at("kind") == Some("RateLimitConfig")
}

/// One of `rateLimits`: a descriptor, of which each action is an entry.
fn of_actions<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Node> {
    let fields = notes.object(at, &["actions", "type"]);
    if at.text_at("type") == Some("TOKEN") {
        not_tokens(at, notes);
        return None;
    }
    let actions = fields.iter().find(|field| field.name() == "actions")?;
    let mut entries = Vec::new();
    for action in notes.list(actions) {
        let entry = match action.fields().as_slice() {
            [kind] => of_action(kind, notes),
            _ => None,
        };
        let Some((name, expression)) = entry else {
            let message = format!(
                "an action that is not known here: its descriptor is not in the result, and \
                 {PASSES}"
            );
            notes.add(&action, Effect::Looser, message);
            return None;
        };
        let (name, value) = (compile::text(&action, &name), compile::text(&action, &expression));
        entries.push(compile::fields(&action, vec![("name", name), ("expression", value)]));
    }
    Some(compile::fields(at, vec![("entries", list(actions, entries)?)]))
}

/// The key of an action, and the expression of its value.
fn of_action<'d>(kind: &At<'d>, notes: &mut Notes<'d>) -> Option<(String, String)> {
    let text = |name: &str| kind.text_at(name).map(str::to_owned);
    match kind.name() {
        "genericKey" => {
            notes.object(kind, &["descriptorValue", "descriptorKey"]);
            let key = text("descriptorKey").unwrap_or_else(|| "generic_key".to_owned());
            Some((key, literal(&text("descriptorValue")?)))
        }
        "requestHeaders" => {
            notes.object(kind, &["headerName", "descriptorKey"]);
            let message = "a request without the header is not counted by this descriptor, there \
                and here: a caller can leave it out";
            notes.once("optional header", kind, message);
            let name = literal(&text("headerName")?);
            Some((text("descriptorKey")?, format!("request.headers[?{name}]")))
        }
        "cel" => {
            notes.object(kind, &["expression", "key"]);
            Some((text("key")?, text("expression")?))
        }
        _ => None,
    }
}
