//! The emulated host does what Envoy 1.40 was seen to do with the same calls.

mod bodies;
mod callouts;
mod calls;
mod grpc;
mod headers;
mod lifecycle;
mod module;
mod probe;
mod properties;
mod resources;
mod time;
mod wasi;
mod workers;

use probe::Probe;
use proxy_wasm_host::{HostOptions, Request, Response, StreamResult, Vm};

/// Runs one request through a module whose callbacks do what the probe says.
pub(crate) fn run(probe: Probe) -> StreamResult {
    run_with(probe, request())
}

pub(crate) fn run_with(probe: Probe, request: Request) -> StreamResult {
    let vm = vm(&probe);
    vm.stream(request).run(origin())
}

pub(crate) fn vm(probe: &Probe) -> Vm {
    let vm = Vm::new(&probe::module(probe), HostOptions::default()).expect("the probe starts");
    let configured = vm.configure("CONFIG");
    assert!(configured.accepted, "{:?}", configured.logs);
    vm
}

pub(crate) fn request() -> Request {
    Request::new("GET", "api.github.com", "/zen?x=1#f")
        .header("user-agent", "ua")
        .header("x-a", "1")
        .header("X-A", "2")
        .header("x-empty", "")
        .peer_principal("spiffe://cluster.local/ns/team-a/sa/team-a")
        .property(&["xds", "filter_chain_name"], "inbound-vip|80|http|api.github.com")
}

pub(crate) fn origin() -> Response {
    Response::new(200)
        .header("content-type", "text/plain")
        .header("x-o", "a")
        .header("x-o", "b")
        .body("hello")
}

/// What the probe reported, in order: `<label> <status> <value>`.
pub(crate) fn reports(result: &StreamResult) -> Vec<String> {
    result.logs.iter().map(|log| log.text.replace('\0', "~")).collect()
}

#[track_caller]
pub(crate) fn assert_reports(result: &StreamResult, expected: &[&str]) {
    assert_eq!(reports(result), expected, "failure: {:?}", result.failure);
}

/// What a VM logged, in order, as [`reports`] shows it.
pub(crate) fn said(vm: &Vm) -> Vec<String> {
    vm.logs().into_iter().map(|log| log.text.replace('\0', "~")).collect()
}
