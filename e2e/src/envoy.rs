//! A local waypoint: a real Envoy, started from the repository's `envoy.yaml` on ports of its own.

mod admin;
mod configuration;
mod process;
mod usage;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::hbone::HboneClient;
use crate::http1::{Connection, Request, Response};
use crate::pki::{Credentials, Pki};
use crate::ports;

pub use crate::checkout::{bodies_wasm, filter_wasm, trapping_wasm, workspace_root};
pub use configuration::{Configuration, ConfigurationError, Pod, Ports, speak_http2};
pub(crate) use process::audit_record;
pub use process::{EnvoyProcess, Guard, Launch, StartError};
pub use watch::PATIENCE;

/// The services of `envoy.yaml`, each with its virtual address; further ones get the addresses that
/// follow.
const SERVICES: [&str; 2] = ["api.github.com", "httpbingo.org"];

/// How many times other ports are tried when some were taken between their choice and their use.
const ATTEMPTS: usize = 5;

type Edit = Box<dyn FnOnce(&mut Value) + Send>;

/// How a waypoint differs from `envoy.yaml`.
pub struct WaypointOptions {
    pki: Arc<Pki>,
    origin_port: u16,
    filter: bool,
    wasm: PathBuf,
    plugin_configuration: Option<String>,
    normalize_path: bool,
    workers: u32,
    services: Vec<String>,
    environment: Vec<(String, String)>,
    log_levels: Vec<String>,
    edits: Vec<Edit>,
}

