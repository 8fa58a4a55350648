//! The outermost layer: the compiled wasm in a real Envoy, with requests over HBONE.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{Case, Layer, Scenario};
use super::observed::{Observed, Reached, audit_records, short};
use super::run::Runner;
use crate::envoy::{Waypoint, WaypointOptions};
use crate::http1::{Headers, Request};
use crate::origin::{Mode, Origin, Script};
use crate::pki::{Pki, San};

/// The body that the origin answers with.
const BODY: &str = "Keep it logically awesome.";

/// What Envoy puts before the names of the filter's metrics.
const PREFIX: &str = "wasmcustom.";

/// Runs scenarios in an Envoy of their own each, with an origin that answers as the case says.
#[derive(Debug)]
pub struct EnvoyRunner {
    pki: Arc<Pki>,
    origin: Origin,
    runtime: tokio::runtime::Runtime,
    waypoint: Option<Waypoint>,
    logged: usize,
}

impl EnvoyRunner {
    /// A runner with an origin of its own.
    ///
    /// # Errors
    /// If the origin cannot listen.
    pub fn new() -> std::io::Result<Self> {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { pki, origin, runtime, waypoint: None, logged: 0 })
    }

    fn counters(waypoint: &Waypoint) -> Result<BTreeMap<String, u64>, String> {
        let stats = waypoint.stats(PREFIX).map_err(|error| format!("no stats: {error}"))?;
        Ok(stats
            .into_iter()
            .map(|(name, value)| (name.strip_prefix(PREFIX).unwrap_or(&name).to_owned(), value))
            .collect())
    }
}

impl Runner for EnvoyRunner {
    fn layer(&self) -> Layer {
        Layer::Envoy
    }

    fn start(&mut self, scenario: &Scenario) -> Result<(), String> {
        self.waypoint = None;
        let mut options = WaypointOptions::new(&self.pki, self.origin.port())
            .plugin_configuration(scenario.config.to_string())
            .normalize_path(scenario.normalize_path);
        for case in &scenario.cases {
            options = options.service(&case.destination());
        }
        self.waypoint = Some(Waypoint::start(options).map_err(|error| error.to_string())?);
        self.logged = 0;
        Ok(())
    }

    fn run(&mut self, _scenario: &Scenario, case: &Case) -> Result<Observed, String> {
        let waypoint = self.waypoint.as_ref().ok_or("no configuration is in force")?;
        let script = Script {
            status: case.origin.status,
            headers: case.origin.headers.clone(),
            body: BODY.to_owned(),
            ..Script::default()
        };
        self.origin.script(script);
        self.origin.take_requests();
        let counting = !case.expect.counters.is_empty();
        if counting {
            std::thread::sleep(TOLD);
        }
        let before = Self::counters(waypoint)?;

        let client = match case.caller.certificate() {
            None => waypoint.client_without_certificate(),
            Some(certificate) => {
                let uris = certificate.uris.iter().map(|uri| San::Uri(uri.clone()));
                let names: Vec<San> =
                    uris.chain(certificate.dns.iter().map(|name| San::Dns(name.clone()))).collect();
                waypoint.client(&self.pki.caller_with(&names))
            }
        };
        let vip = waypoint.vip(&case.destination());
        let response = self
            .runtime
            .block_on(client.request(&vip, &request(case)))
            .map_err(|error| error.to_string())?;

        // The access log's entry comes when the request is over, and so after whatever the filter
        // logged of it.
        let ended = waypoint.access_log_length() > self.logged
            || await_that(|| waypoint.access_log_length() > self.logged);
        if !ended {
            return Err("the access log has no entry of this request".to_owned());
        }
        self.logged = waypoint.access_log_length();
        let expected = case
            .expect
            .audit
            .as_ref()
            .is_some_and(|audit| matches!(audit, super::AuditExpectation::Record(_)));
        let id = response_id(case);
        let own = || -> Vec<serde_json::Value> {
            let lines = waypoint.audit_lines();
            let records = audit_records(lines.iter().map(String::as_str));
            records
                .into_iter()
                .filter(|record| {
                    record.get("requestId").and_then(|found| found.as_str()) == Some(&id)
                })
                .collect()
        };
        if expected {
            await_that(|| !own().is_empty());
        }
        if counting {
            std::thread::sleep(TOLD);
        }
        let after = Self::counters(waypoint)?;
        let grown = after.into_iter().map(|(name, value)| {
            let earlier = before.get(&name).copied().unwrap_or(0);
            (short(&name), value - earlier)
        });
        Ok(Observed {
            status: response.status,
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
            audit: Some(own()),
            counters: Some(grown.collect()),
        })
    }
}

/// The request ID that a case's request carries, so that its audit record can be told from others.
fn response_id(case: &Case) -> String {
    let given =
        case.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    given.map_or_else(
        || format!("case-{}", case.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
        |(_, value)| value.clone(),
    )
}

fn request(case: &Case) -> Request {
    let spec = &case.request;
    let mut request = Request::new(&spec.method, &spec.path);
    if let Some(host) = &spec.host {
        request = request.header("Host", host);
    }
    for (name, value) in &spec.headers {
        request = request.header(name, value);
    }
    if !spec.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-request-id")) {
        request = request.header("x-request-id", response_id(case));
    }
    request.body(&spec.body)
}

fn plain(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .0
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).to_lowercase(), value.clone()))
        .collect()
}

/// Waits up to five seconds for something to become true.
/// After this time the filter has told its counters: a little more than its timer's period.
const TOLD: Duration = Duration::from_millis(350);

fn await_that(holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
