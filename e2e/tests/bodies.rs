//! Bodies, in the module that reads them: what has gone on while one is judged, and what it costs a
//! request whose body nobody reads.

#[path = "bodies/early.rs"]
mod early;
#[path = "bodies/emulated.rs"]
mod emulated;
#[path = "bodies/envoy.rs"]
mod envoy;
#[path = "bodies/forwarded.rs"]
mod forwarded;
#[path = "bodies/http2.rs"]
mod http2;
