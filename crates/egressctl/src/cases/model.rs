//! Files of cases, as data.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::expect::Expect;
use crate::source::Source;
use crate::yaml::Node;

/// A file: one suite a document.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: Source,
    pub(crate) suites: Vec<Suite>,
}

impl File {
    /// The names of the files of policies that it names, from where the command runs.
    pub(crate) fn named_policies(&self) -> Vec<String> {
        let named = |suite: &Suite| match &suite.policies {
            Policies::Files(named) => named.iter().map(|(name, _)| name.clone()).collect(),
            Policies::Inline(_) | Policies::Unsaid(_) => Vec::new(),
        };
        self.suites.iter().flat_map(named).collect()
    }
}

/// A configuration, and the cases that are run under it.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The name of the file, as it was given.
    pub file: String,
    /// A short name for reports.
    pub name: Option<String>,
    /// What the suite shows, in one sentence.
    pub description: Option<String>,
    /// The `pluginConfig`; null until the policies are loaded, and where they do not load.
    pub config: serde_json::Value,
    /// Whether the waypoint normalises paths before the filter sees them, as Istio sets it up.
    pub normalize_path: bool,
    /// How many workers the proxy has, each with an instance of the filter.
    pub workers: usize,
    /// The time at which each case begins, since the Unix epoch; the machine's own where this is
    /// `None`.
    pub clock: Option<Duration>,
    /// The environment variables of the proxy, from which credentials come. Where none are given,
    /// every variable is there with the value `<redacted>`.
    pub environment: BTreeMap<String, String>,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
    pub(crate) policies: Policies,
    /// The name of the plugin to use, if the files have several.
    pub(crate) plugin: Option<String>,
}

/// Where a suite's policies are.
#[derive(Debug, Clone)]
pub(crate) enum Policies {
    /// In files: their names from where the command runs, and where the suite names them.
    Files(Vec<(String, Range<usize>)>),
    /// In the suite itself.
    Inline(Node),
    /// The suite leaves them to the command line.
    Unsaid(Range<usize>),
}

/// One or several requests, and the expected outcome of each.
#[derive(Debug, Clone)]
pub struct Case {
    /// The rule that the case shows, unique in its suite.
    pub name: String,
    /// Where the name stands in the file.
    pub(crate) span: Range<usize>,
    /// Where the case is run.
    pub layers: Vec<Layer>,
    /// The services that answer the filter's calls while the case runs.
    pub services: Vec<Service>,
    /// The requests, one after another in the same state. There is at least one.
    pub steps: Vec<Step>,
    /// Whether the case begins with a filter that has served no request, as cases with `steps` do.
    pub fresh: bool,
    /// By how much all steps together increment metrics.
    pub counters: BTreeMap<String, u64>,
}

/// Something that runs cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The engine, natively.
    Engine,
    /// The compiled filter in an emulated host.
    Wasm,
    /// The compiled filter in a real Envoy.
    Envoy,
}

impl Layer {
    /// Every layer, from the innermost to the outermost.
    pub const ALL: [Layer; 3] = [Layer::Engine, Layer::Wasm, Layer::Envoy];

    /// The word for it in files of cases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Engine => "engine",
            Layer::Wasm => "wasm",
            Layer::Envoy => "envoy",
        }
    }
}

/// The claims of a token.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// One request, and what happens before it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whether the waypoint normalises the path before the filter sees it.
    pub normalize_path: bool,
    /// How far the clock moves before the request.
    pub after: Duration,
    /// The index of the worker that serves the request. A real Envoy chooses a worker itself.
    pub worker: usize,
    /// The configuration that is delivered before the request.
    pub update: Option<Update>,
    /// When the request comes, in nanoseconds since the Unix epoch; `None` where neither the case
    /// nor a clock of the suite says it. A real Envoy has the machine's clock.
    pub time: Option<i64>,
    /// Who calls.
    pub caller: Caller,
    /// The claims of the token that the waypoint has verified; `None` if the request has none.
    pub jwt: Option<Claims>,
    /// The destination that the caller dialled; `None` if the waypoint has no name for it.
    pub destination: Option<String>,
    /// The caller's address with its port; `None` for any.
    pub source_address: Option<String>,
    /// The address that the caller dialled, with its port; `None` for any.
    pub destination_address: Option<String>,
    /// The request.
    pub request: Request,
    /// What the origin answers.
    pub origin: Origin,
    /// The expected outcome of the request.
    pub expect: Expect,
    /// The caller as `namespace/serviceAccount`, where the file leaves the trust domain to the
    /// configuration.
    pub(crate) short_caller: Option<String>,
    /// The trust domain of the waypoint itself.
    pub(crate) trust_domain: String,
}

/// A configuration that replaces the one in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The `pluginConfig`.
    pub config: serde_json::Value,
    /// Whether the filter is expected to accept it; otherwise the earlier one stays in force.
    pub accepted: bool,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A caller without a certificate.
    Anonymous,
    /// The holder of a certificate.
    Certified(Certificate),
}

/// The names in a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// URI SANs, in order.
    pub uris: Vec<String>,
    /// DNS SANs, in order.
    pub dns: Vec<String>,
}

impl Caller {
    /// The holder of a certificate with this SPIFFE ID.
    #[must_use]
    pub fn of(spiffe_id: String) -> Caller {
        Caller::Certified(Certificate { uris: vec![spiffe_id], dns: Vec::new() })
    }

    /// What Istio's filter chain writes as the peer's principal: URI SANs joined with commas, `-`
    /// where the certificate has none; `None` for a caller without a certificate.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        match self {
            Caller::Anonymous => None,
            Caller::Certified(certificate) if certificate.uris.is_empty() => Some("-".to_owned()),
            Caller::Certified(certificate) => Some(certificate.uris.join(",")),
        }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.principal().as_deref().unwrap_or("none"))
    }
}

/// A request as the client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The authority, with its port if it has one; `None` where the client sends no `Host`.
    pub host: Option<String>,
    /// Path and query, as they stand in the request line.
    pub path: String,
    /// The protocol, as Envoy names it: `HTTP/1.1`, `HTTP/2`.
    pub version: String,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: String,
}

/// What the origin answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The status.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A service that answers the filter's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name of its cluster in Envoy.
    pub cluster: String,
    /// One answer for each call, in order; the last one is given to all further calls. There is at
    /// least one.
    pub answers: Vec<Answer>,
}

/// What a service does when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How long it takes: before the answer comes, or before the connection is cut off.
    pub late: Duration,
    /// The answer, or what happens in its place.
    pub outcome: Result<Origin, Fault>,
}

/// What happens instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No answer comes.
    Never,
    /// The connection is cut off before an answer is complete.
    CutOff,
}
