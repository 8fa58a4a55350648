//! Exchanges, driven as a proxy drives them.

pub(crate) mod driven;
#[cfg(not(target_arch = "wasm32"))]
mod laws;
mod trailers;
mod waiting;
