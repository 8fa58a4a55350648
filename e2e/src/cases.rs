//! Files of cases, run on the engine, on the compiled filter in the emulated host, and in a real
//! Envoy.
//!
//! A layer implements [`Runner`]; [`run`] drives it through every case of every suite, and a
//! [`Report`] lists all that differs. The format of the files and their reader are those of
//! `egressctl test`: [`egressctl::cases`].

mod engine;
mod envoy;
mod run;
mod services;
mod wasm;

pub use engine::EngineRunner;
pub use envoy::EnvoyRunner;
pub use run::{Mismatch, Report, Runner, run};
pub use services::{Clusters, CutOff, Delivery, NextDelivery, serve};
pub use wasm::WasmRunner;
