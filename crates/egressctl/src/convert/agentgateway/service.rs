//! The services that policies call: `backendRef` and `url`.

use super::*;
use crate::yaml::Node;

/// The `backendRef` of the result, made of the source's `backendRef` or `url`. `what` says what is
/// asked, for notes.
pub(super) fn service<'d>(
    at: &At<'d>,
    of: Origin<'_, 'd>,
    what: &str,
    notes: &mut Notes<'d>,
) -> Option<Node> {
    let made = match (at.get("backendRef"), at.get("url")) {
        (Some(reference), _) => of_reference(&reference, of.namespace, notes),
        (None, Some(url)) => of_url(&url, of.library, notes),
        (None, None) => {
            let message = format!("no `backendRef` names {what}");
            notes.add(at, Effect::Looser, message);
            None
        }
    };
    if made.is_some() {
        let message = "a waypoint calls only services that it has a cluster of: make this one an \
            `envoyExtAuthzGrpc` provider of the MeshConfig's `extensionProviders`, which need not \
            be used, or let an HTTPRoute or VirtualService of a host name it";
        notes.once("cluster", at, message);
    }
    made
}

/// What a reference is relative to, and what may be known of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a, 'd> {
    pub(super) namespace: Option<&'a str>,
    pub(super) library: &'a Library<'d>,
}

fn of_reference<'d>(at: &At<'d>, namespace: Option<&str>, notes: &mut Notes<'d>) -> Option<Node> {
    let fields = notes.object(at, &["group", "kind", "name", "namespace", "port"]);
    let given = |name: &str| fields.iter().find(|field| field.name() == name);
    let kind = at.text_at("kind").unwrap_or("Service");
    let group = at.text_at("group").unwrap_or_default();
    let mut kept = Vec::new();
    match (group, kind) {
        ("", "Service") => {
            let own = namespace.map(|namespace| compile::text(at, namespace));
            let namespace = given("namespace").map(|field| field.node.clone()).or(own);
            kept.extend(namespace.map(|namespace| ("namespace", namespace)));
        }
        ("networking.istio.io", "Hostname") => kept.push(("kind", compile::text(at, kind))),
        _ => {
            let message = format!(
                "a `{}` is nothing that a waypoint can call: name the Service, or a host by \
                 `kind: Hostname` of `networking.istio.io`",
                kind.escape_debug()
            );
            notes.field(at, Effect::Looser, message);
            return None;
        }
    }
    let others = ["name", "port"];
    kept.extend(others.iter().filter_map(|name| Some((*name, given(name)?.node.clone()))));
    Some(compile::fields(at, kept))
}

fn of_url<'d>(at: &At<'d>, library: &Library<'d>, notes: &mut Notes<'d>) -> Option<Node> {
    let text = at.node.as_str().unwrap_or_default();
    let parsed = parts(text);
    let Some((is_https, host, port)) = parsed else {
        let message = "no `http(s)://host[:port]`: name the service as `backendRef`";
        notes.field(at, Effect::Looser, message);
        return None;
    };
    if is_https && !library.originates_tls(&[host.to_owned()]) {
        let message = format!(
            "a waypoint calls `{}` in plain text, unless a DestinationRule of the host has \
             `trafficPolicy.tls.mode: SIMPLE`",
            host.escape_debug()
        );
        notes.field(at, Effect::Looser, message);
    } else {
        let message = "as `backendRef` of kind Hostname, for which the mesh must have a service \
            or a ServiceEntry";
        notes.field(at, Effect::Hint, message);
    }
    let kept = vec![
        ("kind", compile::text(at, "Hostname")),
        ("name", compile::text(at, host)),
        ("port", compile::number(at, port.into())),
    ];
    Some(compile::fields(at, kept))
}

/// Whether a URL has TLS, and its host and port. None if it has more, or another form.
fn parts(url: &str) -> Option<(bool, &str, u16)> {
    let (is_https, rest) = match url.split_once("://")? {
        ("http", rest) => (false, rest),
        ("https", rest) => (true, rest),
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@', '[']) {
        return None;
    }
    match authority.split_once(':') {
        None => Some((is_https, authority, if is_https { 443 } else { 80 })),
        Some((host, port)) => Some((is_https, host, port.parse().ok()?)),
    }
}
