//! Local rate limits: what all workers of a real Envoy admit together, and what a limit costs and
//! does when the host fails, in the emulated one.

#[path = "rate_limits/emulated.rs"]
mod emulated;
#[path = "rate_limits/workers.rs"]
mod workers;
