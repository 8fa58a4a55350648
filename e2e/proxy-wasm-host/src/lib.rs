//! An emulated proxy-wasm host: it runs a compiled filter as Envoy 1.40 does, in this process and
//! deterministically.
//!
//! [`Module`] is the compiled file, [`Vm`] one worker's instance of it, [`Stream`] one HTTP request
//! in that worker. There is no global state: what workers of one Envoy share (statistics, shared
//! data, queues) is a [`Shared`] in the [`HostOptions`], and each `HostOptions::default()` has its
//! own.
//!
//! Where Envoy and the ABI's text differ, this host does what Envoy does: it calls only the
//! callbacks that a module exports, runs `on_log` before `on_done`, joins repeated inline headers
//! with a comma, hands an empty value over as a null pointer, and lets the module's own local reply
//! pass through its response callback.

mod abi;
mod callout;
mod delivery;
mod error;
mod flow;
mod grpc_service;
mod guest;
mod headers;
mod inline;
mod instance;
mod message;
mod module;
mod options;
mod property;
mod reply;
mod shared;
mod side;
mod state;
mod status;
mod stream;
mod usage;
mod vm;
mod wasi;

pub use callout::{Answer, Call, Clusters, Protocol};
pub use error::HostError;
pub use headers::{Headers, Message};
pub use inline::inline_headers;
pub use message::{Request, Response};
pub use module::Module;
pub use options::{Failure, HostOptions, LogLevel};
pub use property::Property;
pub use reply::LocalResponse;
pub use shared::{MetricKind, Shared};
pub use side::Passed;
pub use state::Log;
pub use status::Status;
pub use stream::{Step, Stream, StreamResult};
pub use usage::Usage;
pub use vm::{Configured, Vm};
