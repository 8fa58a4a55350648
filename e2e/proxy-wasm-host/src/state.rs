//! What the host knows while the guest runs: contexts, logs, counters of use, failures to inject.

use std::collections::BTreeMap;

use super::headers::Headers;
use super::options::{Failure, HostOptions, LogLevel};
use super::property::Property;
use super::reply::Asked;
use super::shared::MetricKind;
use super::status::Status;
use super::usage::Usage;

/// A line that the guest logged, or Envoy about the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How severe it is.
    pub level: LogLevel,
    /// The text, with replacement characters for what is no UTF-8.
    pub text: String,
    /// The context whose callback logged it.
    pub context: u32,
}

/// A root context: one configuration of the plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) config: Vec<u8>,
    /// The plugin's configuration can be read only inside `on_configure`.
    pub(crate) configuring: bool,
    pub(crate) tick: Option<u32>,
    pub(crate) queues: Vec<u32>,
    /// It answered `on_done` with false and has to call `proxy_done`.
    pub(crate) pending: bool,
}

/// A stream context: one HTTP request.
#[derive(Debug, Default)]
pub(crate) struct Http {
    pub(crate) root: u32,
    pub(crate) request: Headers,
    pub(crate) request_trailers: Headers,
    pub(crate) response: Option<Headers>,
    pub(crate) response_trailers: Headers,
    /// Whether trailers are announced and then not shown.
    pub(crate) hides_trailers: bool,
    /// Whether maps come in a form that nobody can read.
    pub(crate) garbles_maps: bool,
    /// The phase that the stream is in decides which maps can be read, and which written.
    pub(crate) phase: Phase,
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BTreeMap<Vec<u8>, Property>,
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys of the filter state that the guest wrote.
    pub(crate) written: Vec<Vec<u8>>,
    pub(crate) reply: Option<Asked>,
    pub(crate) replies: u32,
    pub(crate) resumed: bool,
    pub(crate) closed: bool,
    pub(crate) metrics: BTreeMap<String, i64>,
}

impl Http {
    /// Envoy forgets a message's headers when their phase is over, and shows them again in the
    /// access log.
    pub(crate) fn request_map(&self) -> Option<&Headers> {
        matches!(self.phase, Phase::RequestHeaders | Phase::Log).then_some(&self.request)
    }

    /// The same for the response.
    pub(crate) fn response_map(&self) -> Option<&Headers> {
        let open = matches!(self.phase, Phase::ResponseHeaders | Phase::Log);
        self.response.as_ref().filter(|_| open)
    }
}

/// What of a stream the guest may touch at the moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Idle,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Log,
}

/// The data of a VM's store.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: HostOptions,
    pub(crate) usage: Usage,
    pub(crate) failures: Vec<(Failure, u64)>,
    pub(crate) logs: Vec<Log>,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) streams: BTreeMap<u32, Http>,
    /// The context whose callback runs, and the one that the guest asked to act for (0: none).
    pub(crate) current: u32,
    pub(crate) effective: u32,
    /// What the ids that the guest holds mean, and the last id given, by kind.
    pub(crate) metrics: BTreeMap<u32, (MetricKind, String)>,
    pub(crate) last_metric: [u32; 3],
    pub(crate) random: u64,
    pub(crate) limits: wasmtime::StoreLimits,
}

impl State {
    pub(crate) fn new(options: HostOptions) -> Self {
        Self {
            random: options.seed,
            limits: wasmtime::StoreLimitsBuilder::new().memory_size(options.memory).build(),
            options,
            usage: Usage::default(),
            failures: Vec::new(),
            logs: Vec::new(),
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            current: 0,
            effective: 0,
            metrics: BTreeMap::new(),
            last_metric: [0, 1, 2],
        }
    }

    /// The context that host calls act for.
    pub(crate) fn context(&self) -> u32 {
        if self.effective != 0 && self.exists(self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    pub(crate) fn exists(&self, context: u32) -> bool {
        self.roots.contains_key(&context) || self.streams.contains_key(&context)
    }

    pub(crate) fn http(&self) -> Option<&Http> {
        self.streams.get(&self.context())
    }

    pub(crate) fn http_mut(&mut self) -> Option<&mut Http> {
        let context = self.context();
        self.streams.get_mut(&context)
    }

    /// The root context of the current one, which may be it itself.
    pub(crate) fn root_mut(&mut self) -> Option<&mut Root> {
        let context = self.context();
        let root = self.streams.get(&context).map_or(context, |stream| stream.root);
        self.roots.get_mut(&root)
    }

    pub(crate) fn count(&mut self, function: &str) {
        *self.usage.calls.entry(function.to_owned()).or_default() += 1;
    }

    /// The status that a test wants this call to answer.
    pub(crate) fn injected(&mut self, function: &str) -> Option<Status> {
        let mut answer = None;
        for (failure, seen) in &mut self.failures {
            let any = failure.function == "*" && function.starts_with("proxy_");
            if any || failure.function == function {
                if failure.call.is_none_or(|call| call == *seen) {
                    answer = answer.or(Some(failure.status));
                }
                *seen += 1;
            }
        }
        answer
    }

    pub(crate) fn log(&mut self, level: LogLevel, text: &[u8]) {
        if level >= self.options.log_level {
            let text = String::from_utf8_lossy(text).into_owned();
            self.logs.push(Log { level, text, context: self.current });
        }
    }

    /// Random bytes that are the same in each run.
    pub(crate) fn random_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            // splitmix64
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.random;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
