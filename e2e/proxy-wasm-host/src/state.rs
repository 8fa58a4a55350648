//! What the host knows while the guest runs: contexts, logs, counters of use, failures to inject.

use std::collections::BTreeMap;

use super::callout::{Answer, Call};
use super::headers::{Headers, Message};
use super::options::{Failure, HostOptions, LogLevel};
use super::property::Property;
use super::reply::{Asked, LocalResponse};
use super::shared::MetricKind;
use super::side::{Hold, Side};
use super::status::Status;
use super::stream::Step;
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
    /// The stream that it was logged for.
    pub(crate) stream: u32,
}

/// A root context: one configuration of the plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) config: Vec<u8>,
    /// The plugin's configuration can be read only inside `on_configure`.
    pub(crate) configuring: bool,
    pub(crate) tick: Option<Tick>,
    pub(crate) queues: Vec<u32>,
    /// It answered `on_done` with false and has to call `proxy_done`.
    pub(crate) pending: bool,
    /// Its `on_done` has run, or is about to.
    pub(crate) ending: bool,
    /// What `proxy_get_status` says.
    pub(crate) status: (u32, String),
    /// The answer of a callout, while the guest is called with it.
    pub(crate) answer: Option<Answered>,
}

/// The timer of a root context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// In milliseconds.
    pub(crate) period: u32,
    /// When it runs next, in nanoseconds since the epoch.
    pub(crate) due: u64,
}

/// What the guest can read of a callout's answer.
#[derive(Debug)]
pub(crate) enum Answered {
    Http { headers: Headers, body: Vec<u8>, trailers: Headers },
    Grpc(Vec<u8>),
}

/// A stream context: one HTTP request.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) root: u32,
    pub(crate) request: Side,
    pub(crate) response: Side,
    /// Whether trailers are announced but cannot be read.
    pub(crate) hides_trailers: bool,
    /// Whether header maps come as bytes that do not decode.
    pub(crate) garbles_maps: bool,
    /// Whether the access log is being written, which sees both maps of headers.
    pub(crate) logging: bool,
    pub(crate) properties: BTreeMap<Vec<u8>, Property>,
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys of the filter state that the guest wrote.
    pub(crate) written: Vec<Vec<u8>>,
    /// The local response that the guest asked for in the callback that runs.
    pub(crate) reply: Option<Asked>,
    pub(crate) replies: u32,
    pub(crate) closed: bool,
    pub(crate) metrics: BTreeMap<String, i64>,
    /// How the stream ended, if something ended it before its time.
    pub(crate) end: Option<Step>,
    pub(crate) local: Option<LocalResponse>,
    pub(crate) failure: Option<String>,
    pub(crate) callbacks: Vec<(String, Usage)>,
}

impl Http {
    pub(crate) fn new(root: u32) -> Self {
        Self {
            root,
            request: Side::new(Message::Request),
            response: Side::new(Message::Response),
            hides_trailers: false,
            garbles_maps: false,
            logging: false,
            properties: BTreeMap::new(),
            filter_state: BTreeMap::new(),
            written: Vec::new(),
            reply: None,
            replies: 0,
            closed: false,
            metrics: BTreeMap::new(),
            end: None,
            local: None,
            failure: None,
            callbacks: Vec::new(),
        }
    }

    pub(crate) fn side(&mut self, message: Message) -> &mut Side {
        match message {
            Message::Request => &mut self.request,
            Message::Response => &mut self.response,
        }
    }

    /// Envoy forgets a message's headers when they have gone on, and shows them again in the access
    /// log.
    pub(crate) fn request_map(&self) -> Option<&Headers> {
        (self.request.headers_open || self.logging).then_some(&self.request.headers)
    }

    /// The same for the response.
    pub(crate) fn response_map(&self) -> Option<&Headers> {
        let open = self.response.headers_open || (self.logging && self.response.begun);
        open.then_some(&self.response.headers)
    }

    pub(crate) fn step(&self) -> Step {
        let held = [&self.request, &self.response].iter().any(|side| side.hold != Hold::Nothing);
        self.end.unwrap_or(if held { Step::Paused } else { Step::Continue })
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) call: Call,
    /// The root context that is called with the answer.
    pub(crate) root: u32,
    /// When it is answered in the service's place, in nanoseconds since the epoch.
    pub(crate) deadline: Option<u64>,
    /// The answer that is already known, and when it comes.
    pub(crate) answer: Option<(u64, Answer)>,
}

/// The data of a VM's store.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: HostOptions,
    /// The time that the guest sees, in nanoseconds since the epoch.
    pub(crate) now: u64,
    pub(crate) usage: Usage,
    pub(crate) failures: Vec<(Failure, u64)>,
    pub(crate) logs: Vec<Log>,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) streams: BTreeMap<u32, Http>,
    /// The context whose callback runs, and the one that the guest asked to act for (0: none).
    pub(crate) current: u32,
    pub(crate) effective: u32,
    /// The stream that the callback is run for, which may be a callback of a root context (0:
    /// none).
    pub(crate) attributed: u32,
    /// Streams that the running callback asked something of, in order.
    pub(crate) touched: Vec<u32>,
    pub(crate) calls: BTreeMap<u32, Pending>,
    /// Ends of gRPC calls that are reported when the running callback is over: root context, token
    /// and answer.
    pub(crate) refused: Vec<(u32, u32, Answer)>,
    /// The last token given to calls of HTTP and of gRPC.
    pub(crate) last_token: [u32; 2],
    /// What the ids that the guest holds mean, and the last id given, by kind.
    pub(crate) metrics: BTreeMap<u32, (MetricKind, String)>,
    pub(crate) last_metric: [u32; 3],
    pub(crate) random: u64,
    pub(crate) limits: wasmtime::StoreLimits,
}

impl State {
    pub(crate) fn new(options: HostOptions) -> Self {
        Self {
            now: options.now,
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
            attributed: 0,
            touched: Vec::new(),
            calls: BTreeMap::new(),
            refused: Vec::new(),
            last_token: [0, 1],
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

    /// The id of the root context of the current one, which may be it itself.
    pub(crate) fn root_id(&self) -> u32 {
        let context = self.context();
        self.streams.get(&context).map_or(context, |stream| stream.root)
    }

    pub(crate) fn root(&self) -> Option<&Root> {
        self.roots.get(&self.root_id())
    }

    pub(crate) fn root_mut(&mut self) -> Option<&mut Root> {
        let root = self.root_id();
        self.roots.get_mut(&root)
    }

    /// The stream that host calls act for, noted as one that something was asked of.
    pub(crate) fn touch(&mut self) -> Option<&mut Http> {
        let context = self.context();
        if self.streams.contains_key(&context) && !self.touched.contains(&context) {
            self.touched.push(context);
        }
        self.streams.get_mut(&context)
    }

    pub(crate) fn count(&mut self, function: &str) {
        *self.usage.calls.entry(function.to_owned()).or_default() += 1;
    }

    /// The status that a test wants this call to return.
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
            let (context, stream) = (self.current, self.attributed);
            self.logs.push(Log { level, text, context, stream });
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
