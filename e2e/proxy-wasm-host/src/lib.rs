//! An emulated proxy-wasm host: it runs a compiled filter as Envoy 1.40 does, in this process and
//! deterministically.
//!
//! [`Module`] is the compiled file. [`Host`] is an Envoy that runs it, [`Worker`] one of its
//! threads, [`Vm`] the instance of the module in a worker, and [`Stream`] one HTTP request in that
//! VM. There is no global state: what the workers of one Envoy share (statistics, shared data,
//! queues) is a [`Shared`], its clusters are [`Clusters`], and each `HostOptions::default()` has
//! its own. A test that needs one VM only can do without a `Host`.
//!
//! Nothing happens by itself. A call that the guest makes out of the proxy waits until the test
//! answers it, unless its cluster was given a function that does ([`Clusters::serve`]). Time stands
//! still until [`Host::advance`] lets it pass; ticks, late answers and timeouts then come in order.
//!
//! ```
//! use std::time::Duration;
//!
//! use proxy_wasm_host::{Answer, Host, HostOptions, Module, Request, Response, Step};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A filter that asks the cluster `authz` for every request and goes on when that answers.
//! # let text = include_str!("../tests/authz.wat");
//! # let module = Module::from_bytes(text.as_bytes())?;
//! let host = Host::new(&module, HostOptions::default());
//! host.clusters().add("authz");
//! let worker = host.worker()?;
//! assert!(worker.configure("{}").accepted);
//!
//! // The request is held while its call is under way.
//! let mut stream = worker.request(Request::new("GET", "api.github.com", "/zen"));
//! assert_eq!(stream.step(), Step::Paused);
//! assert_eq!(stream.to_origin().headers, None);
//! let call = stream.calls().remove(0);
//! assert_eq!((call.cluster.as_str(), call.timeout), ("authz", Some(Duration::from_millis(200))));
//!
//! // The answer lets it go on to the origin, whose response comes back through the filter.
//! assert_eq!(stream.answer(&call, Answer::http(200)), Step::Continue);
//! stream.on_response(Response::new(204));
//! assert_eq!(stream.finish().local_response, None);
//!
//! // A service that does not answer in time: Envoy answers 504 in its place. The filter lets the
//! // request go on after any answer.
//! let stream = worker.request(Request::new("GET", "api.github.com", "/zen"));
//! host.advance(Duration::from_millis(199));
//! assert_eq!(stream.step(), Step::Paused);
//! host.advance(Duration::from_millis(1));
//! assert_eq!(stream.step(), Step::Continue);
//!
//! // The client goes away; the answer that comes later finds no stream.
//! let stream = worker.request(Request::new("GET", "api.github.com", "/zen"));
//! let call = stream.calls().remove(0);
//! assert_eq!(stream.gone().step, Step::Paused);
//! assert!(worker.answer(&call, Answer::http(200)));
//! # Ok(())
//! # }
//! ```
//!
//! Where Envoy and the ABI's text differ, this host does what Envoy does:
//!
//! - It calls only the callbacks that a module exports, and runs `on_log` before `on_done`.
//! - It joins repeated inline headers with a comma, and hands an empty value over as a null
//!   pointer.
//! - The module's own local reply passes through its response callback; one that is sent after the
//!   origin's response has begun does not, and resets a stream whose client has the head already.
//! - The answer of a callout comes to the root context. A filter that wants to touch a stream then
//!   calls `proxy_set_effective_context` first.
//! - A pause at headers holds the whole message ([`HostOptions::allow_on_headers_stop_iteration`]
//!   changes that). What arrived meanwhile comes in one piece.
//! - A filter that is let go on by `proxy_continue_stream` cannot read the request any more.
//!
//! Some of this was read in Envoy's source and not observed in a running Envoy: a call to a cluster
//! without an endpoint returns [`Status::InternalFailure`]; a gRPC call that times out ends with
//! status 14, and one that is cut off with 13; a replaced root context lives until the last of its
//! streams is gone, and its calls are cancelled then. gRPC streams are not emulated.

mod abi;
mod callout;
mod delivery;
mod error;
mod flow;
mod grpc_service;
mod guest;
mod headers;
mod host;
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
pub use host::{Host, Worker};
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
