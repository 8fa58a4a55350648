//! What a rule of an HTTPRoute does to the requests that are for it.

use crate::convert::agentgateway::{Feature, of_modifiers, upstream};
use crate::convert::compile::{self, Position};
use crate::convert::emit::Tree;
use crate::convert::note::{At, Effect, Notes};
use crate::convert::policy::{Directions, Headers};
use crate::yaml::Node;

use super::matches::Match;

/// The filters of a rule, and its timeout and retries.
#[derive(Debug, Default)]
pub(super) struct Filters<'d> {
    pub(super) redirect: Option<At<'d>>,
    pub(super) rewrite: Option<At<'d>>,
    pub(super) modifiers: Directions,
    timeouts: Option<At<'d>>,
    retry: Option<At<'d>>,
}

impl<'d> Filters<'d> {
    /// Reads a rule. What it has besides is noted.
    pub(super) fn read(rule: &At<'d>, notes: &mut Notes<'d>) -> Filters<'d> {
        let mut found = Filters::default();
        let known = [
            "name",
            "matches",
            "filters",
            "backendRefs",
            "timeouts",
            "retry",
            "sessionPersistence",
        ];
        for field in notes.object(rule, &known) {
            match field.name() {
                "filters" => {
                    for filter in notes.list(&field) {
                        found.filter(&filter, notes);
                    }
                }
                "timeouts" => found.timeouts = Some(field),
                "retry" => found.retry = Some(field),
                "backendRefs" => backends(&field, notes),
                "sessionPersistence" => {
                    let message = "`sessionPersistence` has no counterpart in this filter: \
                        `loadBalancer.consistentHash` of a DestinationRule";
                    notes.field(&field, Effect::Lost, message);
                }
                _ => {}
            }
        }
        found
    }

    fn filter(&mut self, filter: &At<'d>, notes: &mut Notes<'d>) {
        let kind = filter.text_at("type").unwrap_or_default();
        let (own, is_new) = match kind {
            "RequestHeaderModifier" => ("requestHeaderModifier", self.modifiers.request.is_empty()),
            "ResponseHeaderModifier" => {
                ("responseHeaderModifier", self.modifiers.response.is_empty())
            }
            "RequestRedirect" => ("requestRedirect", self.redirect.is_none()),
            "URLRewrite" => ("urlRewrite", self.rewrite.is_none()),
            _ => return tell(filter, kind, notes),
        };
        notes.object(filter, &["type", own]);
        let Some(at) = filter.get(own) else {
            notes.add(filter, Effect::Looser, format!("field `{own}` is missing"));
            return;
        };
        if !is_new {
            let message = format!("a second `{kind}` of the rule: left out");
            notes.field(&at, Effect::Looser, message);
            return;
        }
        let headers =
            |direction, notes: &mut Notes<'d>| -> Headers { of_modifiers(&at, direction, notes) };
        match kind {
            "RequestHeaderModifier" => self.modifiers.request = headers("request", notes),
            "ResponseHeaderModifier" => self.modifiers.response = headers("response", notes),
            "RequestRedirect" => self.redirect = Some(at),
            _ => self.rewrite = Some(at),
        }
    }

    /// The timeout and the retries, which the result has for all requests of a policy or for none.
    pub(super) fn of_connection(&self, is_every: bool, notes: &mut Notes<'d>) -> Vec<Feature> {
        let mut features = Vec::new();
        if let Some(at) = &self.timeouts {
            if let Some(backend) = at.get("backendRequest") {
                let message = "`timeouts.backendRequest` has no counterpart in this filter: \
                    `retries.perTryTimeout` of a VirtualService";
                notes.field(&backend, Effect::Lost, message);
            }
            if let Some(request) = at.get("request") {
                if !is_every {
                    conditional(&request, "timeouts.request", notes);
                } else if request.node.as_str() == Some("0s") {
                    notes.add(&request, Effect::Hint, "left out: it stands for no timeout");
                } else {
                    let only = compile::fields(at, vec![("request", request.node.clone())]);
                    features.push(upstream::timeouts_of(at, only, notes));
                }
            }
        }
        if let Some(at) = &self.retry {
            if is_every {
                features.push(upstream::retry(at, notes));
            } else {
                conditional(at, "retry", notes);
            }
        }
        features
    }
}

