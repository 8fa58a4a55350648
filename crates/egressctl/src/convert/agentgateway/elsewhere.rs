//! The fields of AgentGateway's policies without a counterpart in this filter, and what Istio has
//! for them.
//!
//! Fields as of agentgateway's `controller/api/v1alpha1/agentgateway/agentgateway_policy_types.go`
//! (2026-08), and those that Solo's documentation and the workshop show of the Enterprise resource.

use crate::convert::note::{At, Effect, Notes};

/// The subject of a field.
type Field = (&'static str, Effect, &'static str);

const TRAFFIC: &[Field] = &[
    (
        "phase",
        Effect::Hint,
        "left out: this filter has one phase, after the waypoint chose the service, in which its \
         policies apply in the order of the list; a path that a policy changes is matched again \
         by the routes of that service",
    ),
    (
        "entExtAuth",
        Effect::Looser,
        "no counterpart: an AuthConfig is for Solo's own server, which no other can stand in for; \
         `extAuth` asks a service of yours",
    ),
    (
        "extProc",
        Effect::Looser,
        "no counterpart: Istio's waypoints have no external processing; what the processor \
         refuses or changes is not",
    ),
    ("jwtAuthentication", Effect::Looser, JWT),
    ("entJWT", Effect::Looser, JWT),
    ("jwt", Effect::Looser, JWT),
    ("basicAuthentication", Effect::Looser, CREDENTIALS),
    ("apiKeyAuthentication", Effect::Looser, CREDENTIALS),
    (
        "csrf",
        Effect::Looser,
        "no counterpart: write a Deny over `request.headers[\"origin\"]` and `request.method`",
    ),
    (
        "buffer",
        Effect::Looser,
        "no counterpart in this filter: Envoy's buffer filter, by an EnvoyFilter; without it the \
         bodies that are too long go on",
    ),
    ("delay", Effect::Lost, "no counterpart in this filter: `fault.delay` of a VirtualService"),
    (
        "cors",
        Effect::Lost,
        "no counterpart in this filter: `corsPolicy` of a VirtualService, or the CORS filter of \
         an HTTPRoute, on the waypoint",
    ),
];

const JWT: &str = "a RequestAuthentication on the waypoint verifies tokens, and rules read their \
    claims as `jwt`; where there must be one, add a Require of `has(jwt.iss)`";
const CREDENTIALS: &str = "no counterpart in this filter: an AuthorizationPolicy with `action: \
    CUSTOM` and an extension provider that checks the credentials";

const BACKEND: &[Field] = &[
    (
        "tls",
        Effect::Looser,
        "no counterpart in this filter: `trafficPolicy.tls` of a DestinationRule (`mode: SIMPLE`, \
         or `MUTUAL` with a client certificate); without it requests leave in plain text",
    ),
    (
        "tcp",
        Effect::Lost,
        "no counterpart in this filter: `trafficPolicy.connectionPool.tcp` of a DestinationRule",
    ),
    (
        "tunnel",
        Effect::Lost,
        "no counterpart in this filter: `trafficPolicy.tunnel` of a DestinationRule, where the \
         waypoint supports it",
    ),
    (
        "ai",
        Effect::Looser,
        "no counterpart: rules over `json(request.body)` can guard prompts, in the image for \
         bodies",
    ),
    (
        "mcp",
        Effect::Looser,
        "no counterpart: rules over `json(request.body)` can authorize MCP's methods and tools, in \
         the image for bodies",
    ),
    (
        "health",
        Effect::Lost,
        "no counterpart in this filter: `trafficPolicy.outlierDetection` of a DestinationRule",
    ),
];

/// What a DestinationRule calls the fields of `backend.tls`, `tcp` and `health`; none for what it
/// does not have.
const NAMES: &[(&str, &str, Option<&str>)] = &[
    ("tls", "sni", Some("sni")),
    ("tls", "verifySubjectAltNames", Some("subjectAltNames")),
    ("tls", "caCertificateRefs", Some("credentialName")),
    ("tls", "mtlsCertificateRef", Some("credentialName")),
    ("tls", "insecureSkipVerify", Some("insecureSkipVerify")),
    ("tls", "alpnProtocols", None),
    ("tls", "keyExchangeGroups", None),
    ("tcp", "keepalive", Some("tcpKeepalive")),
    ("tcp", "connectTimeout", Some("connectTimeout")),
    ("health", "unhealthyCondition", None),
    ("health", "eviction", Some("baseEjectionTime` and `consecutive5xxErrors")),
];

