//! What istiod would make of `filter-config/*.yaml`: a waypoint's Envoy configuration derived from
//! the very files that are applied in a cluster, and a real Envoy that runs it and takes each
//! further file as an update.
//!
//! ```text
//! resources.rs   what has been applied, as `kubectl apply` leaves it
//! spec.rs        the fields of these resources that are understood; any other is an error
//! derive.rs      Resources -> Derived: the waypoint, its callers, services and plugins, and what
//!                has no effect
//! derive/*       one kind of resource each
//! envoy.rs       Derived -> Envoy's listeners, clusters and extensions, named as istiod does
//! local.rs       what differs here from a cluster: addresses, ports, certificates, the module
//! mesh.rs        the running Envoy: files in, updates (LDS, CDS, ECDS) out, requests of the pods
//! ```

mod derive;
mod envoy;
mod local;
mod mesh;
mod resources;
mod spec;

pub use derive::{
    Authorization, Caller, ClientCertificate, Credential, DeriveError, Derived, FailurePolicy,
    Finding, Phase, Plugin, Port, Protocol, Release, Service, UpstreamTls,
};
pub use local::{Local, LocalError, Origins, Ports};
pub use mesh::{Mesh, MeshError};
pub use resources::{Object, ResourceError, Resources};
