//! The scenario files: their model and how they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The services that the local waypoint has an address for.
pub const SERVICES: [&str; 2] = ["api.github.com", "httpbingo.org"];

/// One file: a configuration and what requests meet under it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// The file's name, without its folder.
    #[serde(skip)]
    pub file: String,
    /// What the file is about, in one sentence.
    pub description: String,
    /// The `WasmPlugin`'s `pluginConfig`.
    pub config: serde_json::Value,
    /// Whether the waypoint itself normalises paths before the filter sees them, as Istio sets it
    /// up.
    #[serde(default = "yes")]
    pub normalize_path: bool,
    /// The requests.
    pub cases: Vec<Case>,
}

/// One request and what becomes of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// The rule that the case shows, unique in its file.
    pub name: String,
    /// Who calls.
    pub caller: Caller,
    /// The service that the caller dialled; see [`Case::destination`].
    destination: Option<String>,
    /// The request.
    pub request: RequestSpec,
    /// What becomes of it.
    pub expect: Expect,
    /// What the origin answers.
    #[serde(default)]
    pub origin: Origin,
    /// Where the case runs.
    #[serde(default = "Layer::all")]
    pub layers: Vec<Layer>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Caller {
    /// `team-a`, `team-b`, or `none` for a connection without a certificate.
    Named(Known),
    /// The holder of any other certificate.
    #[serde(rename_all = "camelCase")]
    Certificate(Certificate),
}

/// The callers that have a name in the scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// `spiffe://cluster.local/ns/team-a/sa/team-a`.
    TeamA,
    /// `spiffe://cluster.local/ns/team-b/sa/team-b`.
    TeamB,
    /// No certificate, and so no principal.
    None,
}

/// The names in a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// URI SANs, in order.
    #[serde(default)]
    pub uris: Vec<String>,
    /// DNS SANs, in order.
    #[serde(default)]
    pub dns: Vec<String>,
}

impl Caller {
    /// The certificate that the caller presents; `None` for a caller without one.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        let of = |team: &str| Certificate {
            uris: vec![format!("spiffe://cluster.local/ns/{team}/sa/{team}")],
            dns: Vec::new(),
        };
        match self {
            Self::Named(Known::TeamA) => Some(of("team-a")),
            Self::Named(Known::TeamB) => Some(of("team-b")),
            Self::Named(Known::None) => None,
            Self::Certificate(certificate) => Some(certificate.clone()),
        }
    }

    /// What Istio's filter chain writes as the peer's principal: URI SANs joined with commas, `-`
    /// where the certificate has none; `None` for a caller without a certificate.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        let uris = self.certificate()?.uris;
        Some(if uris.is_empty() { "-".to_owned() } else { uris.join(",") })
    }
}

/// A request as the client sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The authority: HTTP/1.1's `Host`; none is sent where it is left out.
    pub host: Option<String>,
    /// Path and query as they stand in the request line.
    pub path: String,
    /// The protocol, as Envoy names it.
    #[serde(default = "http11")]
    pub version: String,
    /// Header lines in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// What becomes of a request. What is left out is not looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// The status that the client sees. Unless the origin answers with one of these, the request
    /// must not reach it.
    pub status: Statuses,
    /// The body that the client sees, exactly.
    pub body: Option<String>,
    /// Headers that the client sees: all lines of a name, joined with `, `.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers that the client does not see.
    #[serde(default)]
    pub absent_headers: Vec<String>,
    /// What reaches the origin; where it is given, the request must reach it, or must not if it is
    /// `none`.
    pub upstream: Option<Upstream>,
    /// The audit record.
    pub audit: Option<AuditExpectation>,
    /// By how much the case increments metrics, by the name after any prefix of Envoy's.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
}

/// One status, or several that are all right.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// Any of these.
    AnyOf(Vec<u16>),
}

impl Statuses {
    /// Whether this status is all right.
    #[must_use]
    pub fn allows(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::AnyOf(several) => several.contains(&status),
        }
    }
}

/// Whether and how a request reaches the origin.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Upstream {
    /// `none`: it does not.
    Absent(Nothing),
    /// It does, in this form.
    Reached(UpstreamExpectation),
}

/// What reaches the origin. What is left out is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamExpectation {
    /// The method.
    pub method: Option<String>,
    /// The authority.
    pub host: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// The lines of a header, in order.
    #[serde(default)]
    pub headers: BTreeMap<String, Vec<String>>,
    /// Headers that do not reach it.
    #[serde(default)]
    pub absent: Vec<String>,
}

/// What the audit log gets.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum AuditExpectation {
    /// `none`: no record.
    Absent(Nothing),
    /// One record with at least these fields.
    Record(BTreeMap<String, serde_json::Value>),
}

/// The word `none`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nothing {
    /// Nothing at all.
    None,
}

/// What the origin answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Header lines in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { status: ok(), headers: Vec::new() }
    }
}

/// What a case runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The engine, natively.
    Engine,
    /// The compiled wasm in the emulated host.
    Wasm,
    /// The compiled wasm in a real Envoy.
    Envoy,
}

impl Layer {
    fn all() -> Vec<Self> {
        vec![Self::Engine, Self::Wasm, Self::Envoy]
    }
}

impl Case {
    /// The service that the caller dialled: the one that is given, else the one that the host
    /// names, else the first.
    #[must_use]
    pub fn destination(&self) -> String {
        if let Some(given) = &self.destination {
            return given.clone();
        }
        let host = self.request.host.clone().unwrap_or_default().to_ascii_lowercase();
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        let service = SERVICES.iter().find(|service| **service == name);
        (*service.unwrap_or(&SERVICES[0])).to_owned()
    }
}

/// Why a scenario file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder or a file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is no scenario.
    #[error("`{file}`: {source}")]
    Parse {
        /// The file's name.
        file: String,
        /// What is wrong, and where.
        source: serde_yaml_ng::Error,
    },
    /// It is a scenario that shows nothing, or shows it ambiguously.
    #[error("`{file}`: {problem}")]
    Useless {
        /// The file's name.
        file: String,
        /// What is wrong.
        problem: String,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// If it is not of the form described here, has no cases, or two cases of one name.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        let parsed: Result<Self, _> = serde_yaml_ng::from_str(text);
        let mut scenario =
            parsed.map_err(|source| LoadError::Parse { file: file.to_owned(), source })?;
        file.clone_into(&mut scenario.file);
        let useless = |problem: String| Err(LoadError::Useless { file: file.to_owned(), problem });
        if scenario.cases.is_empty() {
            return useless("it has no cases".to_owned());
        }
        let mut names = BTreeSet::new();
        for case in &scenario.cases {
            if !names.insert(case.name.as_str()) {
                return useless(format!("two cases are named `{}`", case.name));
            }
            if case.layers.is_empty() {
                return useless(format!("the case `{}` runs nowhere", case.name));
            }
        }
        Ok(scenario)
    }
}

/// Reads every `.yaml` file of a folder, in the order of their names.
///
/// # Errors
/// If one cannot be read or used.
pub fn load_dir(folder: impl AsRef<Path>) -> Result<Vec<Scenario>, LoadError> {
    let folder = folder.as_ref();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(failed(path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Scenario::parse(&name, &text)
    };
    paths.iter().map(read).collect()
}

fn yes() -> bool {
    true
}

fn get() -> String {
    "GET".to_owned()
}

fn http11() -> String {
    "HTTP/1.1".to_owned()
}

fn ok() -> u16 {
    200
}
