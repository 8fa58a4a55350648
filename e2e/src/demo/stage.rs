//! What the demo happens on: certificates, the stand-in origin, and an Envoy that is started anew for each set of policies.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DemoError, Request, Step};
use crate::demo::steps::Expected;
use crate::envoy::{Configuration, EnvoyProcess, Launch, Pod, Ports, filter_wasm, plain_request, workspace_root};
use crate::hbone::{HboneClient, HboneError};
use crate::http1;
use crate::origin::{Mode, Origin};
use crate::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use crate::ports;

/// What the filter answers to a request that it denies.
const DENIAL: &str = "authorization failed";

/// Where systems keep the authorities that they trust.
const AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
];

/// One handshake of the first step.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) who: &'static str,
    pub(super) expected: &'static str,
    pub(super) got: String,
    pub(super) passed: bool,
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) expected: String,
    pub(super) got: String,
    pub(super) passed: bool,
    /// The filter's audit record of it.
    pub(super) audit: Option<String>,
}

#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    pki: Arc<Pki>,
    origin: Option<Origin>,
    configuration: Configuration,
    /// The plugin's configuration with all policies.
    plugin: Value,
    /// Whether `envoy.yaml` serves as it is once all policies are in force.
    verbatim: bool,
    running: Option<(usize, EnvoyProcess)>,
}

impl Stage {
    pub(super) fn set_up(real: bool) -> Result<Self, DemoError> {
        let folder = workspace_root().join("target/demo");
        let wasm = filter_wasm();
        if !wasm.is_file() {
            return Err(DemoError::NoFilter(wasm));
        }
        check_ports(real)?;
        let pki = Arc::new(Pki::new());
        pki.write(&folder.join("pki"))?;
        remove_old(&folder.join("access.log"))?;
        let ports = Ports::of_envoy_yaml();
        let origin = if real { None } else { Some(Origin::start(&pki, Mode::Workshop, ports.origin)?) };

        let mut configuration = Configuration::load(&workspace_root().join("envoy.yaml"))?;
        let text = configuration.plugin_configuration()?;
        let plugin = serde_json::from_str(&text).map_err(|error| DemoError::Policies(format!("is no JSON: {error}")))?;
        configuration.set_wasm(&wasm)?;
        if real {
            configuration.use_real_origins(&authorities()?)?;
        }
        let verbatim = !real && wasm == workspace_root().join("target/wasm32-wasip1/release/egress_filter.wasm");
        Ok(Self { folder, pki, origin, configuration, plugin, verbatim, running: None })
    }

    /// The names of the first policies, in order.
    pub(super) fn policy_names(&self, count: usize) -> Vec<String> {
        let policies = self.plugin["policies"].as_array().into_iter().flatten().take(count);
        policies.map(|policy| policy["name"].as_str().unwrap_or("without a name").to_owned()).collect()
    }

