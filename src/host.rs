//! The host part: moves bytes between the proxy (proxy-wasm ABI 0.2.1) and exchanges.
//!
//! [`exports`] lists the callbacks that the proxy calls; [`contexts`] finds the plugin or stream
//! that a callback is for; [`stream`] drives one exchange; [`calls`] knows whose call a token is;
//! [`sys`] has every call to the proxy. Nothing in here decides anything.

mod abi;
mod allocator;
mod calls;
mod contexts;
mod exports;
#[cfg(feature = "trap-for-tests")]
mod for_tests;
mod logger;
mod metrics;
mod plugin;
mod properties;
mod shared;
mod stream;
mod sys;