impl std::fmt::Debug for WaypointOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaypointOptions")
            .field("origin_port", &self.origin_port)
            .field("filter", &self.filter)
            .field("wasm", &self.wasm)
            .field("plugin_configuration", &self.plugin_configuration)
            .field("normalize_path", &self.normalize_path)
            .field("workers", &self.workers)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl WaypointOptions {
    /// A waypoint of this mesh, with the filter and the workshop's policies, whose services all
    /// lead to one origin.
    pub fn new(pki: &Arc<Pki>, origin_port: u16) -> Self {
        Self {
            pki: Arc::clone(pki),
            origin_port,
            filter: true,
            wasm: filter_wasm(),
            plugin_configuration: None,
            normalize_path: true,
            workers: 1,
            services: SERVICES.map(str::to_owned).to_vec(),
            environment: Vec::new(),
            log_levels: ["--log-level", "info"].map(str::to_owned).to_vec(),
            edits: Vec::new(),
        }
    }

    /// Leaves the wasm filter out.
    #[must_use]
    pub fn without_filter(mut self) -> Self {
        self.filter = false;
        self
    }

    /// Runs another module in the filter's place.
    #[must_use]
    pub fn wasm(mut self, path: impl Into<PathBuf>) -> Self {
        self.wasm = path.into();
        self
    }

    /// Gives the filter this configuration: JSON, or any text that is to be refused.
    #[must_use]
    pub fn plugin_configuration(mut self, text: impl Into<String>) -> Self {
        self.plugin_configuration = Some(text.into());
        self
    }

    /// Switches Envoy's own path normalization on or off, so that the filter sees dot segments.
    #[must_use]
    pub fn normalize_path(mut self, on: bool) -> Self {
        self.normalize_path = on;
        self
    }

    /// Sets the number of Envoy's worker threads, which is 1 otherwise.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Adds a variable to Envoy's environment, and gives it to the filter's VM.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the levels of Envoy's log, as Envoy's arguments say them.
    #[must_use]
    pub fn log_levels(mut self, arguments: &[&str]) -> Self {
        self.log_levels = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// Adds a service beside api.github.com and httpbingo.org, with a virtual address, chain and
    /// cluster of its own.
    #[must_use]
    pub fn service(mut self, host: &str) -> Self {
        if !self.services.iter().any(|known| known == host) {
            self.services.push(host.to_owned());
        }
        self
    }

    /// Adds the cluster of a service that the filter calls, in plain HTTP/1.1 on 127.0.0.1; without
    /// a port, one that has no endpoint.
    #[must_use]
    pub fn cluster(self, name: &str, port: Option<u16>) -> Self {
        self.further_cluster(configuration::service_cluster(name, port))
    }

    /// The same for a service of gRPC, which is spoken to in HTTP/2.
    #[must_use]
    pub fn grpc_cluster(self, name: &str, port: Option<u16>) -> Self {
        let mut cluster = configuration::service_cluster(name, port);
        speak_http2(&mut cluster);
        self.further_cluster(cluster)
    }

    fn further_cluster(self, cluster: Value) -> Self {
        self.edit(move |envoy| {
            if let Some(clusters) = envoy["static_resources"]["clusters"].as_array_mut() {
                clusters.push(cluster);
            }
        })
    }

    /// Gives the filter another configuration in the chains of those services for which there is
    /// one.
    #[must_use]
    pub fn configurations(self, of: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        self.edit(move |envoy| configuration::configure_services(envoy, of))
    }

    /// Has the origins of services of these names spoken to in HTTP/2 over TLS.
    #[must_use]
    pub fn http2_origins(self, is_meant: impl Fn(&str) -> bool + Send + 'static) -> Self {
        self.edit(move |envoy| {
            for cluster in
                envoy["static_resources"]["clusters"].as_array_mut().into_iter().flatten()
            {
                if cluster["name"].as_str().is_some_and(&is_meant) {
                    speak_http2(cluster);
                    let tls = &mut cluster["transport_socket"]["typed_config"];
                    tls["common_tls_context"]["alpn_protocols"] = json!(["h2"]);
                }
            }
        })
    }

    /// Changes Envoy's configuration in any other way, as the last step before it is written.
    #[must_use]
    pub fn edit(mut self, edit: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.edits.push(Box::new(edit));
        self
    }
}

/// A running waypoint, which ends when it is dropped or when this process ends.
#[derive(Debug)]
pub struct Waypoint {
    process: EnvoyProcess,
    ports: Ports,
    services: Vec<String>,
    pki: Arc<Pki>,
    folder: tempfile::TempDir,
}

impl Waypoint {
    /// Starts a waypoint and waits until it serves; this blocks for about a second.
    ///
    /// # Errors
    /// [`StartError::Exited`] with Envoy's log when it refuses its configuration, the filter's
    /// among it.
    pub fn start(options: WaypointOptions) -> Result<Self, StartError> {
        let parent = workspace_root().join("target/e2e");
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("waypoint-").tempdir_in(parent)?;
        options.pki.write(&folder.path().join("pki"))?;

        let mut configuration = Configuration::load(&workspace_root().join("envoy.yaml"))?;
        configuration.move_files("target/demo/", folder.path())?;
        if options.filter {
            configuration.set_wasm(&options.wasm)?;
            if !options.environment.is_empty() {
                let names = options.environment.iter().map(|(name, _)| name.as_str());
                configuration.set_environment(&names.collect::<Vec<_>>())?;
            }
        } else {
            configuration.remove_filter()?;
        }
        configuration.set_normalize_path(options.normalize_path)?;
        // Ports are set after everything but the free edits, so that a second attempt only chooses
        // ports again.
        let mut edits = Some(options.edits);
        let mut edited = None;
        for attempt in 1.. {
            let ports = choose_ports(options.origin_port, options.services.len())?;
            let configuration = match &edited {
                None => {
                    let mut configuration = configuration.clone();
                    configuration.add_services(&options.services)?;
                    if let (true, Some(text)) = (options.filter, &options.plugin_configuration) {
                        configuration.set_plugin_configuration(text)?;
                    }
                    for edit in edits.take().unwrap_or_default() {
                        edit(configuration.value_mut());
                    }
                    edited.insert(configuration)
                }
                Some(configuration) => configuration,
            };
            let mut configuration = configuration.clone();
            configuration.set_ports(&ports)?;
            let path = folder.path().join("envoy.json");
            configuration.write(&path)?;
            let launch = Launch {
                configuration: path,
                working_directory: workspace_root(),
                log: folder.path().join("envoy.log"),
                admin_port: ports.admin,
                workers: options.workers,
                environment: options.environment.clone(),
                log_levels: options.log_levels.clone(),
                remove_if_orphaned: Some(folder.path().to_path_buf()),
            };
            match EnvoyProcess::start(&launch) {
                Ok(process) => {
                    return Ok(Self {
                        process,
                        ports,
                        services: options.services,
                        pki: options.pki,
                        folder,
                    });
                }
                Err(error) if attempt < ATTEMPTS && error.is_taken_port() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The process itself.
    pub fn process(&self) -> &EnvoyProcess {
        &self.process
    }

    /// The ports that this waypoint listens on.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Where HBONE is terminated.
    pub fn hbone_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.hbone).into()
    }

    /// The virtual address of a service as a CONNECT names it, such as `240.240.0.1:80`.
    pub fn vip(&self, host: &str) -> String {
        format!("{}:80", configuration::vip(self.index(host)))
    }

    /// An HBONE client that shows these credentials.
    pub fn client(&self, credentials: &Credentials) -> HboneClient {
        HboneClient::new(self.hbone_address(), &self.pki, Some(credentials))
    }

    /// An HBONE client of a mesh workload with this SPIFFE ID.
    pub fn caller(&self, spiffe_id: &str) -> HboneClient {
        self.client(&self.pki.caller(spiffe_id))
    }

    /// An HBONE client that has no certificate.
    pub fn client_without_certificate(&self) -> HboneClient {
        HboneClient::new(self.hbone_address(), &self.pki, None)
    }

    /// Where a pod reaches a service with plain HTTP.
    pub fn pod_address(&self, pod: Pod, host: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.pod(pod)[self.index(host)]).into()
    }

    /// Sends one request as a pod does: plain HTTP to a service, which Envoy wraps in HBONE.
    ///
    /// # Errors
    /// When there was no HTTP/1.1 response in time.
    pub async fn pod_request(
        &self,
        pod: Pod,
        host: &str,
        request: &Request,
    ) -> io::Result<Response> {
        plain_request(self.pod_address(pod, host), request).await
    }

    /// All lines of Envoy's log.
    pub fn log_lines(&self) -> Vec<String> {
        self.process.log_lines()
    }

    /// The filter's audit records as they were logged.
    pub fn audit_lines(&self) -> Vec<String> {
        self.process.audit_lines()
    }

    /// The filter's audit records, parsed.
    pub fn audit_records(&self) -> Vec<Value> {
        self.process.audit_records()
    }

    /// The access log of `main_internal`, parsed: one object for each request that ended.
    pub fn access_log(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many requests have ended.
    pub fn access_log_length(&self) -> usize {
        let bytes = std::fs::read(self.folder.path().join("access.log")).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Waits until an entry of the access log matches, since Envoy writes it a moment after the
    /// response.
    ///
    /// Returns `None` when none came within five seconds.
    pub fn await_access_log(&self, matches: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(entry) = self.access_log().into_iter().find(&matches) {
                return Some(entry);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All counters and gauges whose names begin with the prefix.
    ///
    /// # Errors
    /// When Envoy's admin interface does not answer.
    pub fn stats(&self, prefix: &str) -> io::Result<BTreeMap<String, u64>> {
        self.process.stats(prefix)
    }

    /// The processor time that Envoy has used, in user and kernel mode; only on Linux.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        self.process.cpu_time()
    }

    /// The resident memory of Envoy in bytes; only on Linux.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        self.process.resident_bytes()
    }

    fn index(&self, host: &str) -> usize {
        self.services.iter().position(|known| known == host).unwrap_or_else(|| {
            panic!("this waypoint has no service `{host}`: add it with `WaypointOptions::service`")
        })
    }
}

/// Sends one HTTP/1.1 request over a connection of its own, with a time limit of 15 seconds.
///
/// # Errors
/// When there was no HTTP/1.1 response in time.
pub async fn plain_request(address: SocketAddr, request: &Request) -> io::Result<Response> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Connection::new(stream).request(request).await
    };
    tokio::time::timeout(Duration::from_secs(15), exchange).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "the request hung: no response within 15 s")
    })?
}

fn choose_ports(origin: u16, services: usize) -> io::Result<Ports> {
    let mut free = ports::free(2 + 2 * services)?;
    let team_b = free.split_off(2 + services);
    let team_a = free.split_off(2);
    Ok(Ports { hbone: free[0], admin: free[1], origin, team_a, team_b })
}
