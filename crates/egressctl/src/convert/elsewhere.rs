//! Resources that are not policies but related to them.

use super::agentgateway;
use super::note::{At, Effect, Notes};

/// Notes, once for each kind, which of the skipped resources have a counterpart elsewhere.
pub(super) fn tell<'d>(resources: &[At<'d>], notes: &mut Notes<'d>) {
    for resource in resources {
        let group = resource
            .text_at("apiVersion")
            .and_then(|version| version.split_once('/'))
            .map_or("", |(group, _)| group);
        let is_agentgateway =
            matches!(group, "agentgateway.dev" | "enterpriseagentgateway.solo.io");
        let class = resource.text_at("spec.gatewayClassName").unwrap_or_default();
        match resource.text_at("kind").unwrap_or_default() {
            // Read with the policies.
            _ if agentgateway::is_backend(resource) => {}
            "HTTPRoute" | "GRPCRoute" if routes_to_agentgateway(resource) => {
                let message = "passed over: routes to an AgentgatewayBackend are not needed, a \
                    waypoint sends requests to the ServiceEntry that was dialled";
                notes.once("route", resource, message);
            }
            "Gateway" if class.contains("agentgateway") => {
                let message = "passed over: a waypoint that runs this filter has \
                    `gatewayClassName: istio-waypoint`";
                notes.once("gateway class", resource, message);
            }
            kind if is_agentgateway => notes.add(
                resource,
                Effect::Hint,
                format!("passed over: `{}` is no policy that is known here", kind.escape_debug()),
            ),
            kind @ ("AuthorizationPolicy"
            | "AgentgatewayPolicy"
            | "EnterpriseAgentgatewayPolicy") => {
                let message = format!(
                    "passed over: a `{kind}` of group `{}` is another thing than the one that is \
                     converted",
                    group.escape_debug()
                );
                notes.add(resource, Effect::Looser, message);
            }
            kind => {
                if let Some((effect, message)) = of_others(group, kind) {
                    notes.add(resource, effect, format!("passed over: {message}"));
                }
            }
        }
    }
}

/// What is said of a resource of another API; nothing of one that is read for others' sake.
fn of_others(group: &str, kind: &str) -> Option<(Effect, String)> {
    const ISTIO: &str = "Istio goes on applying it, beside this filter";
    let shown = kind.escape_debug();
    let (effect, message) = match (group, kind) {
        (_, "") => return None,
        ("networking.istio.io", "ServiceEntry" | "DestinationRule")
        | ("gateway.networking.k8s.io", "Gateway" | "HTTPRoute" | "GRPCRoute" | "GatewayClass")
        | ("gateway.networking.k8s.io", "ReferenceGrant")
        | ("ratelimit.solo.io", "RateLimitConfig")
        | ("", "Service" | "Namespace") => return None,
        ("networking.istio.io", "EnvoyFilter") => (
            Effect::Hint,
            "Istio goes on applying it; look whether it is for the waypoint, and what it changes \
             there"
                .to_owned(),
        ),
        (group, _) if group.ends_with(".istio.io") => (Effect::Hint, ISTIO.to_owned()),
        ("gateway.networking.k8s.io", _) => {
            (Effect::Hint, format!("a `{shown}` goes on where the waypoint's Istio supports it"))
        }
        (group, _) if !group.contains('.') || group.ends_with(".k8s.io") => {
            (Effect::Hint, format!("a `{shown}` of Kubernetes goes on as it is"))
        }
        ("gateway.kgateway.dev", "TrafficPolicy") => (
            Effect::Looser,
            "a TrafficPolicy of kgateway is not converted, and what it refuses or changes is not \
             in the result: `rbac` is `traffic.authorization` of an AgentgatewayPolicy; write it \
             as one, and convert again"
                .to_owned(),
        ),
        _ if may_restrict(kind) => (
            Effect::Looser,
            format!(
                "`{shown}` of `{}` is not known here: what it refuses or changes is not in the \
                 result; write it as an AgentgatewayPolicy or AuthorizationPolicy, or leave it \
                 out of the files",
                group.escape_debug()
            ),
        ),
        _ => (
            Effect::Hint,
            format!("`{shown}` of `{}` is no policy by its name", group.escape_debug()),
        ),
    };
    Some((effect, message))
}

/// Whether a kind is, by its name, one that refuses requests or changes them.
fn may_restrict(kind: &str) -> bool {
    ["Policy", "Policies", "Filter", "Plugin", "Auth", "RateLimit", "Rule", "Rules", "Extension"]
        .iter()
        .any(|part| kind.contains(part))
}

/// Whether it is the parameters of an AgentGateway, with settings of its log.
pub(super) fn has_logging(resource: &At<'_>) -> bool {
    matches!(
        (
            resource.text_at("apiVersion").and_then(|version| version.split_once('/')),
            resource.text_at("kind")
        ),
        (Some(("agentgateway.dev", _)), Some("AgentgatewayParameters"))
            | (
                Some(("enterpriseagentgateway.solo.io", _)),
                Some("EnterpriseAgentgatewayParameters")
            )
    ) && resource.at("spec.rawConfig.config.logging").is_some()
}

fn routes_to_agentgateway(route: &At<'_>) -> bool {
    let rules = route.at("spec.rules").map(|rules| rules.items()).unwrap_or_default();
    let backends = rules
        .iter()
        .filter_map(|rule| rule.get("backendRefs"))
        .flat_map(|backends| backends.items());
    backends.into_iter().any(|backend| {
        backend.text_at("kind").is_some_and(|kind| kind.ends_with("AgentgatewayBackend"))
    })
}
