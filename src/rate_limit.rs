//! Rate limits: how many requests there may be in a time.
//!
//! A local limit is kept by the waypoint itself, in data that all its workers share. Each value of
//! the limit's key has a token bucket of its own ([`bucket`]). The buckets lie in a fixed number of
//! slots ([`slots`]), which they share with those of all other limits, under a keyed hash
//! ([`tag`]). A worker that gets many requests of one key takes several tokens at a time
//! ([`leases`]). [`limiter`] puts these together.
//!
//! A global limit is kept by a service, which is asked about each request ([`service`]).

pub(crate) mod bucket;
mod leases;
pub(crate) mod limiter;
pub(crate) mod quota;
pub mod service;
mod slots;
mod tag;
#[cfg(test)]
mod tests;
