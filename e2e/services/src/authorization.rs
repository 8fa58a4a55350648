//! Servers that are asked whether a request may pass.

use std::fs;
use std::io;
use std::process::Command;

use e2e::envoy::workspace_root;
use e2e::process::Process;
use serde_json::Value;

use crate::program;

/// The Open Policy Agent, with the policy of `e2e/services/opa`.
#[derive(Debug)]
pub struct Opa {
    process: Process,
    port: u16,
}

impl Opa {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn start() -> io::Result<Self> {
        let policy = workspace_root().join("e2e/services/opa/policy.rego");
        let mut process = Process::start(&program("OPA"), |_, command| {
            command.args(["run", "--server", "--addr", "127.0.0.1:0", "--disable-telemetry"]);
            command.args(["--set", "decision_logs.console=true"]);
            command.args(["--set", "plugins.envoy_ext_authz_grpc.addr=127.0.0.1:0"]);
            command.arg(policy);
            Ok(())
        })?;
        let port = process.wait_for("where it listens", |process| {
            let log = process.log();
            let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })?;
        process.wait_for_port(port)?;
        Ok(Self { process, port })
    }

    /// Where it takes calls, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its decision log: for each decision its `input`, which is the whole check request, and its
    /// `result`.
    #[must_use]
    pub fn decisions(&self) -> Vec<Value> {
        let log = self.process.log();
        let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.filter(|entry| entry["msg"] == "Decision Log").collect()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

/// Istio's server for trying external authorization. It allows the callers of one service account,
/// and every request with `x-ext-authz: allow`; a request with another value there it denies. Its
/// answers say what it was asked.
#[derive(Debug)]
pub struct ExtAuthz {
    _process: Process,
    grpc: u16,
    http: u16,
}

impl ExtAuthz {
    /// Starts it, to allow this service account, and waits until it serves. It can only be told
    /// ports, not addresses, so it listens on all interfaces.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(service_account: &str) -> io::Result<Self> {
        let [grpc, http] = e2e::ports::free(2)?[..] else {
            return Err(io::Error::other("two ports were asked for"));
        };
        let mut process = Process::start(&program("EXTAUTHZ"), |_, command| {
            command.args(["-grpc", &grpc.to_string(), "-http", &http.to_string()]);
            command.args(["-allow_service_account", service_account]);
            Ok(())
        })?;
        process.wait_for_port(grpc)?;
        process.wait_for_port(http)?;
        Ok(Self { _process: process, grpc, http })
    }

    /// Where it takes gRPC calls.
    #[must_use]
    pub fn grpc_port(&self) -> u16 {
        self.grpc
    }

    /// Where it takes HTTP requests.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http
    }
}

/// oauth2-proxy, which answers `/oauth2/auth` with 202 and the user's name, or with 401. The one
/// user is [`OAuth2Proxy::USER`].
#[derive(Debug)]
pub struct OAuth2Proxy {
    _process: Process,
    port: u16,
}

impl OAuth2Proxy {
    /// The user that it knows.
    pub const USER: &str = "robot";
    /// The user's name and password, `robot:s3cret`, as the header `authorization` has them.
    pub const CREDENTIALS: &str = "Basic cm9ib3Q6czNjcmV0";

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn start() -> io::Result<Self> {
        let [port] = e2e::ports::free(1)?[..] else {
            return Err(io::Error::other("one port was asked for"));
        };
        let mut process = Process::start(&program("OAUTH2_PROXY"), |folder, command| {
            // SHA-1 of the password, in base64.
            let users = folder.join("users");
            fs::write(&users, "robot:{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=\n")?;
            configure(command, port).arg("--htpasswd-file").arg(users);
            Ok(())
        })?;
        process.wait_for_port(port)?;
        Ok(Self { _process: process, port })
    }

    /// Where it takes HTTP requests, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// It insists on an OAuth provider, which nobody asks here.
fn configure(command: &mut Command, port: u16) -> &mut Command {
    command.args([
        "--provider=github",
        "--client-id=unused",
        "--client-secret=unused",
        "--cookie-secret=0123456789abcdef0123456789abcdef",
        "--email-domain=*",
        "--upstream=static://200",
        "--set-xauthrequest",
    ]);
    command.arg(format!("--http-address=127.0.0.1:{port}"))
}
