//! The Envoys that are compared: the chain of a waypoint's service behind a plain listener, with
//! one filter or another in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::BenchError;
use e2e::ecds::PLUGIN;
use e2e::envoy::{Configuration, EnvoyProcess, Launch, speak_http2, workspace_root};
use e2e::ports;

/// The waypoint's own identity, as Istio's filter chain writes it.
const WAYPOINT: &str = "spiffe://cluster.local/ns/egress-direct/sa/egress";

/// The name here of an Envoy's first thread, which loads configurations before the workers do.
pub(super) const MAIN: &str = "main thread";

/// The cluster of the service that filters may ask over HTTP.
pub(super) const SERVICE: &str = "service";
/// The cluster of the authorization service, which speaks gRPC.
pub(super) const AUTHORIZER: &str = "authorizer";
/// The cluster of the rate limit service, which speaks gRPC.
pub(super) const LIMITER: &str = "limiter";

/// How many times other ports are tried.
const ATTEMPTS: usize = 5;

/// A module with its configuration.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) module: PathBuf,
    pub(super) configuration: String,
}

impl Plugin {
    /// `envoy.yaml`'s own wasm filter with this module and configuration.
    pub(super) fn typed_config(&self) -> Result<Value, BenchError> {
        let mut chain = chain()?;
        let mut config =
            chain["filters"][0]["typed_config"]["http_filters"][0]["typed_config"].take();
        config["config"]["vm_config"]["code"]["local"]["filename"] = json!(self.module);
        config["config"]["configuration"]["value"] = json!(self.configuration);
        Ok(config)
    }
}

/// How an Envoy is set up.
#[derive(Debug, Clone)]
pub(super) struct Setup<'a> {
    pub(super) name: &'a str,
    pub(super) filters: Vec<Value>,
    /// The SPIFFE ID that every request comes with.
    pub(super) caller: &'a str,
    pub(super) workers: u32,
    /// What the route does; it answers 200 where this is left out.
    pub(super) route: Option<Value>,
    /// The services that filters may ask: names of clusters, and ports.
    pub(super) services: &'a [(&'static str, u16)],
}

/// A running Envoy.
#[derive(Debug)]
pub(super) struct Running {
    process: EnvoyProcess,
    pub(super) address: SocketAddr,
    /// The time from its start until it served.
    pub(super) start: Duration,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts an Envoy and waits until it serves.
    pub(super) fn start(setup: &Setup<'_>) -> Result<Self, BenchError> {
        let parent = workspace_root().join("target/e2e");
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?;
        let mut attempt = 1;
        loop {
            let free = ports::free(2)?;
            let (port, admin_port) = (free[0], free[1]);
            let configuration = folder.path().join("envoy.json");
            std::fs::write(&configuration, bootstrap(setup, port, admin_port)?.to_string())?;
            let launch = Launch {
                configuration,
                working_directory: workspace_root(),
                log: folder.path().join("envoy.log"),
                admin_port,
                workers: setup.workers,
                environment: Vec::new(),
                log_levels: ["--log-level", "info"].map(str::to_owned).to_vec(),
                remove_if_orphaned: Some(folder.path().to_path_buf()),
            };
            let before = Instant::now();
            match EnvoyProcess::start(&launch) {
                Ok(process) => {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    return Ok(Self { process, address, start: before.elapsed(), _folder: folder });
                }
                Err(error) if attempt < ATTEMPTS && error.is_taken_port() => attempt += 1,
                Err(source) => {
                    return Err(BenchError::Start { name: setup.name.to_owned(), source });
                }
            }
        }
    }

    /// The processor time of each thread.
    pub(super) fn threads(&self) -> std::io::Result<Vec<(String, Duration)>> {
        threads(&self.process)
    }

    /// The processor time of all threads.
    pub(super) fn processor_time(&self) -> std::io::Result<Duration> {
        processor_time(&self.process)
    }

    pub(super) fn resident_bytes(&self) -> std::io::Result<u64> {
        self.process.resident_bytes()
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        self.process.log_lines()
    }
}

/// The processor time of each thread, by the thread's name: to the nanosecond where the kernel
/// keeps it. The first thread is [`MAIN`], since others may have no name of their own.
fn threads(process: &EnvoyProcess) -> std::io::Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", process.pid()))? {
        let task = task?;
        let main = task.file_name().to_string_lossy() == process.pid().to_string();
        let task = task.path();
        // A thread that ends meanwhile is skipped.
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
        let Ok(text) = std::fs::read_to_string(task.join("schedstat")) else { continue };
        let Some(nanoseconds) = text.split_whitespace().next().and_then(|field| field.parse().ok())
        else {
            continue;
        };
        let name = if main { MAIN } else { name.trim() };
        threads.push((name.to_owned(), Duration::from_nanos(nanoseconds)));
    }
    Ok(threads)
}

