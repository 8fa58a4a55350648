//! What the filter is tested in: a local waypoint made of a real Envoy, the pods and origins around it, and an
//! emulated proxy-wasm host.

pub mod host;
pub mod scenario;
