//! The scope of policies that are attached to a route.

use super::*;

pub(super) fn of_route<'d>(
    target: &At<'d>,
    route: &At<'d>,
    namespace: Option<&str>,
    library: &Library<'d>,
    scope: &mut Scope,
    notes: &mut Notes<'d>,
) -> Covers {
    let rules = route.at("spec.rules").map(|rules| rules.items()).unwrap_or_default();
    let matches = rules.iter().filter_map(|rule| rule.get("matches"));
    // A value that is not a list counts as one match that is not understood.
    let matches = matches.flat_map(|matches| {
        if matches.node.items().is_some() { matches.items() } else { vec![matches] }
    });
    if let Some(narrow) = matches.into_iter().find(|one| !is_every_path(one.node)) {
        let message = "the route is for some requests to its hosts only, the policy in the result \
            for all: say in its expressions for which";
        let message = format!("{message} (`{}` in {})", narrow.path, narrow.source.name);
        notes.add(target, Effect::Looser, message);
    }
    let mut hosts: Vec<String> = texts(route.at("spec.hostnames").as_ref(), notes);
    let named = !hosts.is_empty();
    let (mut all, mut unknown) = (false, false);
    for parent in route.at("spec.parentRefs").map(|parents| parents.items()).unwrap_or_default() {
        let text = |name: &str| parent.text_at(name);
        let parent_namespace = text("namespace").or(namespace);
        let name = text("name").unwrap_or_default();
        let covers = match (text("group").unwrap_or(GATEWAY_API), text("kind").unwrap_or("Gateway"))
        {
            (GATEWAY_API, "Gateway") => {
                let namespace = parent_namespace.map(str::to_owned);
                scope.attached.push(Target {
                    kind: "Gateway".to_owned(),
                    name: name.to_owned(),
                    namespace,
                });
                Covers::All
            }
            (ISTIO_NETWORKING, "ServiceEntry") => {
                match library.find(
                    (ISTIO_NETWORKING, "ServiceEntry"),
                    parent_namespace,
                    name,
                    target,
                    notes,
                ) {
                    Some(entry) => of_service_entry(entry, scope, notes),
                    None if named => Covers::Hosts(Vec::new()),
                    None => missing(target, "ServiceEntry", name, notes),
                }
            }
            ("", "Service") => {
                if let Some(service) =
                    library.find(("", "Service"), parent_namespace, name, target, notes)
                {
                    attach_to_waypoint(service, parent_namespace, scope);
                }
                match parent_namespace {
                    Some(namespace) => Covers::Hosts(service_hosts(name, namespace)),
                    None if named => Covers::Hosts(Vec::new()),
                    None => missing(target, "Service", name, notes),
                }
            }
            (_, kind) if named => {
                notes.add(
                    target,
                    Effect::Hint,
                    format!(
                        "the route's parent is a `{}`: its `hostnames` are taken",
                        kind.escape_debug()
                    ),
                );
                Covers::Hosts(Vec::new())
            }
            (_, kind) => missing(target, kind, name, notes),
        };
        match covers {
            Covers::Unknown => unknown = true,
            Covers::All | Covers::Rest => all = true,
            Covers::Hosts(more) if !named => hosts.extend(more),
            Covers::Hosts(_) => {}
        }
    }
    if named {
        Covers::Hosts(hosts)
    } else if unknown {
        Covers::Unknown
    } else if all {
        Covers::Rest
    } else if hosts.is_empty() {
        missing(target, "HTTPRoute", target.text_at("name").unwrap_or_default(), notes)
    } else {
        Covers::Hosts(hosts)
    }
}

/// Whether a route's match is that of every path, and of nothing else.
fn is_every_path(one: &Node) -> bool {
    let Some(fields) = one.fields() else { return false };
    let is = |node: Option<&Node>, text: &str| {
        node.is_none_or(|node| matches!(node.value, Value::Null) || node.as_str() == Some(text))
    };
    let path = one.get("path");
    fields.iter().all(|(key, _)| key.name == "path")
        && path.is_none_or(|path| matches!(path.value, Value::Null | Value::Map(_)))
        && is(one.at("path.value"), "/")
        && is(one.at("path.type"), "PathPrefix")
}
