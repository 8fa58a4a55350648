//! What the operator and the test decide about a VM before it starts.

use super::callout::Clusters;
use super::property::Property;
use super::shared::Shared;
use super::status::Status;

/// The severity of a log line, as the ABI numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// The finest detail.
    Trace = 0,
    /// For debugging.
    Debug = 1,
    /// Normal events.
    Info = 2,
    /// Possible problems.
    Warn = 3,
    /// Errors.
    Error = 4,
    /// Errors that keep the filter from working.
    Critical = 5,
}

impl LogLevel {
    /// The level of that number.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical]
            .into_iter()
            .nth(code as usize)
    }
}

/// A host call that is made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The host function (`proxy_get_property`), or `*` for any.
    pub function: String,
    /// What it returns instead of doing its work.
    pub status: Status,
    /// Which of its calls fails, counted from 0 since the failure was set; every one where this is
    /// `None`.
    pub call: Option<u64>,
}

impl Failure {
    /// Every call of `function` returns `status`.
    #[must_use]
    pub fn always(function: &str, status: Status) -> Self {
        Self { function: function.to_owned(), status, call: None }
    }

    /// Only the call of `function` with that number, counted from 0, returns `status`.
    #[must_use]
    pub fn nth(function: &str, call: u64, status: Status) -> Self {
        Self { function: function.to_owned(), status, call: Some(call) }
    }
}

/// What the operator and the test decide about a VM before it starts.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The plugin's name, `plugin_name` to the guest.
    pub plugin_name: String,
    /// The plugin's root id, `plugin_root_id` to the guest.
    pub root_id: String,
    /// The VM's id: shared data and queues are seen only by VMs of the same one. Istio leaves it
    /// empty.
    pub vm_id: String,
    /// The VM's configuration, as `on_vm_start` sees it.
    pub vm_config: Vec<u8>,
    /// The guest's environment variables.
    pub env: Vec<(String, String)>,
    /// Lines below this level are dropped, as Envoy's logger does.
    pub log_level: LogLevel,
    /// Properties that every context sees, such as `["node", "id"]`.
    pub properties: Vec<(Vec<String>, Property)>,
    /// The time that the guest sees at first, in nanoseconds since the epoch. It stands still
    /// unless [`super::Host::advance`], [`super::Vm::advance`] or [`super::Vm::set_time`] moves it.
    pub now: u64,
    /// Where the guest's random bytes start: the same seed gives the same bytes.
    pub seed: u64,
    /// Fuel for one callback: a guest that runs longer traps instead of hanging the test.
    pub fuel: u64,
    /// The most bytes of linear memory; Envoy's cap where nothing else is said.
    pub memory: usize,
    /// Whether a configuration is first tried in a canary VM, as Envoy's main thread does.
    pub canary: bool,
    /// Whether a configuration that the guest refuses comes into force all the same. No Envoy does
    /// that; the guest must not let a request through where it happens.
    pub keeps_refused: bool,
    /// Whether a pause at headers holds the headers only, so that callbacks of the body come:
    /// Envoy's `allow_on_headers_stop_iteration`, which Istio's WasmPlugin cannot set.
    pub allow_on_headers_stop_iteration: bool,
    /// The most bytes of a body that a filter may hold; Envoy's default for a connection where
    /// nothing else is said.
    pub buffer_limit: usize,
    /// The clusters that calls can go to.
    pub clusters: Clusters,
    /// What this VM shares with other workers.
    pub shared: Shared,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            plugin_name: "egress".to_owned(),
            root_id: String::new(),
            vm_id: String::new(),
            vm_config: Vec::new(),
            env: Vec::new(),
            log_level: LogLevel::Info,
            properties: Vec::new(),
            now: 1_700_000_000_000_000_000,
            seed: 1,
            fuel: 20_000_000_000,
            memory: 1 << 30,
            canary: true,
            keeps_refused: false,
            allow_on_headers_stop_iteration: false,
            buffer_limit: 1 << 20,
            clusters: Clusters::default(),
            shared: Shared::default(),
        }
    }
}
