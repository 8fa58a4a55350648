//! The layer in between: the compiled filter in the emulated host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use egressctl::cases::{
    Case, Layer, Observed, Reached, Step, Suite, Update, audit_records, short_counter,
};

use super::run::Runner;
use super::services::{self, CutOff, NextDelivery};
use crate::host::{
    Answer, Clusters, Headers, Host, HostOptions, LogLevel, Module, Request, Response, Stream,
    StreamResult, Worker,
};

/// The filter state that holds the caller's own address.
const REMOTE_IP: &str = "envoy.filters.listener.original_dst.remote_ip";
/// How far the clock moves at a time while a request waits for an answer.
const MOMENT: Duration = Duration::from_millis(10);
/// No request waits longer than this in all: its calls' timeouts have passed before.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Runs cases in the emulated host, with a VM for each worker.
#[derive(Debug)]
pub struct WasmRunner {
    module: Module,
    running: Option<Running>,
}

/// A host with the filter of one suite.
#[derive(Debug)]
struct Running {
    host: Host,
    workers: Vec<Worker>,
    /// The case whose services the clusters are.
    case: Option<String>,
}

impl WasmRunner {
    /// A runner of this module.
    #[must_use]
    pub fn new(module: Module) -> Self {
        Self { module, running: None }
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        self.running.as_mut().ok_or_else(|| "no configuration is in force".to_owned())
    }
}

/// Gives every worker a configuration. Inside, what the workers that refuse it have logged.
fn configure(host: &Host, config: &str) -> Result<(), Vec<String>> {
    let configured = host.configure(config).into_iter();
    let refusals: Vec<String> = configured
        .filter(|configured| !configured.accepted)
        .flat_map(|configured| configured.logs)
        .map(|log| log.text)
        .collect();
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

impl services::Clusters for Clusters {
    fn serve(&self, cluster: &str, next: NextDelivery) {
        Clusters::serve(self, cluster, move |_| {
            let (late, delivered) = next()?;
            let answer = match delivered {
                Err(CutOff) => Answer::CutOff,
                Ok(origin) => {
                    let headers = origin.headers.iter();
                    headers
                        .fold(Answer::http(origin.status), |answer, (name, value)| {
                            answer.header(name, value)
                        })
                        .body(&origin.body)
                }
            };
            Some((late, answer))
        });
    }
}

impl Runner for WasmRunner {
    fn layer(&self) -> Layer {
        Layer::Wasm
    }

    fn start(&mut self, suite: &Suite, _cases: &[&Case]) -> Result<(), String> {
        let env = suite.environment.clone().into_iter().collect();
        let mut options = HostOptions { env, ..HostOptions::default() };
        if let Some(clock) = suite.clock {
            options.now = u64::try_from(clock.as_nanos()).unwrap_or(u64::MAX);
        }
        let host = Host::new(&self.module, options);
        let worker = |_| host.worker().map_err(|error| error.to_string());
        let workers = (0..suite.workers).map(worker).collect::<Result<_, _>>()?;
        let configured = configure(&host, &suite.config.to_string());
        self.running = Some(Running { host, workers, case: None });
        configured.map_err(|logs| format!("the configuration is refused: {}", logs.join(" | ")))
    }

    fn update(&mut self, update: &Update) -> Result<bool, String> {
        Ok(configure(&self.running()?.host, &update.config.to_string()).is_ok())
    }

    fn advance(&mut self, time: Duration) -> Result<(), String> {
        self.running()?.host.advance(time);
        Ok(())
    }

    fn run(&mut self, _suite: &Suite, case: &Case, step: &Step) -> Result<Observed, String> {
        let Running { host, workers, case: current } = self.running()?;
        if current.as_ref() != Some(&case.name) {
            services::serve(&case.services, host.clusters());
            *current = Some(case.name.clone());
        }
        let worker = workers.get(step.worker).ok_or("there is no such worker")?;
        let before = host.shared().counters();
        let now = i64::try_from(worker.vm().time()).unwrap_or(i64::MAX);
        let time = step.time.unwrap_or(now);
        let request = request(step)?.property(&["request", "time"], time);
        let mut stream = worker.request(request);
        await_answers(host, &stream)?;
        stream.on_response(response(step));
        await_answers(host, &stream)?;
        let result = stream.finish();
        // The filter tells its counters by its timer.
        worker.vm().tick();
        let grown = host.shared().counters().into_iter().map(|(name, value)| {
            let earlier = before.get(&name).copied().unwrap_or(0);
            (short_counter(&name), value - earlier)
        });
        match &result.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(observed(&result, grown.collect())),
        }
    }
}

/// Lets time pass until the request waits for no answer.
fn await_answers(host: &Host, stream: &Stream) -> Result<(), String> {
    let mut waited = Duration::ZERO;
    while !stream.calls().is_empty() {
        if waited >= MAX_WAIT {
            return Err(format!("the request still waits for an answer after {MAX_WAIT:?}"));
        }
        host.advance(MOMENT);
        waited += MOMENT;
    }
    Ok(())
}

fn request(step: &Step) -> Result<Request, String> {
    let given = &step.request;
    let host = given
        .host
        .as_ref()
        .ok_or("a request without a host ends in Envoy's codec: leave out `wasm`")?;
    let mut request = Request::new(&given.method, host, step.seen_path())
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
    if step.jwt.is_some() {
        request = request.property(&["metadata"], step.metadata().as_slice());
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
