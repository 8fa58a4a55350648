//! Kubernetes' own API server and Istio's own control plane, on loopback and without containers:
//! what `filter-config/` is applied to, and what becomes of it there. `make test-istio` builds the
//! programs and says where they are.
//!
//! ```text
//! cluster.rs        etcd, the API server and its controllers; kubectl
//! node.rs           the part of a scheduler and a kubelet: pods that are said to run
//! control_plane.rs  istiod, with what istioctl installs
//! agent.rs          the waypoint pod's agent, which fetches the module; what an Envoy asks it for
//! registry.rs       a registry, with the image of the compiled filter in it
//! stock.rs          istiod's resources as an Envoy without Istio's extensions runs them
//! waypoint.rs       that Envoy
//! ```
//!
//! Nothing runs in the pods. The waypoint's Envoy runs beside them, and so does its agent, with the
//! environment that the pod would have.

mod agent;
mod cluster;
mod control_plane;
mod node;
mod registry;
mod stock;
mod waypoint;

use std::path::PathBuf;

pub use agent::Agent;
pub use cluster::{Cluster, Said};
pub use control_plane::ControlPlane;
pub use registry::Registry;
pub use stock::{Local, TAKEN_OUT, TakenOut};
pub use waypoint::Waypoint;

/// A file that `make test-istio` builds or finds, by its name.
///
/// # Panics
/// When the folder's variable is not set, which must not pass for a test that ran.
#[must_use]
pub fn part(name: &str) -> PathBuf {
    program("ISTIO_PARTS").join(name)
}

/// A program or folder whose path a variable has.
///
/// # Panics
/// As [`part`].
#[must_use]
pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: `make test-istio` sets it"))
}
