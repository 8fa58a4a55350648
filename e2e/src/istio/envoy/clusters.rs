//! The waypoint's clusters: the way into `main_internal`, and one for each port of each service.

use serde_json::{Value, json};

use super::secrets;
use crate::istio::derive::{Derived, UpstreamTls};
use crate::istio::local::{Local, LocalError, Origins};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub(super) fn waypoint(derived: &Derived, local: &Local) -> Result<Vec<Value>, LocalError> {
    let mut clusters = vec![main_internal()];
    for (_, service, port) in derived.routes() {
        // Envoy would wait for the Secret before it used the cluster.
        if !port.is_ready() {
            continue;
        }
        let name = port.chain(&service.host);
        let mut cluster = json!({
            "name": name,
            "type": "STRICT_DNS",
            "load_assignment": load_assignment(
                &name,
                &json!({"address": local.origin_address(&service.host, port.target)?}),
            ),
        });
        if matches!(local.origins, Origins::Real(_)) {
            cluster["dns_lookup_family"] = json!("V4_PREFERRED");
        }
        let spoken = if port.http2 { "http2_protocol_options" } else { "http_protocol_options" };
        let mut options = json!({"explicit_http_config": {spoken: {}}});
        if let Some(tls) = &port.tls {
            options["upstream_http_protocol_options"] = upstream_options(tls);
            cluster["transport_socket"] = transport_socket(tls, port.http2, local);
        }
        if port.tls.is_some() || port.http2 {
            cluster["typed_extension_protocol_options"] = http_options(&options);
        }
        clusters.push(cluster);
    }
    Ok(clusters)
}

/// From `connect_terminate` to `main_internal`, inside the process, with the filter state.
fn main_internal() -> Value {
    json!({
        "name": "main_internal",
        "type": "STATIC",
        "transport_socket": {
            "name": "envoy.transport_sockets.internal_upstream",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.transport_sockets.internal_upstream.v3.\
                          InternalUpstreamTransport",
                "transport_socket": {
                    "name": "envoy.transport_sockets.raw_buffer",
                    "typed_config": {
                        "@type": "type.googleapis.com/\
                                  envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
                    },
                },
            },
        },
        "load_assignment":
            load_assignment(
                "main_internal",
                &json!({
                    "address": {
                        "envoy_internal_address": {"server_listener_name": "main_internal"},
                    },
                }),
            ),
    })
}

fn upstream_options(tls: &UpstreamTls) -> Value {
    let mut options = json!({});
    if tls.sni.is_none() {
        options["auto_sni"] = json!(true);
    }
    if tls.auto_san {
        options["auto_san_validation"] = json!(true);
    }
    options
}

fn transport_socket(tls: &UpstreamTls, http2: bool, local: &Local) -> Value {
    let mut common = json!({});
    if http2 {
        common["alpn_protocols"] = json!(["h2"]);
    }
    if let Some(credential) = &tls.credential {
        common["tls_certificate_sds_secret_configs"] =
            json!([secrets::reference(&credential.name, local)]);
    }
    if tls.verified {
        let mut validation = json!({});
        if tls.credential.is_none() {
            validation["trusted_ca"] = json!({"filename": local.origin_authorities()});
        }
        if !tls.subject_alt_names.is_empty() {
            // Deprecated in Envoy, and what istiod gives: names of any type. A wildcard in the
            // certificate fits an exact DNS name.
            validation["match_subject_alt_names"] =
                tls.subject_alt_names.iter().map(|name| json!({"exact": name})).collect();
        }
        match &tls.credential {
            None => common["validation_context"] = validation,
            Some(credential) => {
                let authorities = secrets::authorities(&credential.name);
                common["combined_validation_context"] = json!({
                    "default_validation_context": validation,
                    "validation_context_sds_secret_config":
                        secrets::reference(&authorities, local),
                });
            }
        }
    }
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    });
    if let Some(sni) = &tls.sni {
        context["sni"] = json!(sni);
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}

/// What a cluster is told of HTTP.
pub(super) fn http_options(options: &Value) -> Value {
    let mut typed = options.clone();
    typed["@type"] = json!(format!("type.googleapis.com/{HTTP_OPTIONS}"));
    json!({HTTP_OPTIONS: typed})
}

/// One endpoint.
pub(super) fn load_assignment(name: &str, endpoint: &Value) -> Value {
    json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]})
}
