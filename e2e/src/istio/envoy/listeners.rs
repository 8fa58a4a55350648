//! The waypoint's two listeners: `connect_terminate`, which ends HBONE, and `main_internal`, where
//! the filters run.

use serde_json::{Map, Value, json};

use super::WASM;
use crate::istio::derive::{
    Derived, Phase, Plugin, Port, Protocol, Release, Service, TRUST_DOMAIN,
};
use crate::istio::local::{Local, socket_address, subscription, vip};

const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// Istio's authorization; also what its agent puts in a plugin's place when it cannot fetch the
/// module.
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

pub(super) fn waypoint(derived: &Derived, local: &Local) -> Vec<Value> {
    let mut listeners = vec![connect_terminate(derived.release, local)];
    // Envoy refuses a listener without chains; Istio's has those for pods' own addresses, which no
    // egress uses.
    if derived.routes().next().is_some() {
        listeners.push(main_internal(derived, local));
    }
    listeners
}

fn connect_terminate(release: Release, local: &Local) -> Value {
    let mut listener = json!({
        "name": "connect_terminate",
        "enable_reuse_port": false,
        // ztunnel's connections are few and long-lived, so they are spread evenly over the workers.
        "connection_balance_config": {"exact_balance": {}},
        "address": socket_address("127.0.0.1", local.ports.hbone),
        "filter_chains": [{
            "name": "default",
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": "type.googleapis.com/\
                              envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "require_client_certificate": true,
                    "common_tls_context": {
                        "alpn_protocols": ["h2"],
                        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                        "tls_certificates": [local.certificate("waypoint")],
                        "validation_context": {
                            "trusted_ca": {"filename": local.pki("mesh-ca.pem")},
                        },
                    },
                },
            },
            "filters": [manager(&json!({
                "stat_prefix": "connect_terminate",
                "codec_type": "HTTP2",
                "http2_protocol_options": {
                    "allow_connect": true,
                    "max_concurrent_streams": 100,
                    "connection_keepalive": {"interval": "10s", "timeout": "20s"},
                },
                "upgrade_configs": [{"upgrade_type": "CONNECT"}],
                "stream_idle_timeout": "0s",
                "route_config": {"name": "default", "virtual_hosts": [{
                    "name": "default",
                    "domains": ["*"],
                    "routes": [{
                        "match": {"connect_matcher": {}},
                        "route": {
                            "cluster": "main_internal",
                            "timeout": "0s",
                            "upgrade_configs": [{
                                "upgrade_type": "CONNECT",
                                "connect_config": {},
                            }],
                        },
                    }],
                }]},
                "http_filters": [connect_authority(release), router()],
            }))],
        }],
    });
    if release >= Release::V1_30 {
        let tls = &mut listener["filter_chains"][0]["transport_socket"]["typed_config"];
        let context = &mut tls["common_tls_context"];
        context["validation_context"]["match_typed_subject_alt_names"] = json!([{
            "san_type": "URI",
            "matcher": {"prefix": format!("spiffe://{TRUST_DOMAIN}/")},
        }]);
        context["tls_params"] = json!({
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        });
    }
    listener
}

/// What the certificate and the CONNECT say, handed to the internal connection.
fn connect_authority(release: Release) -> Value {
    let address = |key: &str, format: &str| {
        json!({
            "object_key": format!("envoy.filters.listener.original_dst.{key}"),
            "format_string": {"text_format_source": {"inline_string": format}},
            "shared_with_upstream": "ONCE",
        })
    };
    // Since Istio 1.29.2 the factory is `istio.hashable_string`, which only Istio's Envoy has; that
    // of Envoy is the same.
    let factory = if release >= Release::V1_30 { "envoy.hashable_string" } else { "envoy.string" };
    let principal = |key: &str, format: &str| {
        json!({
            "object_key": format!("io.istio.{key}"),
            "factory_key": factory,
            "format_string": {"text_format_source": {"inline_string": format}},
            "shared_with_upstream": "ONCE",
        })
    };
    json!({
        "name": "connect_authority",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [
                address("local_ip", "%REQ(:AUTHORITY)%"),
                address("remote_ip", "%DOWNSTREAM_REMOTE_ADDRESS%"),
                principal("peer_principal", "%DOWNSTREAM_PEER_URI_SAN%"),
                principal("local_principal", "%DOWNSTREAM_LOCAL_URI_SAN%"),
            ],
        },
    })
}

/// The address that the pod dialled chooses the service's chain; one that belongs to no service
/// matches none.
fn main_internal(derived: &Derived, local: &Local) -> Value {
    let ranges: Vec<Value> =
        derived.services.iter().enumerate().map(|(index, service)| range(index, service)).collect();
    let chains: Vec<Value> = derived
        .routes()
        .map(|(index, service, port)| {
            json!({
                "name": port.chain(&service.host),
                "filters": [network_filter(derived, local, index, service, port)],
            })
        })
        .collect();
    json!({
        "name": "main_internal",
        "internal_listener": {},
        "listener_filters": [{
            "name": "envoy.filters.listener.original_dst",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
            },
        }],
        "filter_chain_matcher": {"matcher_tree": {
            "input": {
                "name": "destination-ip",
                "typed_config": {
                    "@type": "type.googleapis.com/\
                              envoy.extensions.matching.common_inputs.network.v3.\
                              DestinationIPInput",
                },
            },
            "custom_match": {
                "name": "ip",
                "typed_config": {
                    "@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher",
                    "range_matchers": ranges,
                },
            },
        }},
        "filter_chains": chains,
    })
}

