//! Every case of `e2e/cases`, in every layer that it names.

#[path = "cases/breaking.rs"]
mod breaking;

use std::path::Path;

use e2e::cases::{EngineRunner, EnvoyRunner, Report, Runner, WasmRunner, run};
use e2e::envoy::{bodies_wasm, filter_wasm, trapping_wasm};
use e2e::host::Module;
use egress_filter::policy::Engine;
use egressctl::cases::{Suite, load_dir};
use serde_json::json;

fn all() -> impl Iterator<Item = Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    load_dir(folder).unwrap_or_else(|error| panic!("{error}")).into_iter()
}

/// Whether a suite is for the build for tests, which has a stage that calls this service.
fn calls_probe(suite: &Suite) -> bool {
    let services = suite.cases.iter().flat_map(|case| &case.services);
    services.into_iter().any(|service| service.cluster == "probe")
}

/// The suites of the filter as it is shipped.
fn suites() -> Vec<Suite> {
    all().filter(|suite| !calls_probe(suite) && !reads_bodies(suite)).collect()
}

/// Whether a suite needs the module that reads bodies.
fn reads_bodies(suite: &Suite) -> bool {
    let engine = Engine::load(suite.config.to_string().as_bytes());
    engine.is_ok_and(|engine| engine.reads_bodies())
}

/// The suites of the module that reads bodies.
fn suites_with_bodies() -> Vec<Suite> {
    all().filter(reads_bodies).collect()
}

/// The suites of the build for tests, whose configurations have a field that the filter as it is
/// shipped refuses: the service that is asked about each request with the header `x-probe`.
fn waiting_suites() -> Vec<Suite> {
    let probe = json!({"cluster": "probe", "timeoutMilliseconds": 1000});
    let mut suites: Vec<Suite> = all().filter(calls_probe).collect();
    for suite in &mut suites {
        suite.config["probe"] = probe.clone();
        let steps = suite.cases.iter_mut().flat_map(|case| &mut case.steps);
        for update in steps.filter_map(|step| step.update.as_mut()) {
            update.config["probe"] = probe.clone();
        }
    }
    suites
}

fn module() -> Module {
    Module::load(filter_wasm()).unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
}

fn module_for_tests() -> Module {
    Module::load(trapping_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make build-trapping` first"))
}

fn show(report: &Report, runner: &dyn Runner) {
    report.assert_ok();
    println!("{} cases in the layer {:?}", report.cases, runner.layer());
}

#[test]
fn cases_hold_in_the_engine() {
    let mut runner = EngineRunner::default();
    show(&run(&suites(), &mut runner), &runner);
}

#[test]
fn cases_hold_in_the_compiled_wasm() {
    let mut runner = WasmRunner::new(module());
    show(&run(&suites(), &mut runner), &runner);
}

#[test]
fn cases_with_bodies_hold_in_the_engine() {
    let mut runner = EngineRunner::default();
    show(&run(&suites_with_bodies(), &mut runner), &runner);
}

#[test]
fn cases_with_bodies_hold_in_the_compiled_wasm() {
    let module = Module::load(bodies_wasm());
    let module = module.unwrap_or_else(|error| panic!("{error}: run `make build-bodies` first"));
    let mut runner = WasmRunner::new(module);
    show(&run(&suites_with_bodies(), &mut runner), &runner);
}

#[test]
fn cases_with_bodies_hold_in_a_real_envoy() {
    let mut runner = EnvoyRunner::new(bodies_wasm()).expect("an origin on a free port");
    show(&run(&suites_with_bodies(), &mut runner), &runner);
}

#[test]
fn cases_with_services_hold_in_the_compiled_wasm() {
    let mut runner = WasmRunner::new(module_for_tests());
    show(&run(&waiting_suites(), &mut runner), &runner);
}

#[test]
fn cases_with_services_hold_in_a_real_envoy() {
    let mut runner = EnvoyRunner::new(trapping_wasm()).expect("an origin on a free port");
    show(&run(&waiting_suites(), &mut runner), &runner);
}

#[test]
fn cases_of_the_build_for_tests_are_refused_by_the_engine() {
    for suite in waiting_suites() {
        let cases: Vec<_> = suite.cases.iter().collect();
        let refused = EngineRunner::default().start(&suite, &cases);
        let why = refused.expect_err("it has no stage `probe`");
        assert!(why.contains("unknown field `probe`"), "{why}");
    }
}

#[test]
fn the_module_exports_only_callbacks_that_do_something() {
    let mut exports: Vec<String> =
        module().exports().into_iter().filter(|name| name.starts_with("proxy_on_")).collect();
    exports.sort();
    // Envoy calls those for trailers only where there are any, and those for a call's answer only
    // where a call was made.
    let expected = [
        "configure",
        "context_create",
        "delete",
        "grpc_close",
        "grpc_receive",
        "http_call_response",
        "memory_allocate",
        "request_headers",
        "request_trailers",
        "response_headers",
        "response_trailers",
        "tick",
    ];
    assert_eq!(exports, expected.map(|name| format!("proxy_on_{name}")));
}

/// Each half in a thread of its own: most of the time goes into starting Envoys.
fn cases_hold_in_envoy(half: usize) {
    let mut runner = EnvoyRunner::new(filter_wasm()).expect("an origin on a free port");
    let mine: Vec<Suite> = suites()
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % 2 == half)
        .map(|(_, suite)| suite)
        .collect();
    show(&run(&mine, &mut runner), &runner);
}

#[test]
fn cases_hold_in_a_real_envoy_first_half() {
    cases_hold_in_envoy(0);
}

#[test]
fn cases_hold_in_a_real_envoy_second_half() {
    cases_hold_in_envoy(1);
}
