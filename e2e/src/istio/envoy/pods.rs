//! The pods with their ztunnel: for each pod and each port of a service a listener that wraps what
//! comes in HBONE, with the pod's certificate. In a cluster there is none of this in the waypoint's
//! Envoy.

use serde_json::{Value, json};

use super::clusters::{http_options, load_assignment};
use crate::istio::derive::{Caller, Derived};
use crate::istio::local::{Local, LocalError, socket_address, vip};

pub(super) fn listeners(derived: &Derived, local: &Local) -> Result<Vec<Value>, LocalError> {
    let mut listeners = Vec::new();
    if local.ports.pods.is_empty() {
        return Ok(listeners);
    }
    for (index, caller) in derived.callers.iter().enumerate() {
        for (route, (place, service, port)) in derived.routes().enumerate() {
            let forwarded = format!("for=\"%DOWNSTREAM_REMOTE_ADDRESS%\";host={}", service.host);
            listeners.push(json!({
                "name": format!("pod-{}-{}-{}", caller.name, service.host, port.number),
                // A second Envoy on these ports must fail, not share them.
                "enable_reuse_port": false,
                "address": socket_address("127.0.0.1", local.pod_port(index, &caller.name, route)?),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/\
                                  envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": format!("pod-{}", caller.name),
                        "cluster": hbone(caller),
                        "tunneling_config": {
                            "hostname": format!("{}:{}", vip(place), port.number),
                            "headers_to_add": [
                                {
                                    "header": {
                                        "key": "baggage",
                                        "value": format!("k8s.namespace.name={}", caller.namespace),
                                    },
                                },
                                {"header": {"key": "forwarded", "value": forwarded}},
                            ],
                        },
                    },
                }]}],
            }));
        }
    }
    Ok(listeners)
}

/// ztunnel's side of HBONE: the pod's certificate, and the waypoint's SPIFFE ID expected of the
/// other end.
pub(super) fn clusters(derived: &Derived, local: &Local) -> Vec<Value> {
    let callers = derived.callers.iter();
    callers
        .map(|caller| {
            json!({
                "name": hbone(caller),
                "type": "STATIC",
                "typed_extension_protocol_options":
                    http_options(
                        &json!({
                            "explicit_http_config": {
                                "http2_protocol_options": {"allow_connect": true},
                            },
                        }),
                    ),
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/\
                                  envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                        "common_tls_context": {
                            "alpn_protocols": ["h2"],
                            "tls_params": {
                                "tls_minimum_protocol_version": "TLSv1_3",
                                "tls_maximum_protocol_version": "TLSv1_3",
                            },
                            "tls_certificates": [local.certificate(&caller.name)],
                            "validation_context": {
                                "trusted_ca": {"filename": local.pki("mesh-ca.pem")},
                                "match_typed_subject_alt_names": [{
                                    "san_type": "URI",
                                    "matcher": {"exact": derived.spiffe_id},
                                }],
                            },
                        },
                    },
                },
                "load_assignment": load_assignment(
                    "hbone",
                    &json!({"address": socket_address("127.0.0.1", local.ports.hbone)}),
                ),
            })
        })
        .collect()
}

fn hbone(caller: &Caller) -> String {
    format!("hbone-{}", caller.name)
}