fn conditional<'d>(at: &At<'d>, name: &str, notes: &mut Notes<'d>) {
    let message = format!(
        "`{name}`: for some requests of its hosts only, which has no counterpart in this filter: \
         an HTTPRoute or VirtualService of the service"
    );
    notes.field(at, Effect::Lost, message);
}

/// Notes a filter that is not converted.
fn tell<'d>(filter: &At<'d>, kind: &str, notes: &mut Notes<'d>) {
    let (effect, message) = match kind {
        "RequestMirror" => (
            Effect::Lost,
            "no counterpart in this filter: `mirrors` of a \
             VirtualService",
        ),
        "CORS" => (Effect::Lost, "no counterpart in this filter: `corsPolicy` of a VirtualService"),
        "ExternalAuth" => (
            Effect::Looser,
            "no counterpart in this filter: an AuthorizationPolicy with `action: CUSTOM` and an \
             extension provider",
        ),
        "ExtensionRef" => {
            (Effect::Looser, "what it refers to, which may restrict requests, is not known here")
        }
        _ => (
            Effect::Looser,
            "unknown filter: what it does, which may be to restrict, is not in \
             the result",
        ),
    };
    notes.add(filter, effect, format!("filter `{}`: {message}", kind.escape_debug()));
}

/// Notes what is about single backends.
fn backends<'d>(list: &At<'d>, notes: &mut Notes<'d>) {
    let items = notes.list(list);
    let message = "passed over: a waypoint sends requests to the service that was dialled, \
        whatever the backend of a route is";
    notes.once("route", list, message);
    for filters in items.iter().filter_map(|backend| backend.get("filters")) {
        let message = "filters of one backend have no counterpart: put them into the rule";
        notes.field(&filters, Effect::Looser, message);
    }
    if items.len() > 1 {
        let message = "several backends: a waypoint sends requests to the service that was \
            dialled; an HTTPRoute of that service shares them out";
        notes.field(list, Effect::Lost, message);
    }
}

/// A redirect or rewrite, as it is for the requests of one match.
pub(super) fn of_match<'d>(
    at: &At<'d>,
    name: &'static str,
    one: &Match,
    notes: &mut Notes<'d>,
) -> Option<Tree> {
    let known: &[&str] = match name {
        "urlRewrite" => &["hostname", "path"],
        _ => &["scheme", "hostname", "port", "path", "statusCode"],
    };
    let mut fields = Vec::new();
    for field in notes.object(at, known) {
        let node =
            if field.name() == "path" { path(&field, one, notes)? } else { field.node.clone() };
        fields.push((field.name(), node));
    }
    let node = compile::fields(at, fields);
    let errors = compile::errors_of(Position::Traffic(name), at, node.clone());
    if errors.is_empty() {
        return Some(Tree::of(&node));
    }
    notes.refused(at, Effect::Looser, errors, "the filter is not in the result");
    None
}

/// `path`, with the prefix that is replaced: this filter does not see the route's match.
fn path<'d>(at: &At<'d>, one: &Match, notes: &mut Notes<'d>) -> Option<Node> {
    let mut fields: Vec<(&str, Node)> = notes
        .object(at, &["type", "replaceFullPath", "replacePrefixMatch"])
        .iter()
        .map(|field| (field.name(), field.node.clone()))
        .collect();
    if at.text_at("type") == Some("ReplacePrefixMatch") {
        let Some(prefix) = one.prefix() else {
            let message = "`ReplacePrefixMatch` needs a match of a prefix: the filter is not in \
                the result";
            notes.field(at, Effect::Looser, message);
            return None;
        };
        fields.insert(1.min(fields.len()), ("prefix", compile::text(at, prefix)));
    }
    Some(compile::fields(at, fields))
}
