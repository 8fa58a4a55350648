//! What the filter is tested in: a local waypoint made of a real Envoy, the pods and origins around
//! it, and an emulated proxy-wasm host.

pub mod attack;
pub mod cases;
pub mod checkout;
pub mod demo;
pub mod ecds;
pub mod envoy;
pub mod hbone;
pub use proxy_wasm_host as host;
pub mod http1;
pub mod istio;
pub mod manifests;
pub mod origin;
pub mod pki;
pub mod ports;
pub mod process;
pub mod schemas;
pub mod stand_ins;
pub mod tokens;
pub mod workshop;
