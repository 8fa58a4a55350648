//! HTTPRoutes of an AgentGateway: the filters of their rules, which a waypoint of Istio does not
//! apply, since it takes routes of services and not of Gateways.

mod filters;
mod matches;

use super::emit::Tree;
use super::names::{self, Names};
use super::note::{At, Effect, Notes};
use super::overlap::is_within;
use super::policy::{Authorization, Branch, Policy, entry};
use super::scope::{Library, Target};
use filters::{Filters, of_match};
use matches::Matches;

const GROUP: &str = "gateway.networking.k8s.io";

/// Converts the routes among resources that belong to the Gateway of the policies.
pub(super) fn convert<'d>(
    library: &Library<'d>,
    gateways: &[Target],
    names: &mut Names,
    notes: &mut Notes<'d>,
) -> Vec<(At<'d>, Policy)> {
    let is_route = |resource: &&At<'d>| {
        let group = resource.text_at("apiVersion").and_then(|version| version.split_once('/'));
        group.is_some_and(|(group, _)| group == GROUP)
            && matches!(resource.text_at("kind"), Some("HTTPRoute" | "GRPCRoute"))
    };
    let routes: Vec<&At<'d>> = library.resources.iter().filter(is_route).collect();
    let ours: Vec<&At<'d>> =
        routes.iter().copied().filter(|route| is_of(route, gateways, library)).collect();
    let mut made = Vec::new();
    for route in routes.iter().copied().filter(|route| does_something(route)) {
        if !ours.iter().any(|own| std::ptr::eq(own.node, route.node)) {
            let message = "passed over: a route of services, which Istio's waypoint goes on \
                applying, or of another Gateway than the policies'";
            notes.add(route, Effect::Hint, message);
            continue;
        }
        if route.text_at("kind") == Some("GRPCRoute") {
            let message = "filters of a GRPCRoute are not converted: an HTTPRoute has them too, \
                for the paths `/package.Service/Method`";
            notes.add(route, Effect::Looser, message);
            continue;
        }
        let name = names.name_of(route, notes);
        let start = notes.len();
        if let Some(mut policy) = of_route(route, &name, &ours, notes) {
            policy.name = names.unique(&policy.name);
            policy.comment.push(names::origin(route));
            policy.comment.extend(notes.comments_since(start));
            made.push((route.clone(), policy));
        }
        notes.of_policy(None);
    }
    made
}

/// Whether a route is attached to a Gateway of AgentGateway's, or to that of the policies.
fn is_of(route: &At<'_>, gateways: &[Target], library: &Library<'_>) -> bool {
    let parents = route.at("spec.parentRefs").map(|parents| parents.items()).unwrap_or_default();
    let is_gateway = |parent: &&At<'_>| {
        parent.text_at("kind").is_none_or(|kind| kind == "Gateway")
            && parent.text_at("group").is_none_or(|group| group == GROUP)
    };
    let own = route.text_at("metadata.namespace");
    parents.iter().filter(is_gateway).any(|parent| {
        let target = Target {
            kind: "Gateway".to_owned(),
            name: parent.text_at("name").unwrap_or_default().to_owned(),
            namespace: parent.text_at("namespace").or(own).map(str::to_owned),
        };
        gateways.iter().any(|known| known.is(&target))
            || library.resources.iter().any(|resource| {
                let class = resource.text_at("spec.gatewayClassName").unwrap_or_default();
                resource.text_at("kind") == Some("Gateway")
                    && resource.text_at("metadata.name") == Some(target.name.as_str())
                    && class.contains("agentgateway")
            })
    })
}

/// Whether a rule of a route does more than to choose a backend.
fn does_something(route: &At<'_>) -> bool {
    let rules = route.at("spec.rules").map(|rules| rules.items()).unwrap_or_default();
    rules
        .iter()
        .any(|rule| ["filters", "timeouts", "retry"].iter().any(|name| rule.get(name).is_some()))
}

