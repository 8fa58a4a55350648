//! From resources to a waypoint, by istiod's rules (Istio 1.27 and later).
//!
//! istiod reports next to nothing: a plugin that is attached nowhere, or a service that stays
//! outside, is simply missing in Envoy. Here each of these is a [`Finding`]. What istiod
//! understands and this derivation does not is an error.

mod authorization;
mod callers;
mod client_certificates;
mod environment;
mod plugins;
mod services;

use serde_json::Value;

use super::resources::{Object, ResourceError, Resources};
use super::spec;

pub use client_certificates::{ClientCertificate, Credential};

/// Istio's default.
pub(super) const TRUST_DOMAIN: &str = "cluster.local";

/// The class of waypoints that are Envoys.
const WAYPOINT_CLASS: &str = "istio-waypoint";

const GATEWAY_API: &str = "gateway.networking.k8s.io";
const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const EXTENSIONS: &str = "extensions.istio.io";

/// The releases of Istio that configure a waypoint differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Istio 1.27 to 1.29.
    V1_27,
    /// Istio 1.30.3 and later, which knows TrafficExtension and makes one of each WasmPlugin, keeps
    /// connections to origins apart by the caller, accepts callers of its own trust domain only,
    /// and retries where no answer has begun.
    V1_30,
}

/// Why no waypoint could be derived.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// A resource could not be understood.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// There is not exactly one waypoint.
    #[error("{0} Gateways of class `istio-waypoint` have been applied; one is needed")]
    Waypoints(
        /// How many there are.
        usize,
    ),
    /// A resource asks for what this derivation does not know how to make.
    #[error("{object}: {message}")]
    Unknown {
        /// The resource.
        object: String,
        /// What it asks for.
        message: String,
    },
}

/// Something that was applied and does not have the effect that it appears to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The resource.
    pub object: String,
    /// What comes of it, and what to do about it.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.message)
    }
}

/// A pod whose connections go through ztunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What it is called here: its namespace, with the pod's name behind it where the namespace has
    /// several.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The URI in its certificate.
    pub spiffe_id: String,
}

/// A service that is reached through the waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The host name.
    pub host: String,
    /// The namespace of the ServiceEntry.
    pub namespace: String,
    /// The name of the ServiceEntry.
    pub name: String,
    /// The ports.
    pub ports: Vec<Port>,
}

/// What is spoken on a port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: a chain with HTTP filters.
    Http,
    /// Anything else: a chain that passes bytes on.
    Tcp,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The port that pods dial.
    pub number: u16,
    /// The port of the origin.
    pub target: u16,
    /// What pods speak.
    pub protocol: Protocol,
    /// Whether the origin is spoken to in HTTP/2, as with `protocol: HTTP2`; pods may speak either
    /// all the same.
    pub http2: bool,
    /// The TLS that the waypoint originates; none means plain text.
    pub tls: Option<UpstreamTls>,
}

impl Port {
    /// Whether Envoy has all that it needs to call the origin.
    pub fn is_ready(&self) -> bool {
        let credential = self.tls.as_ref().and_then(|tls| tls.credential.as_ref());
        credential.is_none_or(|credential| credential.served.is_some())
    }

    /// What Istio calls the port's filter chain and cluster.
    pub fn chain(&self, host: &str) -> String {
        let protocol = match self.protocol {
            Protocol::Http => "http",
            Protocol::Tcp => "tcp",
        };
        format!("inbound-vip|{}|{protocol}|{host}", self.number)
    }
}

/// How the origin is spoken to and what its certificate must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The server name; none means the request's host.
    pub sni: Option<String>,
    /// The names of which the certificate must carry one.
    pub subject_alt_names: Vec<String>,
    /// Whether the certificate must carry the request's host.
    pub auto_san: bool,
    /// Whether the certificate is checked at all.
    pub verified: bool,
    /// The Secret whose client certificate the origin gets, and by whose authorities its own is
    /// checked; none where the waypoint shows none.
    pub credential: Option<Credential>,
}

/// Where in the chain of HTTP filters a plugin runs, in the order of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before Istio's authentication.
    Authn,
    /// After that, before Istio's authorization.
    Authz,
    /// After Istio's own filters, before its statistics.
    Stats,
    /// Last before the router.
    Unspecified,
}

/// What Envoy does when the plugin's VM fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Requests go by.
    Open,
    /// Requests are refused from then on.
    Closed,
    /// The VM is started anew.
    Reload,
}

/// A wasm plugin in a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The name of the HTTP filter and of the extension that istiod delivers.
    pub filter: String,
    /// The plugin's name in logs: namespace and name of the resource.
    pub name: String,
    /// The root context's name.
    pub root_id: String,
    /// Where it runs.
    pub phase: Phase,
    /// Which comes first in a phase: the higher, before those that have none.
    pub priority: Option<i64>,
    /// What happens when it fails.
    pub failure_policy: FailurePolicy,
    /// The configuration that it is given.
    pub configuration: Value,
    /// The environment variables of its VM, each with its value; without one it is that of the
    /// waypoint's own.
    pub environment: Vec<(String, Option<String>)>,
    /// The hosts in whose chains alone it runs; none means all.
    pub hosts: Option<Vec<String>>,
}

impl Plugin {
    /// The names of the policies in its configuration.
    pub fn policies(&self) -> Vec<&str> {
        let policies = self.configuration["policies"].as_array().into_iter().flatten();
        policies.filter_map(|policy| policy["name"].as_str()).collect()
    }

    /// A name for the file by which it is delivered here: that of the filter without slashes.
    pub(super) fn delivered(&self) -> String {
        self.filter.replace('/', ".")
    }
}

