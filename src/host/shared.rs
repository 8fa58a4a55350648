//! Data that all VMs of the process share.
//!
//! Istio leaves the VM's name of a plugin empty, so all plugins of a proxy share one name space.
//! Therefore every key begins with the filter's name.

use super::sys::{self, HostError};

/// The outcome of setting a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    /// It is set.
    Set,
    /// Another VM has set it since it was read.
    Lost,
}

/// The key that says that a configuration was loaded. The plugin's name follows it.
const LOADED_KEY: &[u8] = b"egress_filter.loaded.";

fn loaded_key() -> Vec<u8> {
    let name = sys::property(b"plugin_name").ok().flatten().unwrap_or_default();
    [LOADED_KEY, &name].concat()
}

/// Whether a configuration of this plugin was loaded before, in any VM. The VM's own memory cannot
/// tell, because Envoy first tries each configuration in a new VM.
pub(super) fn was_loaded() -> bool {
    matches!(sys::shared_data(&loaded_key()), Ok(Some(_)))
}

/// Notes that a configuration of this plugin was loaded.
pub(super) fn note_loaded() -> Result<(), HostError> {
    let key = loaded_key();
    let cas = match sys::shared_data(&key)? {
        Some((_, cas)) => cas,
        None => 0,
    };
    // If another VM was faster, it has noted the same.
    sys::set_shared_data(&key, b"1", cas).map(|(Update::Set | Update::Lost)| ())
}