fn hosts_of(route: &At<'_>) -> Vec<String> {
    let hosts = route.at("spec.hostnames").map(|hosts| hosts.items()).unwrap_or_default();
    hosts.iter().filter_map(|host| host.node.as_str()).map(str::to_owned).collect()
}

fn of_route<'d>(
    route: &At<'d>,
    name: &str,
    ours: &[&At<'d>],
    notes: &mut Notes<'d>,
) -> Option<Policy> {
    let hosts = hosts_of(route);
    let shares = |other: &&&At<'d>| {
        let others = hosts_of(other);
        !std::ptr::eq(other.node, route.node)
            && (hosts.is_empty()
                || others.is_empty()
                || hosts.iter().any(|a| others.iter().any(|b| is_within(a, b) || is_within(b, a))))
    };
    if let Some(other) = ours.iter().find(shares) {
        let message = format!(
            "another route, `{}`, is for some of the same hosts, and which of the two a request \
             belongs to has no counterpart: nothing of this one is in the result; put their rules \
             into one route",
            other.text_at("metadata.name").unwrap_or_default().escape_debug()
        );
        notes.add(route, Effect::Looser, message);
        return None;
    }
    let rules = route.at("spec.rules").map(|rules| notes.list(&rules)).unwrap_or_default();
    let matches = Matches::read(&rules, notes)?;
    let filters: Vec<Filters<'d>> = rules.iter().map(|rule| Filters::read(rule, notes)).collect();
    let mut policy = Policy { name: name.to_owned(), hosts, ..Policy::default() };
    let is_every = matches.only().is_some();
    if let Some(any) = matches.any() {
        let message = "requests that no rule is for get 404 in AgentGateway; here a Require \
            refuses them, with 403";
        notes.add(route.at("spec.rules").as_ref().unwrap_or(route), Effect::Hint, message);
        policy.authorization = Some(Authorization { action: "Require", expressions: vec![any] });
    }
    let conditions = matches.conditions();
    headers(&mut policy, &filters, &conditions, is_every);
    for (name, of_rule) in FILTERS {
        let mut entries = Vec::new();
        for (one, condition) in &conditions {
            let Some(filter) = filters.get(one.rule).and_then(of_rule) else { continue };
            let form = of_match(filter, name, one, notes)?;
            entries.push((condition.as_deref(), form));
        }
        policy.features.extend(feature(entries).map(|tree| (name, tree)));
    }
    for filters in &filters {
        policy.features.extend(filters.of_connection(is_every, notes).into_iter().flatten());
    }
    (!policy.is_empty()).then_some(policy)
}

type OfRule = for<'a, 'd> fn(&'a Filters<'d>) -> Option<&'a At<'d>>;

const FILTERS: [(&str, OfRule); 2] = [
    ("urlRewrite", |filters| filters.rewrite.as_ref()),
    ("requestRedirect", |filters| filters.redirect.as_ref()),
];

/// Header modifiers, or where they are for some requests only, a transformation: modifiers have no
/// conditions.
fn headers(
    policy: &mut Policy,
    filters: &[Filters<'_>],
    conditions: &[(&matches::Match, Option<String>)],
    is_every: bool,
) {
    for (one, condition) in conditions {
        let Some(filters) = filters.get(one.rule) else { continue };
        if filters.modifiers.is_empty() {
            continue;
        }
        let modifiers = filters.modifiers.clone();
        if is_every {
            policy.modifiers = modifiers;
        } else {
            let headers = modifiers.into_expressions();
            policy.conditional.push(Branch { condition: condition.clone(), headers });
        }
    }
}

/// A feature that applies once: as it is, or by its conditions, which exclude each other.
fn feature(mut entries: Vec<(Option<&str>, Tree)>) -> Option<Tree> {
    match entries.as_slice() {
        [] => None,
        [(None, _)] => entries.pop().map(|(_, form)| form),
        _ => {
            let entries = entries.into_iter().map(|(condition, form)| entry(condition, form));
            Some(Tree::map([("conditional", Tree::list(entries))]))
        }
    }
}
