//! Envoy's own filters for the same services.

use serde_json::{Value, json};

/// What runs for a host in place of this filter.
#[derive(Debug, Clone)]
pub struct Native {
    filter: Value,
    rate_limits: Value,
}

impl Native {
    /// `envoy.filters.http.ext_authz`, over gRPC.
    #[must_use]
    pub fn ext_authz(cluster: &str, fail_open: bool) -> Self {
        let filter = json!({
            "name": "envoy.filters.http.ext_authz",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "failure_mode_allow": fail_open,
                "grpc_service": grpc_service(cluster),
            },
        });
        Self { filter, rate_limits: json!([]) }
    }

    /// `envoy.filters.http.ratelimit`, with one descriptor: the caller's SPIFFE ID as `caller`.
    #[must_use]
    pub fn rate_limit(cluster: &str, fail_open: bool) -> Self {
        let filter = json!({
            "name": "envoy.filters.http.ratelimit",
            "typed_config": {
                "@type":
                    "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
                "domain": "egress",
                "timeout": "5s",
                "failure_mode_deny": !fail_open,
                "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
                "rate_limit_service": {
                    "transport_api_version": "V3",
                    "grpc_service": grpc_service(cluster),
                },
            },
        });
        let expression = json!({
            "name": "envoy.rate_limit_descriptors.expr",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor",
                "descriptor_key": "caller",
                "text": "filter_state['io.istio.peer_principal']",
            },
        });
        Self { filter, rate_limits: json!([{"actions": [{"extension": expression}]}]) }
    }

    /// Puts it into the chain of a host, before the router.
    pub(crate) fn insert(&self, envoy: &mut Value, host: &str) {
        let listeners = envoy["static_resources"]["listeners"].as_array_mut();
        let is_inner = |listener: &&mut Value| listener["name"] == "main_internal";
        for listener in listeners.into_iter().flatten().filter(is_inner) {
            for chain in listener["filter_chains"].as_array_mut().into_iter().flatten() {
                let name = chain["name"].as_str().and_then(|name| name.rsplit('|').next());
                if name != Some(host) {
                    continue;
                }
                let manager = &mut chain["filters"][0]["typed_config"];
                let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
                route["rate_limits"] = self.rate_limits.clone();
                if let Some(filters) = manager["http_filters"].as_array_mut() {
                    filters.insert(0, self.filter.clone());
                }
            }
        }
    }
}

fn grpc_service(cluster: &str) -> Value {
    json!({
        "timeout": "5s",
        "envoy_grpc": {"cluster_name": cluster, "authority": "service.example"},
    })
}
