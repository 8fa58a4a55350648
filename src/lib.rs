//! Egress control by caller identity, for Istio ambient waypoints.
//!
//! A pod calls plain `http://api.github.com/zen`. ztunnel wraps the call in HBONE mTLS. The
//! waypoint terminates HBONE and runs this filter on the request. Envoy then opens a new TLS
//! connection to the origin.
//!
//! # The life of a request
//!
//! 1. `host` (only in wasm) reads the request's headers from Envoy in one call and passes them to
//!    an [`exchange::Exchange`]. The properties of the request ([`request::Source`]) are read when
//!    something first needs them.
//! 2. The exchange runs the stages that the policies need, in the order of `order::ORDER`. If a
//!    stage calls a service, the exchange waits for the answer before it goes on.
//!
//!    | stage | question |
//!    |---|---|
//!    | `admission` | Which host is the request for? Is the path safe? Was that host dialled? |
//!    | `authorization` | What do the policies' rules, written in [`cel`], say? |
//!    | `external-authorization` | Do the services that are asked let it go on? |
//!    | `late-authorization` | What do the rules say that read their answers? |
//!    | `local-rate-limit` | Has the caller called too often, as the proxy counts? |
//!    | `global-rate-limit` | Has it, as a service counts for all proxies? |
//!    | `transformation` | Which of its headers change? |
//!    | `header-modifiers` | Which of them get fixed values? |
//!    | `rewrite` | Which path and authority does the origin get? |
//!    | `router-headers` | How long does Envoy's router wait, and when does it try again? |
//!    | `redirect` | Is the caller sent elsewhere? |
//!    | `direct-response` | Does a policy answer in the origin's place? |
//!    | `credentials` | What does the origin get of the waypoint's? |
//!    | `body-authorization` | What do the rules say that read the body? |
//!    | `body-external-authorization` | Do the services that get the body allow the request? |
//!    | `body-transformation` | Which body does the origin get? |
//! 3. `host` carries out the [`exchange::Step`] that results: it writes the changed headers and
//!    lets the request go on, answers it, or makes a call. Then it counts and logs what the
//!    [`exchange::Report`] contains.
//! 4. A body that some policy reads is held until it is there; then come the stages that need it.
//! 5. The response's headers, its body where a policy replaces it, and the trailers of both, are
//!    events of the same exchange.
//!
//! Everything but `host` is data in, data out, and knows nothing of proxy-wasm: it compiles and is
//! tested natively.
//!
//! # The life of a configuration
//!
//! [`config`] reads it, [`policy::Engine::load`] compiles it; all errors are reported at once, each
//! with its place.
//!
//! # For tools
//!
//! [`trial`] runs an engine on a request that is given as data. [`explain`] shows why it is decided
//! as it is, and [`coverage`] what each policy had to do with it. Both read the [`trace`] that the
//! exchange writes.

pub use egress_cel as cel;
pub use egress_cel::suggest;
pub use egress_config as config;
pub use egress_reading::path_safety as path;
use egress_reading::{hash, header_name, mends};

pub mod attributes;
pub mod audit;
pub mod call;
pub mod counters;
pub mod coverage;
pub mod credential;
pub mod decision;
#[cfg(not(target_arch = "wasm32"))]
pub mod doubts;
pub mod exchange;
pub mod explain;
pub mod ext_auth;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
mod host;
pub mod identity;
mod lint;
mod order;
mod plain;
pub mod policy;
pub mod printable;
pub mod protobuf;
pub mod rate_limit;
mod reading;
pub mod request;
// What the host part keeps its streams in: natively, only tests have a use for it.
#[cfg(any(test, all(target_arch = "wasm32", target_os = "wasi")))]
mod slots;
mod stage;
#[cfg(any(test, feature = "fuzzing"))]
mod tests;
pub mod trace;
pub mod trial;
