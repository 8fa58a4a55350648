//! The outermost layer: the compiled filter in a real Envoy, with requests over HBONE.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egressctl::cases::{
    AuditExpectation, Caller, Case, Expect, Layer, Observed, Reached, Step, Suite, Update,
    audit_records, short_counter,
};

use super::run::Runner;
use super::services::{self, CutOff, NextDelivery};
use crate::ecds::{PLUGIN, PluginFile};
use crate::envoy::{Waypoint, WaypointOptions};
use crate::http1::{Headers, Request, Response};
use crate::origin::{Mode, Origin, Reaction, Script, Service, Wait};
use crate::pki::{Pki, San};
use crate::tokens;

/// What Envoy puts before the names of the filter's metrics.
const PREFIX: &str = "wasmcustom.";
/// After this time the filter has told its counters: a little more than its timer's period.
const TOLD: Duration = Duration::from_millis(350);
/// After this time every worker has the configuration that the main thread has accepted.
const SPREAD: Duration = Duration::from_millis(500);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The beginning of an answer.
const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n.";
/// The longest that a case may wait in real time.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Runs cases in Envoys of their own, with an origin that answers as the case says.
#[derive(Debug)]
pub struct EnvoyRunner {
    module: PathBuf,
    pki: Arc<Pki>,
    origin: Origin,
    runtime: tokio::runtime::Runtime,
    waypoint: Option<Waypoint>,
    /// The services that the waypoint's cases name, by their clusters.
    services: BTreeMap<String, Service>,
    /// The case whose answers the services give.
    case: Option<String>,
    /// Where the waypoint reads its configuration, in cases that update it.
    plugin: Option<PluginFile>,
    logged: usize,
    /// How many requests were sent, for IDs.
    sent: usize,
}

impl EnvoyRunner {
    /// A runner of this module, with an origin of its own.
    ///
    /// # Errors
    /// If the origin cannot listen.
    pub fn new(module: impl Into<PathBuf>) -> std::io::Result<Self> {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            module: module.into(),
            pki,
            origin,
            runtime,
            waypoint: None,
            services: BTreeMap::new(),
            case: None,
            plugin: None,
            logged: 0,
            sent: 0,
        })
    }

    /// The address that a caller of this destination dials, while a suite is being run.
    #[must_use]
    pub fn dialled(&self, destination: &str) -> Option<String> {
        self.waypoint.as_ref().map(|waypoint| waypoint.vip(destination))
    }

    fn counters(waypoint: &Waypoint) -> Result<BTreeMap<String, u64>, String> {
        let stats = waypoint.stats(PREFIX).map_err(|error| format!("no stats: {error}"))?;
        Ok(stats
            .into_iter()
            .map(|(name, value)| (name.strip_prefix(PREFIX).unwrap_or(&name).to_owned(), value))
            .collect())
    }

    /// How many configurations were accepted, and how many rejected.
    fn updates(waypoint: &Waypoint) -> Option<(u64, u64)> {
        let prefix = format!("extension_config_discovery.http_filter.{PLUGIN}.");
        let stats = waypoint.stats(&prefix).ok()?;
        let of = |name: &str| stats.get(&format!("{prefix}{name}")).copied();
        of("update_success").zip(of("update_rejected"))
    }

    /// Sends a step's request with this ID, as the caller that the step names.
    fn send(&self, waypoint: &Waypoint, step: &Step, id: &str) -> Result<Response, String> {
        let client = match &step.caller {
            Caller::Anonymous => waypoint.client_without_certificate(),
            Caller::Certified(certificate) => {
                let uris = certificate.uris.iter().map(|uri| San::Uri(uri.clone()));
                let names: Vec<San> =
                    uris.chain(certificate.dns.iter().map(|name| San::Dns(name.clone()))).collect();
                waypoint.client(&self.pki.caller_with(&names))
            }
        };
        let vip = waypoint.vip(step.destination.as_deref().unwrap_or_default());
        self.runtime
            .block_on(client.request(&vip, &request(step, id)))
            .map_err(|error| error.to_string())
    }
}

