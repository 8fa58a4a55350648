//! The runner of the scenarios, with small modules in the filter's place.

mod callouts;
#[path = "../../proxy-wasm-host/tests/host/calls.rs"]
#[expect(dead_code, reason = "the tests of the host use the rest")]
mod calls;
mod cases;
#[path = "../../proxy-wasm-host/tests/host/probe.rs"]
#[expect(dead_code, reason = "the tests of the host use the rest")]
mod probe;