const FRONTEND: &[Field] = &[
    (
        "tcp",
        Effect::Lost,
        "no counterpart in this filter: keep-alive of a waypoint's connections is ztunnel's and \
         the mesh's",
    ),
    (
        "networkAuthorization",
        Effect::Looser,
        "not converted: an AuthorizationPolicy that ztunnel enforces, or `traffic.authorization` \
         over `source.address` and `source.identity`",
    ),
    (
        "tls",
        Effect::Lost,
        "no counterpart: a waypoint's mTLS is Istio's own (`meshConfig.meshMTLS`)",
    ),
    (
        "http",
        Effect::Lost,
        "no counterpart in this filter: limits and timeouts of connections are Istio's \
         (`ProxyConfig`, DestinationRule)",
    ),
    (
        "proxyProtocol",
        Effect::Lost,
        "no counterpart: a waypoint is called over HBONE, which carries the caller's address",
    ),
    ("connect", Effect::Lost, "no counterpart: a waypoint takes CONNECT for HBONE only"),
    ("tracing", Effect::Lost, "no counterpart in this filter: `tracing` of a Telemetry resource"),
    (
        "metrics",
        Effect::Lost,
        "no counterpart in this filter: `metrics` of a Telemetry resource; its own counters are \
         per policy",
    ),
];

/// Notes a field of `backend` that has no counterpart.
pub(super) fn tell_backend<'d>(field: &At<'d>, notes: &mut Notes<'d>) {
    let known = NAMES.iter().filter(|(of, _, _)| *of == field.name());
    let names: Vec<&str> = known.clone().map(|(_, name, _)| *name).collect();
    if names.is_empty() || field.node.fields().is_none() {
        tell_of(field, BACKEND, notes);
        return;
    }
    let given: Vec<&str> = notes.object(field, &names).iter().map(At::name).collect();
    let said = known.filter(|(_, name, _)| given.contains(name)).map(|(_, name, there)| {
        there.map_or_else(
            || format!("; `{name}` has none"),
            |there| format!("; `{name}` is `{there}` there"),
        )
    });
    let Some((name, effect, message)) = BACKEND.iter().find(|(name, _, _)| *name == field.name())
    else {
        return;
    };
    notes.field(field, *effect, format!("`{name}`: {message}{}", said.collect::<String>()));
}

/// Notes a field of `frontend` that has no counterpart.
pub(super) fn tell_frontend<'d>(field: &At<'d>, notes: &mut Notes<'d>) {
    tell_of(field, FRONTEND, notes);
}

/// Notes a field of `traffic` that has no counterpart.
pub(super) fn tell_traffic<'d>(field: &At<'d>, notes: &mut Notes<'d>) {
    tell_of(field, TRAFFIC, notes);
}

fn tell_of<'d>(field: &At<'d>, table: &[Field], notes: &mut Notes<'d>) {
    match table.iter().find(|(name, _, _)| *name == field.name()) {
        Some((name, effect, message)) => {
            notes.field(field, *effect, format!("`{name}`: {message}"))
        }
        None => {
            let message = format!(
                "unknown field `{}`: what it does, which may be to restrict, is not in the result",
                field.name().escape_debug()
            );
            notes.field(field, Effect::Looser, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_without_a_counterpart_is_listed_once() {
        for table in [TRAFFIC, BACKEND, FRONTEND] {
            for (index, (name, _, message)) in table.iter().enumerate() {
                assert!(!table.iter().take(index).any(|(earlier, _, _)| earlier == name), "{name}");
                assert!(!message.ends_with('.') && message.len() > 30, "{name}: {message}");
            }
        }
    }
}