/// The processor time of all threads of an Envoy.
pub(super) fn processor_time(process: &EnvoyProcess) -> std::io::Result<Duration> {
    let sum = threads(process)?.iter().map(|(_, time)| *time).sum();
    // A kernel without scheduler statistics has no such file, or zeros in it.
    if sum == Duration::ZERO { process.cpu_time() } else { Ok(sum) }
}

/// The filter chain of api.github.com in `envoy.yaml`.
fn chain() -> Result<Value, BenchError> {
    let mut configuration = Configuration::load(&workspace_root().join("envoy.yaml"))
        .map_err(|error| BenchError::other("envoy.yaml", error))?;
    let listeners = configuration.value_mut()["static_resources"]["listeners"].as_array_mut();
    let internal =
        listeners.into_iter().flatten().find(|listener| listener["name"] == "main_internal");
    let chain = internal.map_or(Value::Null, |listener| listener["filter_chains"][0].take());
    let filter = &chain["filters"][0]["typed_config"]["http_filters"][0]["name"];
    BenchError::check(
        "envoy.yaml",
        "the first HTTP filter of the first chain of `main_internal`",
        &json!(PLUGIN),
        filter,
    )?;
    Ok(chain)
}

/// A plain listener before that chain, whose route answers by itself: encrypting HBONE would cost
/// several times what is to be measured, and so would an origin. The caller's identity is put where
/// HBONE would put it, by the same filter in all.
fn bootstrap(setup: &Setup<'_>, port: u16, admin_port: u16) -> Result<Value, BenchError> {
    let mut chain = chain()?;
    let manager = &mut chain["filters"][0]["typed_config"];
    if let Some(fields) = manager.as_object_mut() {
        fields.remove("access_log");
    }
    let answer = json!({"status": 200, "body": {"inline_string": "ok"}});
    let told = |name: &str, value: &str| {
        json!({
            "header": {"key": name, "value": value},
            "keep_empty_value": true,
        })
    };
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
        // For the checks before anything is measured: what the filter made of the request's
        // headers.
        {
            "name": "checked",
            "match": {"prefix": "/", "headers": [{"name": "x-check", "present_match": true}]},
            "direct_response": answer,
            "response_headers_to_add": [
                told("x-seen-caller", "%REQ(X-Caller-Identity)%"),
                told("x-seen-forwarded", "%REQ(X-Forwarded-By)%"),
                told("x-seen-debug", "%REQ(X-Internal-Debug)%"),
            ],
        },
        {"name": "default", "match": {"prefix": "/"}, "direct_response": answer},
    ]);
    if let Some(mut route) = setup.route.clone() {
        route["match"] = json!({"prefix": "/"});
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([route]);
    }
    let identity = json!({
        "name": "connect_authority",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [
                {
                    "object_key": "io.istio.peer_principal",
                    "factory_key": "envoy.string",
                    "format_string": {"text_format_source": {"inline_string": setup.caller}},
                },
                {
                    "object_key": "io.istio.local_principal",
                    "factory_key": "envoy.string",
                    "format_string": {"text_format_source": {"inline_string": WAYPOINT}},
                },
            ],
        },
    });
    let router = manager["http_filters"]
        .as_array()
        .and_then(|filters| filters.last().cloned())
        .unwrap_or_default();
    let mut filters = vec![identity];
    filters.extend(setup.filters.iter().cloned());
    filters.push(router);
    manager["http_filters"] = Value::Array(filters);
    let cluster = |(name, port): &(&str, u16)| {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        let endpoints = json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]);
        let mut cluster = json!({
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        });
        if *name != SERVICE {
            speak_http2(&mut cluster);
        }
        cluster
    };
    let clusters: Vec<Value> = setup.services.iter().map(cluster).collect();
    Ok(json!({
        "node": {"id": "bench", "cluster": "bench"},
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}},
        },
        "static_resources": {
            "clusters": clusters,
            "listeners": [{
                "name": "measured",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [chain],
            }],
            // For Envoy's own filter of credentials.
            "secrets": [{
                "name": "credential",
                "generic_secret": {"secret": {"inline_string": "the-credential"}},
            }],
        },
    }))
}