    /// Starts Envoy with the first policies of `envoy.yaml`, unless it runs with just these.
    pub(super) fn put_in_force(&mut self, count: usize) -> Result<(), DemoError> {
        if self.running.as_ref().is_some_and(|(running, _)| *running == count) {
            return Ok(());
        }
        let mut plugin = self.plugin.clone();
        let policies = plugin["policies"].as_array_mut().filter(|policies| policies.len() >= count);
        let policies = policies.ok_or_else(|| DemoError::Policies(format!("needs {count} policies")))?;
        let all = policies.len() == count;
        policies.truncate(count);

        self.running = None; // its ports are needed
        let path = if all && self.verbatim {
            workspace_root().join("envoy.yaml")
        } else {
            let mut configuration = self.configuration.clone();
            configuration.set_plugin_configuration(&plugin.to_string())?;
            let path = self.folder.join("envoy.json");
            configuration.write(&path)?;
            path
        };
        let launch = Launch {
            configuration: path,
            working_directory: workspace_root(),
            log: self.log(),
            admin_port: Ports::of_envoy_yaml().admin,
            workers: 1,
            remove_if_orphaned: None,
        };
        self.running = Some((count, EnvoyProcess::start(&launch)?));
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|(_, process)| process.is_running())
    }

    /// Where Envoy's log is.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("envoy.log")
    }

    /// Shows the HBONE port a pod's certificate, one of another mesh, and none.
    pub(super) async fn handshakes(&self) -> Vec<Handshake> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, Ports::of_envoy_yaml().hbone));
        let cases = [
            ("team-a's certificate", Some(self.pki.caller(TEAM_A_SPIFFE_ID)), true),
            ("team-b's certificate", Some(self.pki.caller(TEAM_B_SPIFFE_ID)), true),
            ("team-a's name, certified by another mesh", Some(self.pki.unknown_caller(TEAM_A_SPIFFE_ID)), false),
            ("no certificate", None, false),
        ];
        let mut handshakes = Vec::new();
        for (who, credentials, accepted) in cases {
            let result = HboneClient::new(address, &self.pki, credentials.as_ref()).connect().await;
            let (passed, got) = match &result {
                Ok(_) => (accepted, "accepted".to_owned()),
                Err(HboneError::TlsRefused(reason)) => (!accepted, format!("refused: {reason}")),
                Err(error) => (false, error.to_string()),
            };
            handshakes.push(Handshake { who, expected: if accepted { "accepted" } else { "refused" }, got, passed });
        }
        handshakes
    }

    /// Sends a request as its pod does and judges what came.
    pub(super) async fn ask(&self, step: &Step, request: &Request) -> Asked {
        let mut message = http1::Request::get(request.host, request.path).header("User-Agent", "egress-demo").header("Accept", "*/*");
        for (name, value) in request.headers {
            message = message.header(name, value);
        }
        if let Some(origin) = &self.origin {
            origin.take_requests();
        }
        let audited = self.audit_lines().len();
        let expected = expectation(request.expected, self.origin.is_some() || is_echo(request));
        let response = match plain_request(pod_address(request.pod, request.host), &message).await {
            Ok(response) => response,
            Err(error) => return Asked { expected, got: error.to_string(), passed: false, audit: None },
        };
        let audit = self.await_audit(audited).await;
        let (mut passed, mut got) = self.judge(request, &response);
        // Every decision must be on record and name its caller; with no policy loaded there is none to decide by.
        if step.policies > 0 && !audit.as_ref().is_some_and(|record| record.contains(request.pod.name())) {
            passed = false;
            got.push_str(&format!("; no audit record names {}", request.pod.name()));
        }
        Asked { expected, got, passed, audit }
    }

    fn judge(&self, request: &Request, response: &http1::Response) -> (bool, String) {
        let body = response.text();
        let got = format!("{}  {}", response.status, in_brief(&body));
        match request.expected {
            Expected::Allowed => (response.status == 200, got),
            Expected::Denied => (response.status == 403 && body == DENIAL, got),
            Expected::Headers(headers) => {
                if response.status != 200 {
                    return (false, got);
                }
                let Some(arrived) = self.headers_at_origin(request, &body) else { return (true, got) };
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

    /// The headers at the origin: as the echo tells, or as the stand-in recorded them; a real api.github.com tells nothing.
    fn headers_at_origin(&self, request: &Request, body: &str) -> Option<http1::Headers> {
        if !is_echo(request) {
            return Some(self.origin.as_ref()?.take_requests().pop().map(|received| received.headers).unwrap_or_default());
        }
        let echo: Value = serde_json::from_str(body).unwrap_or_default();
        let lines = echo["headers"].as_object().into_iter().flatten().flat_map(|(name, values)| {
            let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
            values.map(move |value| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        });
        Some(http1::Headers(lines.collect()))
    }

    fn audit_lines(&self) -> Vec<String> {
        self.running.as_ref().map(|(_, process)| process.audit_lines()).unwrap_or_default()
    }

    async fn await_audit(&self, seen: usize) -> Option<String> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            if let Some(line) = self.audit_lines().into_iter().nth(seen) {
                return Some(line);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes a file for each pod with which `curl -K` speaks as that pod.
    pub(super) fn write_curl_files(&self) -> Result<(), DemoError> {
        for pod in Pod::ALL {
            let mut text = format!("# curl -K target/demo/{0}.curlrc http://api.github.com/zen  is a request of {0}.\n", pod.name());
            text.push_str("silent\nshow-error\nnoproxy = \"*\"\nwrite-out = \" [%{http_code}]\\n\"\n");
            for host in ["api.github.com", "httpbingo.org"] {
                text.push_str(&format!("connect-to = \"{host}:80:{}\"\n", pod_address(pod, host)));
            }
            std::fs::write(self.folder.join(format!("{}.curlrc", pod.name())), text)?;
        }
        Ok(())
    }
}

fn pod_address(pod: Pod, host: &str) -> SocketAddr {
    let ports = Ports::of_envoy_yaml();
    let index = usize::from(host == "httpbingo.org");
    (Ipv4Addr::LOCALHOST, ports.pod(pod)[index]).into()
}

fn expectation(expected: Expected, headers_visible: bool) -> String {
    match expected {
        Expected::Allowed => "200".to_owned(),
        Expected::Denied => format!("403  {DENIAL}"),
        Expected::Headers(_) if !headers_visible => "200".to_owned(),
        Expected::Headers(headers) => {
            let lines = headers.iter().map(|(name, values)| header_line(name, values));
            std::iter::once("200".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
        }
    }
}

fn header_line(name: &str, values: &[impl AsRef<str>]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    if values.is_empty() { format!("{name} is gone") } else { format!("{name}: {}", values.join(" | ")) }
}

/// Whether the answer is an echo of the headers, as httpbingo.org gives it.
fn is_echo(request: &Request) -> bool {
    request.path == "/headers"
}

/// A body on one line of bearable length.
fn in_brief(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn check_ports(real: bool) -> Result<(), DemoError> {
    let ports = Ports::of_envoy_yaml();
    let mut wanted = vec![
        (ports.team_a[0], "team-a to api.github.com"),
        (ports.team_a[1], "team-a to httpbingo.org"),
        (ports.team_b[0], "team-b to api.github.com"),
        (ports.team_b[1], "team-b to httpbingo.org"),
        (ports.hbone, "HBONE"),
        (ports.admin, "Envoy's admin"),
    ];
    if !real {
        wanted.push((ports.origin, "the stand-in origin"));
    }
    let taken: Vec<String> =
        wanted.iter().filter(|(port, _)| !ports::is_free(*port)).map(|(port, purpose)| format!("port {port} ({purpose})")).collect();
    if taken.is_empty() { Ok(()) } else { Err(DemoError::PortsTaken(taken.join(", "))) }
}

fn remove_old(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn authorities() -> Result<PathBuf, DemoError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named.into_iter().chain(AUTHORITIES.map(PathBuf::from)).find(|path| path.is_file()).ok_or(DemoError::NoAuthorities)
}