/// What a case asks for that this layer does not have.
fn unsupported(suite: &Suite, case: &Case) -> Option<&'static str> {
    let any = |is: fn(&Step) -> bool| case.steps.iter().any(is);
    if suite.clock.is_some() || any(|step| step.time.is_some()) {
        return Some("a real Envoy has the machine's clock");
    }
    if any(|step| step.destination.is_none()) {
        return Some("every address of this waypoint is one of a service");
    }
    if any(|step| step.source_address.is_some() || step.destination_address.is_some()) {
        return Some("the addresses are those of the machine");
    }
    any(|step| step.request.version != "HTTP/1.1").then_some("the client speaks HTTP/1.1")
}

/// A running service for each cluster.
struct Running<'s>(&'s BTreeMap<String, Service>);

impl services::Clusters for Running<'_> {
    fn serve(&self, cluster: &str, next: NextDelivery) {
        let Some(service) = self.0.get(cluster) else { return };
        service.react(move |_| match next() {
            None => Reaction::never(),
            Some((late, Err(CutOff))) => Reaction::cut_off(HALF).after(Wait::For(late)),
            Some((late, Ok(answer))) => {
                Reaction::answer(answer.status, &answer.headers, answer.body).after(Wait::For(late))
            }
        });
    }
}

impl Runner for EnvoyRunner {
    fn layer(&self) -> Layer {
        Layer::Envoy
    }

