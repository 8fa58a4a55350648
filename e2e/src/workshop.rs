//! The egress workshop as data: its steps, the file that each applies, its requests and what must
//! come of them; and the asking and judging that the demo and the tests share.

mod features;
mod plugin;
mod steps;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::envoy::workspace_root;
use crate::http1::{self, Headers, Response};
use crate::istio::Mesh;
use crate::origin::{Origin, Received};

pub use features::FEATURES;
pub use plugin::{plugin, stand_in, variables};
pub use steps::STEPS;

/// What the filter answers to a request that it denies.
pub const DENIAL: &str = "authorization failed";

/// One step of the workshop.
#[derive(Debug)]
pub struct Step {
    /// What the workshop calls it.
    pub title: &'static str,
    /// What it shows.
    pub note: &'static str,
    /// The file that is applied: of `filter-config/`, or, of [`FEATURES`], of `e2e/demo/`.
    pub file: &'static str,
    /// Whether that file holds the plugin, so that `filter-config/traffic-extension/` has one of
    /// the same name.
    pub plugin: bool,
    /// The policies that are in force from then on.
    pub policies: &'static [&'static str],
    /// What is asked.
    pub requests: &'static [Request],
}

/// One request of a pod, and what must come of it.
#[derive(Debug)]
pub struct Request {
    /// The pod, by its namespace.
    pub caller: &'static str,
    /// The service.
    pub host: &'static str,
    /// The path.
    pub path: &'static str,
    /// Headers beside those of any client.
    pub headers: &'static [(&'static str, &'static str)],
    /// What must come of it.
    pub expected: Expected,
}

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The origin's answer.
    Allowed,
    /// The filter's refusal: 403 and its body.
    Denied,
    /// An answer of the filter's own, with this status and body; the origin gets nothing.
    Answered(u16, &'static str),
    /// The origin's answer, and this path with its query at the origin.
    Target(&'static str),
    /// The origin's answer, and these headers at the origin: the name with all its values, none for
    /// a header that is gone.
    Headers(&'static [(&'static str, &'static [&'static str])]),
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// What was expected, in words.
    pub expected: String,
    /// What came, in words.
    pub got: String,
    /// Whether that is as expected.
    pub passed: bool,
    /// The filter's audit record of it.
    pub audit: Option<String>,
}

/// The API by which the plugin is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Since Istio 1.12.
    WasmPlugin,
    /// Since Istio 1.30.
    TrafficExtension,
}

impl Step {
    /// The file that this step applies.
    pub fn path(&self, api: Api) -> PathBuf {
        let folder = workspace_root().join("filter-config");
        if self.plugin && api == Api::TrafficExtension {
            folder.join("traffic-extension").join(self.file)
        } else {
            folder.join(self.file)
        }
    }

    /// Sends a request of this step as its pod does and judges what came; with a stand-in for the
    /// origins, also what arrived there.
    pub async fn ask(&self, mesh: &Mesh, origin: Option<&Origin>, request: &Request) -> Asked {
        let message = request.message();
        if let Some(origin) = origin {
            origin.take_requests();
        }
        let audited = mesh.process().audit_lines().len();
        let expected = request.expectation(origin.is_some());
        let response = match mesh.request(request.caller, request.host, &message).await {
            Ok(response) => response,
            Err(error) => {
                return Asked { expected, got: error.to_string(), passed: false, audit: None };
            }
        };
        let audit = await_audit(mesh, audited, !self.policies.is_empty()).await;
        let (mut passed, mut got) = request.judge(&response, origin);
        // Every decision must be recorded with its caller; without policies there is no decision.
        if !self.policies.is_empty()
            && !audit.as_ref().is_some_and(|record| record.contains(request.caller))
        {
            passed = false;
            got.push_str(&format!("; no audit record names {}", request.caller));
        }
        Asked { expected, got, passed, audit }
    }
}

