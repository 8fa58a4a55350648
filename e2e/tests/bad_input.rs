//! Bad input, at the compiled filter in a real Envoy and in the emulated host: every request gets
//! an answer, the answer is the one that was designed, and the worker serves on.

#[path = "bad_input/expressions.rs"]
mod expressions;
#[path = "bad_input/host_calls.rs"]
mod host_calls;
#[path = "bad_input/http2.rs"]
mod http2;
#[path = "bad_input/identities.rs"]
mod identities;
#[path = "bad_input/interim.rs"]
mod interim;
#[path = "bad_input/log_text.rs"]
mod log_text;
#[path = "bad_input/messages.rs"]
mod messages;
#[path = "bad_input/random.rs"]
mod random;
#[path = "bad_input/refusals.rs"]
mod refusals;
#[path = "bad_input/requests.rs"]
mod requests;
#[path = "bad_input/targets.rs"]
mod targets;
#[path = "bad_input/trailers.rs"]
mod trailers;

use std::sync::{Arc, LazyLock};

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::hbone::HboneClient;
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};

const GITHUB: &str = "api.github.com";

/// Policies that read path, headers and identity, and change headers both ways.
const POLICIES: &str = r#"{
  "identity": {"trustDomains": ["cluster.local"]},
  "policies": [
    {"name": "callers", "traffic": {"authorization": {
      "action": "Allow", "policy": {"matchExpressions": [
      "source.identity.namespace == 'team-a' && source.identity.serviceAccount == 'team-a'"]}}}},
    {"name": "paths", "traffic": {"authorization": {
      "action": "Deny", "policy": {"matchExpressions": [
      "request.path.startsWith('/users/') || request.pathAndQuery.contains('forbidden')"]}}}},
    {"name": "tokens", "traffic": {"authorization": {
      "action": "Deny", "policy": {"matchExpressions": [
      "'x-token' in request.headers && request.headers['x-token'].matches('^bad')"]}}}},
    {"name": "headers", "traffic": {"transformation": {
      "request": {
        "set": [
          {
              "name": "X-Caller-Identity",
              "value": "source.identity.namespace + '/' + source.identity.serviceAccount"
          },
          {"name": "X-Seen-Path", "value": "request.pathAndQuery"},
          {"name": "X-Copy", "value": "request.headers['x-in']"}],
        "add": [{"name": "X-Forwarded-By", "value": "'egress'"}],
        "remove": ["X-Internal-Debug"]},
      "response": {
        "set": [
            {"name": "X-Egress-Method", "value": "request.method"},
            {"name": "X-Egress-In", "value": "request.headers['x-in']"}
        ],
        "add": [{"name": "X-Origin-Repeat", "value": "string(response.code)"}],
        "remove": ["X-Origin-Mode"]}}}}
  ],
  "audit": {"log": "All"}
}"#;

/// A waypoint with these policies, and the origin behind it.
struct Setting {
    pki: Arc<Pki>,
    origin: Origin,
    waypoint: Waypoint,
}

impl Setting {
    fn start(normalize_path: bool) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
        let options = WaypointOptions::new(&pki, origin.port())
            .plugin_configuration(POLICIES)
            .normalize_path(normalize_path);
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { pki, origin, waypoint }
    }

    fn team_a(&self) -> HboneClient {
        self.waypoint.caller(TEAM_A_SPIFFE_ID)
    }

    fn vip(&self) -> String {
        self.waypoint.vip(GITHUB)
    }

    /// The worker has survived everything that was sent to it: no trap, no reload, and it serves.
    async fn assert_unharmed(&self) {
        let response = self
            .team_a()
            .request(&self.vip(), &Request::get(GITHUB, "/zen"))
            .await
            .expect("the plain request");
        assert_eq!(response.status, 200, "the plain request after it: {response:?}");
        for line in self.waypoint.log_lines() {
            let traps = [
                "Uncaught",
                "Function: proxy_",
                "wasm trap",
                "Wasm VM",
                "VM failed",
                "RuntimeError",
                "panicked",
            ];
            assert!(!traps.iter().any(|sign| line.contains(sign)), "Envoy's log: {line}");
        }
        let failed = self
            .waypoint
            .access_log()
            .into_iter()
            .find(|entry| entry.to_string().contains("wasm_fail_stream"));
        assert_eq!(failed, None, "a request met a dead VM");
        let stats = self.waypoint.stats("").expect("Envoy's statistics");
        assert!(
            stats.keys().any(|name| name.contains("vm_reload")),
            "no statistics of the VM: {:?}",
            stats.keys()
        );
        let bad = |name: &str| {
            name.contains("wasm") && (name.contains("reload") || name.contains("fail"))
        };
        let bad = stats.iter().filter(|(name, value)| bad(name) && **value > 0).collect::<Vec<_>>();
        assert!(bad.is_empty(), "the VM failed: {bad:?}");
    }
}

/// Envoy's path normalization is off, so that the filter sees every trick.
static RAW: LazyLock<Setting> = LazyLock::new(|| Setting::start(false));

/// Who answered, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The request went on, and its origin answered.
    Origin(u16),
    /// The filter refused it.
    Filter(u16),
    /// Envoy refused it, before or behind the filter.
    Envoy(u16),
}

impl Answer {
    fn of(response: &Response) -> Self {
        let status = response.status;
        let ours = match status {
            403 => "authorization failed",
            400 => "bad request",
            _ => "",
        };
        // Only the echo sends this one, and the filter, which adds to it, changes no denial.
        if response.header("x-origin-host").is_some() {
            return Self::Origin(status);
        }
        let length = response.header("content-length").and_then(|text| text.parse::<usize>().ok());
        if !ours.is_empty()
            && (response.text() == ours || (response.body.is_empty() && length == Some(ours.len())))
        {
            return Self::Filter(status);
        }
        Self::Envoy(status)
    }
}
