//! The layer in between: the compiled filter in the emulated host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use egressctl::cases::{
    Case, Layer, Observed, Reached, Step, Suite, Update, audit_records, short_counter,
};

use super::run::Runner;
use crate::host::{
    Headers, HostOptions, LogLevel, Module, Request, Response, Shared, StreamResult, Vm,
};

/// The filter state that holds the caller's own address.
const REMOTE_IP: &str = "envoy.filters.listener.original_dst.remote_ip";
/// The most times that a filter's timer runs while the clock moves forward.
const MAX_TICKS: u128 = 10_000;

/// Runs cases in the emulated host, with a VM for each worker.
#[derive(Debug)]
pub struct WasmRunner {
    module: Module,
    workers: Vec<Vm>,
    shared: Shared,
    /// The time in all VMs, since the Unix epoch.
    now: Duration,
}

impl WasmRunner {
    /// A runner of this module.
    #[must_use]
    pub fn new(module: Module) -> Self {
        Self { module, workers: Vec::new(), shared: Shared::default(), now: Duration::ZERO }
    }

    /// Gives every worker a configuration. Inside, what the workers that refuse it have logged.
    fn configure(&self, config: &str) -> Result<(), Vec<String>> {
        let refusals: Vec<String> = self
            .workers
            .iter()
            .map(|vm| vm.configure(config))
            .filter(|configured| !configured.accepted)
            .flat_map(|configured| configured.logs)
            .map(|log| log.text)
            .collect();
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }
}

impl Runner for WasmRunner {
    fn layer(&self) -> Layer {
        Layer::Wasm
    }

    fn start(&mut self, suite: &Suite, cases: &[&Case]) -> Result<(), String> {
        if cases.iter().any(|case| !case.services.is_empty()) {
            return Err("this host delivers no answers of services: leave out `wasm`".to_owned());
        }
        self.shared = Shared::default();
        let mut options = HostOptions { shared: self.shared.clone(), ..HostOptions::default() };
        if let Some(clock) = suite.clock {
            options.now = nanoseconds(clock);
        }
        self.now = Duration::from_nanos(options.now);
        let worker = |_| Vm::new(&self.module, options.clone()).map_err(|error| error.to_string());
        self.workers = (0..suite.workers).map(worker).collect::<Result<_, _>>()?;
        self.configure(&suite.config.to_string())
            .map_err(|logs| format!("the configuration is refused: {}", logs.join(" | ")))
    }

    fn update(&mut self, update: &Update) -> Result<bool, String> {
        Ok(self.configure(&update.config.to_string()).is_ok())
    }

    fn advance(&mut self, time: Duration) -> Result<(), String> {
        self.now += time;
        for vm in &self.workers {
            vm.set_time(nanoseconds(self.now));
            let period = u128::from(vm.tick_period().unwrap_or(0));
            let ticks = time.as_millis().checked_div(period).unwrap_or(0);
            (0..ticks.min(MAX_TICKS)).for_each(|_| vm.tick());
        }
        Ok(())
    }

    fn run(&mut self, suite: &Suite, _case: &Case, step: &Step) -> Result<Observed, String> {
        let vm = self.workers.get(step.worker).ok_or("no configuration is in force")?;
        let before = self.shared.counters();
        let now = i64::try_from(nanoseconds(self.now)).unwrap_or(i64::MAX);
        let request = request(suite, step)?.property(&["request", "time"], now);
        let result = vm.stream(request).run(response(step));
        // The filter tells its counters by its timer.
        vm.tick();
        let grown = self.shared.counters().into_iter().map(|(name, value)| {
            let earlier = before.get(&name).copied().unwrap_or(0);
            (short_counter(&name), value - earlier)
        });
        match &result.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(observed(&result, grown.collect())),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn request(suite: &Suite, step: &Step) -> Result<Request, String> {
    let given = &step.request;
    let path = given.path.split('?').next().unwrap_or_default();
    let touched = path.contains(['\\', '%'])
        || path.split('/').any(|segment| segment == "." || segment == "..");
    if suite.normalize_path && touched {
        return Err(
            "this host does not normalise paths: set `normalizePath: false`, or leave out `wasm`"
                .to_owned(),
        );
    }
    let host = given
        .host
        .as_ref()
        .ok_or("a request without a host ends in Envoy's codec: leave out `wasm`")?;
    let mut request = Request::new(&given.method, host, &given.path)
        .body(&given.body)
        .property(&["request", "protocol"], given.version.as_str());
    if let Some(destination) = &step.destination {
        let service = format!("inbound-vip|80|http|{destination}");
        request = request
            .property(&["xds", "filter_chain_name"], service.as_str())
            .property(&["xds", "cluster_name"], service.as_str());
    }
    if let Some(address) = step.source_address.as_ref().and_then(|given| given.parse().ok()) {
        let address: SocketAddr = address;
        request = request
            .property(&["filter_state", REMOTE_IP, "ip"], address.ip().to_string().as_str())
            .property(&["filter_state", REMOTE_IP, "port"], i64::from(address.port()));
    }
    if let Some(address) = &step.destination_address {
        request = request.property(&["destination", "address"], address.as_str());
    }
    if let Some(principal) = step.caller.principal() {
        request = request.peer_principal(principal);
    }
    for (name, value) in &given.headers {
        request = request.header(name, value);
    }
    Ok(request)
}

fn response(step: &Step) -> Response {
    let body = if step.request.method == "HEAD" { "" } else { &step.origin.body };
    let mut response = Response::new(step.origin.status).body(body);
    for (name, value) in &step.origin.headers {
        response = response.header(name, value);
    }
    response
}

fn observed(result: &StreamResult, counters: BTreeMap<String, u64>) -> Observed {
    let response = result.response_headers.clone().unwrap_or_else(Headers::response);
    let reached = result.local_response.is_none();
    let text = |name: &str| result.request_headers.text(name).unwrap_or_default();
    let upstream = Reached {
        method: text(":method"),
        host: text(":authority"),
        path: text(":path"),
        headers: plain(&result.request_headers),
    };
    let info = result.logs.iter().filter(|log| log.level >= LogLevel::Info);
    Observed {
        status: response.text(":status").and_then(|text| text.parse().ok()),
        body: result.response_body.clone(),
        headers: plain(&response),
        upstream: reached.then_some(upstream),
        decision: None,
        errors: None,
        audit: Some(audit_records(info.map(|log| log.text.as_str()))),
        counters: Some(counters),
    }
}

/// The lines without the pseudo headers.
fn plain(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let lines = headers.lines().iter().filter(|(name, _)| !name.starts_with(b":"));
    lines.map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.clone())).collect()
}
