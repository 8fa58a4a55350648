//! The service that the stage for tests calls. It is not part of a module that is shipped.

use serde::Deserialize;

/// The service that is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Probe {
    /// The proxy's name of its cluster.
    pub(crate) cluster: String,
    /// How long to wait for its answer.
    pub(crate) timeout_milliseconds: u64,
    /// Whether a request goes on if there is no usable answer.
    #[serde(default)]
    pub(crate) fail_open: bool,
    /// Whether it is called by gRPC.
    #[serde(default)]
    pub(crate) grpc: bool,
}