/// One of Istio's own authorization policies, of the callers' namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// What Istio calls it in Envoy.
    pub name: String,
    /// Whether it denies; else it allows, and what no such policy allows is denied.
    pub denies: bool,
    /// The namespaces, for each rule.
    pub rules: Vec<Vec<String>>,
}

/// A waypoint with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The release of Istio.
    pub release: Release,
    /// The namespace of the Gateway.
    pub namespace: String,
    /// The name of the Gateway.
    pub name: String,
    /// The URI in the waypoint's certificate.
    pub spiffe_id: String,
    /// The tags that are taken out of the names of statistics, besides Istio's own.
    pub stat_tags: Vec<String>,
    /// The pods that can call.
    pub callers: Vec<Caller>,
    /// The services behind it.
    pub services: Vec<Service>,
    /// The plugins, in the order in which they run.
    pub plugins: Vec<Plugin>,
    /// The variables that the waypoint's pods have from Secrets.
    pub environment: std::collections::BTreeMap<String, String>,
    /// Istio's own authorization, which follows the plugins of phase AUTHZ.
    pub authorizations: Vec<Authorization>,
    /// What was applied to no effect.
    pub findings: Vec<Finding>,
}

impl Derived {
    /// Derives the waypoint that a release of Istio makes of what has been applied.
    ///
    /// # Errors
    /// When there is not one waypoint, or a resource is not understood.
    pub fn new(resources: &Resources, release: Release) -> Result<Self, DeriveError> {
        let gateway = the_waypoint(resources)?;
        let mut findings = Vec::new();
        refuse_unknown_kinds(resources)?;
        let callers = callers::derive(resources, &mut findings)?;
        let services = services::derive(resources, gateway, &mut findings)?;
        let plugins = plugins::derive(resources, release, gateway, &services, &mut findings)?;
        let environment = environment::derive(resources, gateway)?;
        let authorizations = authorization::derive(resources, gateway, &mut findings)?;
        Ok(Self {
            release,
            namespace: gateway.namespace.clone(),
            name: gateway.name.clone(),
            // Istio runs a waypoint under a service account of the Gateway's name.
            spiffe_id: spiffe_id(&gateway.namespace, &gateway.name),
            stat_tags: stat_tags(gateway)?,
            callers,
            services,
            plugins,
            environment,
            authorizations,
            findings,
        })
    }

    /// Each port of each service, with the service's place, in the order of the services.
    pub fn routes(&self) -> impl Iterator<Item = (usize, &Service, &Port)> {
        let services = self.services.iter().enumerate();
        services.flat_map(|(index, service)| {
            service.ports.iter().map(move |port| (index, service, port))
        })
    }
}

fn spiffe_id(namespace: &str, account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}")
}

fn unknown(object: &Object, message: impl Into<String>) -> DeriveError {
    DeriveError::Unknown { object: object.to_string(), message: message.into() }
}

fn finding(object: &Object, message: impl Into<String>) -> Finding {
    Finding { object: object.to_string(), message: message.into() }
}

fn the_waypoint(resources: &Resources) -> Result<&Object, DeriveError> {
    let mut found = Vec::new();
    for object in resources.of_kind(GATEWAY_API, "Gateway") {
        let gateway: spec::Gateway = object.spec()?;
        if gateway.gateway_class_name != WAYPOINT_CLASS {
            continue;
        }
        match &gateway.listeners[..] {
            [listener] if (listener.port, listener.protocol.as_str()) == (15_008, "HBONE") => {
                found.push(object)
            }
            _ => {
                return Err(unknown(
                    object,
                    "a waypoint has one listener, port 15008, protocol `HBONE`",
                ));
            }
        }
    }
    match found[..] {
        [gateway] => Ok(gateway),
        _ => Err(DeriveError::Waypoints(found.len())),
    }
}

/// `extraStatTags` of the ProxyConfig that the Gateway has in an annotation, which istiod puts on
/// the waypoint's pods.
fn stat_tags(gateway: &Object) -> Result<Vec<String>, DeriveError> {
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct ProxyConfig {
        #[serde(default)]
        extra_stat_tags: Vec<String>,
    }
    let Some(text) = gateway.document["metadata"]["annotations"]["proxy.istio.io/config"].as_str()
    else {
        return Ok(Vec::new());
    };
    let config: Result<ProxyConfig, _> = serde_yaml_ng::from_str(text);
    let config =
        config.map_err(|error| unknown(gateway, format!("`proxy.istio.io/config`: {error}")))?;
    Ok(config.extra_stat_tags)
}

/// What is understood here, or bears on no request that reaches the waypoint.
fn refuse_unknown_kinds(resources: &Resources) -> Result<(), DeriveError> {
    for object in resources.all() {
        let known = match object.group.as_str() {
            "" => ["Namespace", "Pod", "ServiceAccount", "ConfigMap", "Secret"]
                .contains(&object.kind.as_str()),
            GATEWAY_API => object.kind == "Gateway",
            NETWORKING => ["ServiceEntry", "DestinationRule"].contains(&object.kind.as_str()),
            EXTENSIONS => ["WasmPlugin", "TrafficExtension"].contains(&object.kind.as_str()),
            SECURITY => object.kind == "AuthorizationPolicy",
            RBAC => ["Role", "RoleBinding"].contains(&object.kind.as_str()),
            // They bear on what may be applied, and on connections that do not reach the waypoint.
            "admissionregistration.k8s.io" => {
                ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
                    .contains(&object.kind.as_str())
            }
            "networking.k8s.io" => object.kind == "NetworkPolicy",
            // What is logged and counted, not what is decided.
            "telemetry.istio.io" => object.kind == "Telemetry",
            _ => false,
        };
        if !known {
            return Err(unknown(
                object,
                "what becomes of this kind is not derived: see `e2e/src/istio/derive.rs`",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
