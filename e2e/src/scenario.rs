//! Scenarios: what the filter is to do, written once in YAML and run against the engine, the
//! compiled wasm in the emulated host, and a real Envoy.
//!
//! A layer implements [`Runner`]; [`run`] drives it through every case of every file and [`Report`]
//! tells all that differs.

mod compare;
mod engine;
mod envoy;
mod model;
mod observed;
mod run;
mod wasm;

pub use compare::{Mismatch, compare};
pub use engine::EngineRunner;
pub use envoy::EnvoyRunner;
pub use model::{
    AuditExpectation, Caller, Case, Certificate, Expect, Known, Layer, LoadError, Nothing, Origin,
    RequestSpec, SERVICES, Scenario, Statuses, Upstream, UpstreamExpectation, load_dir,
};
pub use observed::{Observed, Reached, audit_records};
pub use run::{Report, Runner, run};
pub use wasm::WasmRunner;