/// The next audit record; Envoy's log is a moment behind the response.
async fn await_audit(mesh: &Mesh, seen: usize, expected: bool) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(line) = mesh.process().audit_lines().into_iter().nth(seen) {
            return Some(line);
        }
        if !expected || Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Request {
    /// What is sent.
    pub fn message(&self) -> http1::Request {
        let message = http1::Request::get(self.host, self.path)
            .header("User-Agent", "egress-demo")
            .header("Accept", "*/*");
        let add =
            |message: http1::Request, (name, value): &(&str, &str)| message.header(name, value);
        self.headers.iter().fold(message, add)
    }

    fn expectation(&self, stand_in: bool) -> String {
        match self.expected {
            Expected::Allowed => "200".to_owned(),
            Expected::Denied => format!("403  {DENIAL}"),
            Expected::Answered(status, body) => format!("{status}  {body}"),
            Expected::Target(target) => format!("200\nat the origin {target}"),
            // A real api.github.com does not report what reached it.
            Expected::Headers(_) if !stand_in && !self.is_echo() => "200".to_owned(),
            Expected::Headers(headers) => {
                let lines = headers.iter().map(|(name, values)| header_line(name, values));
                std::iter::once("200".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// Whether a response, and with a stand-in for the origins what arrived there, is as expected;
    /// and what came, in words.
    pub fn judge(&self, response: &Response, origin: Option<&Origin>) -> (bool, String) {
        let body = response.text();
        let got = format!("{}  {}", response.status, in_brief(&body));
        match self.expected {
            Expected::Allowed => (response.status == 200, got),
            Expected::Denied => {
                let (stopped, got) = stopped(got, origin);
                (response.status == 403 && body == DENIAL && stopped, got)
            }
            Expected::Answered(status, expected) => {
                let (stopped, got) = stopped(got, origin);
                (response.status == status && body == expected && stopped, got)
            }
            Expected::Target(target) => {
                let arrived = target_at_origin(&body, origin);
                let got = format!("{}\nat the origin {arrived}", response.status);
                (response.status == 200 && arrived == target, got)
            }
            Expected::Headers(headers) => {
                if response.status != 200 {
                    return (false, got);
                }
                let Some(arrived) = self.headers_at_origin(&body, origin) else {
                    return (true, got);
                };
                let mut passed = true;
                let mut lines = vec!["200".to_owned()];
                for (name, values) in headers {
                    let arrived: Vec<_> = arrived.all(name).map(String::from_utf8_lossy).collect();
                    passed &= arrived == *values;
                    lines.push(header_line(name, &arrived));
                }
                (passed, lines.join("\n"))
            }
        }
    }

    /// The headers at the origin: as the echo tells, or as the stand-in recorded them; a real
    /// api.github.com reports nothing.
    fn headers_at_origin(&self, body: &str, origin: Option<&Origin>) -> Option<Headers> {
        if !self.is_echo() {
            return Some(
                origin?.take_requests().pop().map(|received| received.headers).unwrap_or_default(),
            );
        }
        let echo: Value = serde_json::from_str(body).unwrap_or_default();
        let lines = echo["headers"].as_object().into_iter().flatten().flat_map(|(name, values)| {
            let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
            values.map(move |value| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        });
        Some(Headers(lines.collect()))
    }

    /// Whether the answer is an echo of the headers, as httpbingo.org gives it.
    fn is_echo(&self) -> bool {
        self.path == "/headers"
    }
}

/// Whether the origin got nothing, and if it did, that.
fn stopped(got: String, origin: Option<&Origin>) -> (bool, String) {
    // A service that is asked about a request is a host of the origin's too.
    let is_asked = |request: &Received| request.target == "/bearer";
    let got_it = |origin: &Origin| !origin.take_requests().iter().all(is_asked);
    match origin.is_some_and(got_it) {
        true => (false, format!("{got}; the origin got the request all the same")),
        false => (true, got),
    }
}

/// The path with its query that arrived: as the stand-in recorded it, or as the echo tells.
fn target_at_origin(body: &str, origin: Option<&Origin>) -> String {
    if let Some(origin) = origin {
        return origin.take_requests().pop().map(|received| received.target).unwrap_or_default();
    }
    let echo: Value = serde_json::from_str(body).unwrap_or_default();
    let url = echo["url"].as_str().unwrap_or_default();
    let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    path.unwrap_or_default().to_owned()
}

fn header_line(name: &str, values: &[impl AsRef<str>]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    if values.is_empty() {
        format!("{name} is gone")
    } else {
        format!("{name}: {}", values.join(" | "))
    }
}

/// A body on one line, cut to a readable length.
fn in_brief(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
