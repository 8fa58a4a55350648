//! Every case of `e2e/cases`, in every layer that it names.

#[path = "cases/breaking.rs"]
mod breaking;

use std::path::Path;

use e2e::cases::{EngineRunner, EnvoyRunner, Report, Runner, WasmRunner, run};
use e2e::envoy::filter_wasm;
use e2e::host::Module;
use egressctl::cases::{Suite, load_dir};

fn suites() -> Vec<Suite> {
    load_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))
        .unwrap_or_else(|error| panic!("{error}"))
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
    let module = Module::load(filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    let mut runner = WasmRunner::new(module);
    show(&run(&suites(), &mut runner), &runner);
}

#[test]
fn the_module_exports_only_callbacks_that_do_something() {
    let module = Module::load(filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    let mut exports: Vec<String> =
        module.exports().into_iter().filter(|name| name.starts_with("proxy_on_")).collect();
    exports.sort();
    // Envoy calls those for trailers only where there are any.
    let expected = [
        "configure",
        "context_create",
        "delete",
        "memory_allocate",
        "request_headers",
        "request_trailers",
        "response_headers",
        "response_trailers",
        "tick",
        "vm_start",
    ];
    assert_eq!(exports, expected.map(|name| format!("proxy_on_{name}")));
}

/// Each half in a thread of its own: most of the time goes into starting Envoys.
fn cases_hold_in_envoy(half: usize) {
    let mut runner = EnvoyRunner::new().expect("an origin on a free port");
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
