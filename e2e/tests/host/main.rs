//! The runner of the cases, with small modules in place of the filter.

mod callouts;
#[path = "../../proxy-wasm-host/tests/host/calls.rs"]
#[expect(dead_code, reason = "the tests of the host use the rest")]
mod calls;
mod cases;
#[path = "../../proxy-wasm-host/tests/host/probe.rs"]
#[expect(dead_code, reason = "the tests of the host use the rest")]
mod probe;