fn range(index: usize, service: &Service) -> Value {
    let ports: Map<String, Value> = service
        .ports
        .iter()
        .map(|port| {
            let chain = port.chain(&service.host);
            let name =
                json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": chain});
            (port.number.to_string(), json!({"action": {"name": chain, "typed_config": name}}))
        })
        .collect();
    json!({
        "ranges": [{"address_prefix": vip(index), "prefix_len": 32}],
        "on_match": {"matcher": {"matcher_tree": {
            "input": {
                "name": "destination-port",
                "typed_config": {
                    "@type": "type.googleapis.com/\
                              envoy.extensions.matching.common_inputs.network.v3.\
                              DestinationPortInput",
                },
            },
            "exact_match_map": {"map": ports},
        }}},
    })
}

fn network_filter(
    derived: &Derived,
    local: &Local,
    index: usize,
    service: &Service,
    port: &Port,
) -> Value {
    let chain = port.chain(&service.host);
    let stat_prefix = format!("inbound_{}_{}", vip(index), port.number);
    if port.protocol == Protocol::Tcp {
        return json!({
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": stat_prefix,
                "cluster": chain,
            },
        });
    }
    let mut connection_manager = json!({
        "stat_prefix": stat_prefix,
        "route_config": {
            "name": chain,
            "virtual_hosts": [{
                "name": format!("inbound|http|{}", port.number),
                // Istio lets any Host in here: the filter binds it to the service.
                "domains": ["*"],
                "routes": [{"name": "default", "match": {"prefix": "/"}, "route": {
                    "cluster": chain,
                    "timeout": "0s",
                    "retry_policy": retry_policy(derived.release),
                }}],
            }],
        },
        // Istio sets it on every connection manager: an upgrade comes to the filters, and is a
        // tunnel of bytes behind them.
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "use_remote_address": false,
        "normalize_path": true,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        // Istio's default: interim responses pass, and no filter sees them.
        "proxy_100_continue": true,
        "server_name": "istio-envoy",
        "max_request_headers_kb": 96,
        "access_log": local.access_log(),
        "http_filters": http_filters(derived, local, service),
    });
    if !port.is_ready() {
        // Istio has it on every route: one to a cluster that is not there gets 503.
        connection_manager["route_config"]["validate_clusters"] = json!(false);
    }
    manager(&connection_manager)
}

/// The plugins around Istio's own filters, each in its phase.
fn http_filters(derived: &Derived, local: &Local, service: &Service) -> Vec<Value> {
    let plugins = |from: Phase, to: Phase| {
        let plugins =
            derived.plugins.iter().filter(move |plugin| (from..=to).contains(&plugin.phase));
        let plugins = plugins.filter(|plugin| {
            plugin.hosts.as_ref().is_none_or(|hosts| hosts.contains(&service.host))
        });
        plugins.map(move |plugin| http_filter(plugin, local))
    };
    let mut filters: Vec<Value> = plugins(Phase::Authn, Phase::Authz).collect();
    filters.extend([true, false].into_iter().filter_map(|denies| authorization(derived, denies)));
    for name in ["fault", "cors"] {
        let kind = if name == "fault" { "HTTPFault" } else { "Cors" };
        filters.push(json!({
            "name": format!("envoy.filters.http.{name}"),
            "typed_config": {
                "@type": format!(
                    "type.googleapis.com/envoy.extensions.filters.http.{name}.v3.{kind}",
                ),
            },
        }));
    }
    filters.extend(plugins(Phase::Stats, Phase::Unspecified));
    filters.push(router());
    filters
}

/// Istio's authorization by the identity that `connect_terminate` handed on, the same that this
/// filter reads.
fn authorization(derived: &Derived, denies: bool) -> Option<Value> {
    let mut policies = Map::new();
    for authorization in
        derived.authorizations.iter().filter(|authorization| authorization.denies == denies)
    {
        for (index, namespaces) in authorization.rules.iter().enumerate() {
            let principals: Vec<Value> = namespaces
                .iter()
                .map(|namespace| {
                    let regex = format!(".*/ns/{namespace}/.*");
                    json!({
                        "filter_state": {
                            "key": "io.istio.peer_principal",
                            "string_match": {"safe_regex": {"regex": regex}},
                        },
                    })
                })
                .collect();
            let policy = json!({"permissions": [{"any": true}], "principals": principals});
            policies.insert(format!("{}-rule[{index}]", authorization.name), policy);
        }
    }
    let action = if denies { "DENY" } else { "ALLOW" };
    let rules = json!({"action": action, "policies": policies});
    (!policies.is_empty()).then(|| {
        json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": {"@type": RBAC, "rules": rules},
        })
    })
}

fn http_filter(plugin: &Plugin, local: &Local) -> Value {
    json!({
        "name": plugin.filter,
        "config_discovery": {
            "config_source": subscription(&local.updates(&format!("{}.json", plugin.delivered()))),
            "type_urls": [WASM, RBAC],
        },
    })
}

/// Istio's default.
fn retry_policy(release: Release) -> Value {
    if release < Release::V1_30 {
        // Where the connection to the origin was gone before any of the request was sent.
        return json!({"retry_on": "reset-before-request", "num_retries": 2});
    }
    json!({
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
        "host_selection_retry_max_attempts": "5",
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            },
        }],
    })
}

fn manager(config: &Value) -> Value {
    let mut typed = config.clone();
    typed["@type"] = json!(
        "type.googleapis.com/\
         envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    );
    json!({"name": MANAGER, "typed_config": typed})
}

fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    })
}
