//! Resources that are not policies but related to them.

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
            "AgentgatewayBackend" | "EnterpriseAgentgatewayBackend" if is_agentgateway => {
                if let Some(policies) = resource.at("spec.policies") {
                    let message = "policies in a backend are not converted: put them into an \
                        AgentgatewayPolicy that targets it, under `backend`";
                    notes.field(&policies, Effect::Looser, message);
                }
                let message = "passed over: where the origin is a ServiceEntry says (`targetPort: \
                    443`), and its TLS a DestinationRule (`tls.mode: SIMPLE`)";
                notes.once("backend", resource, message);
            }
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
            "VirtualService" => {
                let message = "passed over: Istio's waypoint goes on applying it, beside this \
                    filter";
                notes.once("virtual service", resource, message);
            }
            "RequestAuthentication" | "PeerAuthentication" => {
                notes.once(
                    "authentication",
                    resource,
                    "passed over: Istio goes on applying it, beside this filter",
                );
            }
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
            _ => {}
        }
    }
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
