//! The layer in between: the compiled wasm in the emulated host.

use super::model::{Case, Layer, Scenario};
use super::observed::{Observed, Reached, audit_records, short};
use super::run::Runner;
use std::collections::BTreeMap;

use crate::host::{
    Headers, HostOptions, LogLevel, Module, Request, Response, Shared, StreamResult, Vm,
};

/// What the origin's body is where nobody looks at it.
const BODY: &str = "Keep it logically awesome.";

/// Runs scenarios in the emulated host, a new VM for each file.
#[derive(Debug)]
pub struct WasmRunner {
    module: Module,
    vm: Option<Vm>,
    shared: Shared,
}

impl WasmRunner {
    /// A runner of this module.
    #[must_use]
    pub fn new(module: Module) -> Self {
        Self { module, vm: None, shared: Shared::default() }
    }
}

impl Runner for WasmRunner {
    fn layer(&self) -> Layer {
        Layer::Wasm
    }

    fn start(&mut self, scenario: &Scenario) -> Result<(), String> {
        self.shared = Shared::default();
        let options = HostOptions { shared: self.shared.clone(), ..HostOptions::default() };
        let vm = Vm::new(&self.module, options).map_err(|error| error.to_string())?;
        let configured = vm.configure(scenario.config.to_string());
        self.vm = Some(vm);
        if configured.accepted {
            return Ok(());
        }
        let lines: Vec<String> = configured.logs.into_iter().map(|log| log.text).collect();
        Err(format!("the configuration is refused: {}", lines.join(" | ")))
    }

    fn run(&mut self, scenario: &Scenario, case: &Case) -> Result<Observed, String> {
        let vm = self.vm.as_ref().ok_or("no configuration is in force")?;
        let before = self.shared.counters();
        let result = vm.stream(request(scenario, case)?).run(response(case));
        // The filter tells its counters by its timer.
        vm.tick();
        let grown = self.shared.counters().into_iter().map(|(name, value)| {
            let earlier = before.get(&name).copied().unwrap_or(0);
            (short(&name), value - earlier)
        });
        match &result.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(observed(&result, grown.collect())),
        }
    }
}

fn request(scenario: &Scenario, case: &Case) -> Result<Request, String> {
    let spec = &case.request;
    let path = spec.path.split('?').next().unwrap_or_default();
    let touched = path.contains(['\\', '%'])
        || path.split('/').any(|segment| segment == "." || segment == "..");
    if scenario.normalize_path && touched {
        return Err(
            "this host does not normalise paths: set `normalizePath: false`, or leave out `wasm`"
                .to_owned(),
        );
    }
    let host = spec
        .host
        .as_ref()
        .ok_or("a request without a host ends in Envoy's codec: leave out `wasm`")?;
    let service = format!("inbound-vip|80|http|{}", case.destination());
    let mut request = Request::new(&spec.method, host, &spec.path)
        .body(&spec.body)
        .property(&["request", "protocol"], spec.version.as_str())
        .property(&["xds", "filter_chain_name"], service.as_str())
        .property(&["xds", "cluster_name"], service.as_str());
    if let Some(principal) = case.caller.principal() {
        request = request.peer_principal(principal);
    }
    for (name, value) in &spec.headers {
        request = request.header(name, value);
    }
    Ok(request)
}

fn response(case: &Case) -> Response {
    let body = if case.request.method == "HEAD" { "" } else { BODY };
    let mut response = Response::new(case.origin.status).body(body);
    for (name, value) in &case.origin.headers {
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
        status: response.text(":status").and_then(|text| text.parse().ok()).unwrap_or(0),
        body: result.response_body.clone(),
        headers: plain(&response),
        upstream: reached.then_some(upstream),
        audit: Some(audit_records(info.map(|log| log.text.as_str()))),
        counters: Some(counters),
    }
}

/// The lines without the pseudo headers.
fn plain(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let lines = headers.lines().iter().filter(|(name, _)| !name.starts_with(b":"));
    lines.map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.clone())).collect()
}
