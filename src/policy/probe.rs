//! The service that the stage for tests asks. Not part of a module that is shipped.

use serde::Deserialize;

/// The service that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Probe {
    /// The proxy's name of its cluster.
    pub(crate) cluster: String,
    /// How long its answer is waited for.
    pub(crate) timeout_milliseconds: u64,
    /// Whether a request goes on where there is no answer that could be used.
    #[serde(default)]
    pub(crate) fail_open: bool,
}
