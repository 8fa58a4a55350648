//! The host part: moves bytes between the proxy (proxy-wasm ABI 0.2.1) and exchanges.
//!
//! [`exports`] lists the callbacks that the proxy calls, [`contexts`] finds the plugin or stream
//! that a callback is for, [`stream`] drives one exchange, [`calls`] maps the proxy's tokens to
//! pending calls, [`fetches`] makes the calls that fetch tokens, and [`sys`] has every call to the
//! proxy. Nothing in here decides about a request.

mod abi;
mod allocator;
#[cfg(feature = "bodies")]
mod bodies;
mod calls;
mod contexts;
mod environment;
mod exports;
mod fetches;
#[cfg(feature = "trap-for-tests")]
mod for_tests;
mod logger;
mod metrics;
mod plugin;
mod properties;
mod shared;
mod stream;
mod sys;