    fn start(&mut self, suite: &Suite, cases: &[&Case]) -> Result<(), String> {
        self.waypoint = None;
        self.plugin = None;
        self.services.clear();
        self.case = None;
        self.logged = 0;
        if let Some(what) = cases.iter().find_map(|case| unsupported(suite, case)) {
            return Err(format!("{what}: leave out `envoy`"));
        }
        let workers = u32::try_from(suite.workers).map_err(|error| error.to_string())?;
        let mut options = WaypointOptions::new(&self.pki, self.origin.port())
            .wasm(&self.module)
            .normalize_path(suite.normalize_path)
            .workers(workers);
        for (name, value) in &suite.environment {
            options = options.environment(name, value);
        }
        let steps = || cases.iter().flat_map(|case| &case.steps);
        for destination in steps().filter_map(|step| step.destination.as_deref()) {
            options = options.service(destination);
        }
        if steps().any(|step| step.jwt.is_some()) {
            options = options.edit(tokens::verify(&[tokens::ANY]));
        }
        for service in cases.iter().flat_map(|case| &case.services) {
            let name = &service.cluster;
            if !self.services.contains_key(name) {
                let running = Service::start(|_| Reaction::never());
                let running = running.map_err(|error| error.to_string())?;
                options = options.cluster(name, Some(running.port()));
                self.services.insert(name.clone(), running);
            }
        }
        let config = suite.config.to_string();
        if steps().any(|step| step.update.is_some()) {
            let mut plugin = PluginFile::new(&self.module).map_err(|error| error.to_string())?;
            plugin.set_environment(suite.environment.keys());
            plugin.publish(&config).map_err(|error| error.to_string())?;
            options = options.edit(plugin.attach());
            self.plugin = Some(plugin);
        } else {
            options = options.plugin_configuration(config);
        }
        self.waypoint = Some(Waypoint::start(options).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn update(&mut self, update: &Update) -> Result<bool, String> {
        let waypoint = self.waypoint.as_ref().ok_or("no configuration is in force")?;
        let plugin = self.plugin.as_mut().ok_or("this waypoint reads no updates")?;
        let (before, rejected) = Self::updates(waypoint).ok_or("no statistics of updates")?;
        plugin.publish(&update.config.to_string()).map_err(|error| error.to_string())?;
        let now = || Self::updates(waypoint).unwrap_or((before, rejected));
        if !await_that(|| now() != (before, rejected)) {
            return Err("the update was neither accepted nor rejected".to_owned());
        }
        std::thread::sleep(SPREAD);
        Ok(now().0 > before)
    }

    fn advance(&mut self, time: Duration) -> Result<(), String> {
        if time > MAX_WAIT {
            return Err(format!("a real Envoy's clock cannot be moved by {time:?}"));
        }
        std::thread::sleep(time);
        Ok(())
    }

    fn run(&mut self, _suite: &Suite, case: &Case, step: &Step) -> Result<Observed, String> {
        let waypoint = self.waypoint.as_ref().ok_or("no configuration is in force")?;
        self.origin.script(Script {
            status: step.origin.status,
            headers: step.origin.headers.clone(),
            body: step.origin.body.clone(),
            ..Script::default()
        });
        self.origin.take_requests();
        if self.case.as_ref() != Some(&case.name) {
            services::serve(&case.services, &Running(&self.services));
            self.case = Some(case.name.clone());
        }
        let counting = !step.expect.counters.is_empty() || !case.counters.is_empty();
        if counting {
            std::thread::sleep(TOLD);
        }
        let before = Self::counters(waypoint)?;
        self.sent += 1;
        let id = request_id(step, self.sent);
        let response = self.send(waypoint, step, &id)?;

        // The access log's entry comes when the request is over, and so after whatever the filter
        // logged of it.
        let ended = waypoint.access_log_length() > self.logged
            || await_that(|| waypoint.access_log_length() > self.logged);
        if !ended {
            return Err("the access log has no entry of this request".to_owned());
        }
        self.logged = waypoint.access_log_length();
        let own = || records(waypoint, &id);
        if is_recorded(&step.expect) {
            await_that(|| !own().is_empty());
        }
        if counting {
            std::thread::sleep(TOLD);
        }
        let after = Self::counters(waypoint)?;
        let grown = after.into_iter().map(|(name, value)| {
            let earlier = before.get(&name).copied().unwrap_or(0);
            (short_counter(&name), value - earlier)
        });
        Ok(Observed {
            status: Some(response.status),
            body: response.body.clone(),
            headers: plain(&response.headers),
            upstream: self.origin.take_requests().into_iter().next().map(|received| Reached {
                headers: plain(&received.headers)
                    .into_iter()
                    .filter(|(name, _)| name != "host")
                    .collect(),
                method: received.method,
                host: received.host,
                path: received.target,
            }),
            decision: None,
            errors: None,
            audit: Some(own()),
            counters: Some(grown.collect()),
        })
    }
}

/// Whether an audit record is expected.
fn is_recorded(expect: &Expect) -> bool {
    matches!(expect.audit, Some(AuditExpectation::Record(_)))
        || expect.policy.is_some()
        || expect.reason.is_some()
        || expect.shadow.is_some()
}

/// The audit records of the request with this ID.
fn records(waypoint: &Waypoint, id: &str) -> Vec<serde_json::Value> {
    let lines = waypoint.audit_lines();
    let is_own = |record: &serde_json::Value| {
        record.get("requestId").and_then(|found| found.as_str()) == Some(id)
    };
    audit_records(lines.iter().map(String::as_str)).into_iter().filter(is_own).collect()
}

/// The ID that a request carries, so that its audit record can be told from others.
fn request_id(step: &Step, number: usize) -> String {
    let given =
        step.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    given.map_or_else(|| format!("case-{number}"), |(_, value)| value.clone())
}

fn request(step: &Step, id: &str) -> Request {
    let given = &step.request;
    let mut request = Request::new(&given.method, &given.path);
    if let Some(host) = &given.host {
        request = request.header("Host", host);
    }
    for (name, value) in &given.headers {
        request = request.header(name, value);
    }
    if let Some(claims) = &step.jwt {
        let token = tokens::ANY.token(claims);
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if !given.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-request-id")) {
        request = request.header("x-request-id", id);
    }
    request.body(&given.body)
}

fn plain(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .0
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).to_lowercase(), value.clone()))
        .collect()
}

/// Waits for something to become true, and returns whether it has.
fn await_that(holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
