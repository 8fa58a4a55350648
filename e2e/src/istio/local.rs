//! All that differs between the Envoy that runs here and the one that istiod would configure in a
//! cluster.
//!
//! In a cluster, and here:
//!
//! - the mesh's certificates, from istiod: files below [`Local::folder`].
//! - the authorities that the system trusts: the stand-in origin's, or the system's with
//!   [`Origins::Real`].
//! - pods, and ztunnel on their nodes: a listener for each pod and service, which plays ztunnel.
//! - addresses that istiod gives to services: 240.240.0.1 and so on.
//! - the waypoint's port 15008 on all addresses: a port of 127.0.0.1.
//! - the origins' addresses from DNS: the stand-in's port on 127.0.0.1, or DNS with
//!   [`Origins::Real`].
//! - the module that the agent fetches from `url`: the file [`Local::wasm`].
//! - updates over ADS from istiod, and Secrets over its SDS: updates from files in
//!   [`Local::folder`].
//! - a cluster that waits for a Secret that istiod does not serve, or the one of before: no
//!   cluster.
//! - access log as Telemetry says: on, to a file, with the filter's own fields, unless
//!   [`Local::logs_requests`] says no.
//! - principals in filter state as `istio.hashable_string` (since Istio 1.29.2): as
//!   `envoy.hashable_string`, which is the same, or for a release before as `envoy.string`.
//! - headers of at most 60 KiB: 96, so that requests with more than Istio lets in are tried too.
//! - the chains `direct-http` and `direct-tcp`, for pods' own addresses: none: such an address is
//!   refused.
//! - filters for Istio's statistics and for the peers' metadata: none.
//! - Istio's own tags of statistics, and its list of prefixes: of the tags those that the Gateway
//!   names, and all statistics.
//! - a worker for each core: [`Local::workers`]: mostly one, so that an update is in force
//!   everywhere or nowhere.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Why a derived waypoint cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No stand-in listens on a port of an origin.
    #[error(
        "no stand-in plays port {port} of `{host}`: the stand-ins speak TLS as port 443; has \
         `targetPort: 443` been left out?"
    )]
    NoStandIn {
        /// The origin.
        host: String,
        /// Its port.
        port: u16,
    },
    /// There are more pods or services than ports.
    #[error(
        "no port is left for `{caller}` to reach service number {route}: give `Ports::pods` more"
    )]
    NoPort {
        /// The pod.
        caller: String,
        /// The place of the service's port among all.
        route: usize,
    },
}

/// Where the origins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// A stand-in for all of them, which speaks TLS on this port of 127.0.0.1.
    StandIn(u16),
    /// The real ones, whose certificates these authorities have signed.
    Real(PathBuf),
}

/// The ports of 127.0.0.1 that Envoy listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The waypoint's, where HBONE is terminated.
    pub hbone: u16,
    /// Envoy's admin interface.
    pub admin: u16,
    /// For each pod, where it reaches each port of each service; none at all where pods come
    /// through HBONE alone.
    pub pods: Vec<Vec<u16>>,
}

/// The local parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Where certificates, updates and logs are.
    pub folder: PathBuf,
    /// The compiled filter.
    pub wasm: PathBuf,
    /// The origins.
    pub origins: Origins,
    /// The ports.
    pub ports: Ports,
    /// How many workers Envoy has; with several, an update is in force on some before it is on
    /// others.
    pub workers: u32,
    /// Whether requests are logged.
    pub logs_requests: bool,
}

impl Local {
    /// A file of the public key infrastructure.
    pub(super) fn pki(&self, name: &str) -> PathBuf {
        self.folder.join("pki").join(name)
    }

    /// A certificate with its key, as Envoy is told of it.
    pub(super) fn certificate(&self, name: &str) -> Value {
        let file = |ending: &str| json!({"filename": self.pki(&format!("{name}.{ending}"))});
        json!({"certificate_chain": file("pem"), "private_key": file("key")})
    }

    /// The authorities that origins' certificates are checked against.
    pub(super) fn origin_authorities(&self) -> PathBuf {
        match &self.origins {
            Origins::StandIn(_) => self.pki("origin-ca.pem"),
            Origins::Real(file) => file.clone(),
        }
    }

    /// Where an origin's port is reached.
    pub(super) fn origin_address(&self, host: &str, port: u16) -> Result<Value, LocalError> {
        match self.origins {
            Origins::Real(_) => Ok(socket_address(host, port)),
            Origins::StandIn(tls) if port == 443 => Ok(socket_address("127.0.0.1", tls)),
            Origins::StandIn(_) => Err(LocalError::NoStandIn { host: host.to_owned(), port }),
        }
    }

    /// The port on which a pod reaches a port of a service.
    pub(super) fn pod_port(
        &self,
        caller: usize,
        name: &str,
        route: usize,
    ) -> Result<u16, LocalError> {
        let port = self.ports.pods.get(caller).and_then(|ports| ports.get(route)).copied();
        port.ok_or_else(|| LocalError::NoPort { caller: name.to_owned(), route })
    }

    /// The file by which a kind of update comes.
    pub(super) fn updates(&self, name: &str) -> PathBuf {
        self.folder.join("updates").join(name)
    }

    /// The log of the requests to services, which tells of the filter's decisions.
    pub(super) fn access_log(&self) -> Value {
        if !self.logs_requests {
            return json!([]);
        }
        let filter_state = |key: &str| format!("%FILTER_STATE({key}:PLAIN)%");
        json!([{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/\
                          envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": self.access_log_file(),
                "log_format": {"json_format": {
                    "method": "%REQ(:METHOD)%",
                    "authority": "%REQ(:AUTHORITY)%",
                    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                    "response_code": "%RESPONSE_CODE%",
                    "response_code_details": "%RESPONSE_CODE_DETAILS%",
                    "peer_principal": filter_state("io.istio.peer_principal"),
                    "local_principal": filter_state("io.istio.local_principal"),
                    "local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
                    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
                    "egress_caller": filter_state("wasm.egress_caller"),
                    "egress_decision": filter_state("wasm.egress_decision"),
                    "egress_policy": filter_state("wasm.egress_policy"),
                }},
            },
        }])
    }

    /// Where that log is.
    pub(super) fn access_log_file(&self) -> PathBuf {
        self.folder.join("access.log")
    }
}

/// The address that a service is given, by its place.
pub(super) fn vip(service: usize) -> Ipv4Addr {
    let offset = u32::try_from(service + 1).unwrap_or(u32::MAX);
    Ipv4Addr::from(u32::from(Ipv4Addr::new(240, 240, 0, 0)).saturating_add(offset))
}

pub(super) fn socket_address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// A subscription to a file, which Envoy reads anew when another is moved into its place.
pub(super) fn subscription(file: &Path) -> Value {
    // Istio too lets a listener wait for its plugins for as long as it takes.
    json!({
        "path_config_source": {"path": file},
        "initial_fetch_timeout": "0s",
        "resource_api_version": "V3",
    })
}
