//! Egress control by caller identity, for Istio ambient waypoints.
//!
//! A pod calls plain `http://api.github.com/zen`; ztunnel wraps it in HBONE mTLS; the waypoint ends
//! HBONE and runs this filter on the request; Envoy opens a fresh TLS connection to the origin.
//!
//! # The life of a request
//!
//! 1. `filter` (only in wasm) reads the request's headers from Envoy in one call; whatever else is
//!    read of a request ([`request::Source`]) is read when something asks for it, once.
//! 2. [`policy::Engine::decide`] decides: what host is it for ([`request::host`]), is the path safe
//!    ([`path`]), is the host that of the service dialled ([`request::destination`]), who is
//!    calling ([`identity`]), which policies can match at all (`policy::index`), do their rules let
//!    it through (`authorization`, over [`cel`] expressions), and what changes in its headers
//!    (`transform`).
//! 3. The filter does what the [`outcome::Outcome`] says: it answers, or changes headers; it
//!    counts, and logs the audit record (`audit`).
//! 4. The response's headers are changed ([`policy::Engine::respond`]), and from the trailers of
//!    both goes what must not be there ([`policy::Engine::trailers`]).
//!
//! Everything but `filter` is data in, data out, and knows nothing of proxy-wasm: it compiles and
//! is tested natively.
//!
//! # The life of a configuration
//!
//! [`config`] reads it, [`policy::Engine::load`] compiles it; all errors are told at once, each
//! with its place.
//!
//! # For tools
//!
//! `trial` is a request as data, tried on an engine; `explain` says why it is decided as it is.

pub use egress_cel as cel;
pub use egress_cel::suggest;
use egress_reading::{hash, mends};

pub mod attributes;
mod audit;
mod authorization;
pub mod config;
#[cfg(not(target_arch = "wasm32"))]
pub mod explain;
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
mod filter;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod header_name;
pub mod identity;
mod lint;
pub mod outcome;
pub mod path;
pub mod policy;
pub mod printable;
mod reading;
pub mod request;
#[cfg(any(test, feature = "fuzzing"))]
mod tests;
mod transform;
#[cfg(not(target_arch = "wasm32"))]
pub mod trial;
