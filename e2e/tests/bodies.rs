//! Bodies, in the module that reads them: what has gone on while one is judged, and what it costs a
//! request whose body nobody reads.

#[path = "bodies/emulated.rs"]
mod emulated;
#[path = "bodies/envoy.rs"]
mod envoy;
