//! A cluster without nodes: etcd, the API server, and the controllers that a waypoint needs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::pki::{Authority, San};
use e2e::ports;
use e2e::process::Process;
use serde_json::Value;

use crate::part;

/// How long something may take to become so on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The token of who may do everything.
const ADMIN: &str = "admin";

/// The addresses of Services.
const SERVICES: &str = "10.96.0.0/16";

/// The controllers: those that make pods of a Gateway's Deployment, endpoints of pods, and a
/// service account for each namespace; and those that clear what belongs to nothing any more.
const CONTROLLERS: [&str; 7] = [
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    "serviceaccount-controller",
    "namespace-controller",
    "disruption-controller",
    "garbage-collector-controller",
];

/// A running cluster; it ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    _controllers: Process,
    api_server: Process,
    _etcd: Process,
}

/// What a program said, and whether it succeeded.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether its status was 0.
    pub succeeded: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Runs a program to its end, with this text as its input.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn by(command: &mut Command, input: &str) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let input = input.to_owned();
        // Written beside the reading: either pipe may be full. A program need not read its input.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            succeeded: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        })
    }

    /// The output of what was to succeed.
    ///
    /// # Errors
    /// When it did not; what it said is the message.
    pub fn output(self) -> io::Result<String> {
        if self.succeeded {
            return Ok(self.out);
        }
        Err(io::Error::other(format!("{}{}", self.out, self.err)))
    }
}

impl Cluster {
    /// Starts a cluster with nothing in it.
    ///
    /// # Errors
    /// When a part does not start; its log is in the message.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("egress-cluster-").tempdir()?;
        let [store, peers, port] = ports::free(3)?[..] else {
            return Err(io::Error::other("no ports"));
        };
        let mut etcd = etcd(store, peers)?;
        etcd.wait_for_port(store)?;
        write_secrets(folder.path(), port)?;
        let api_server = api_server(folder.path(), store, port)?;
        let controllers = controllers(folder.path())?;
        let mut cluster = Self { folder, port, _controllers: controllers, api_server, _etcd: etcd };
        cluster.await_ready()?;
        Ok(cluster)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.kubectl(&["get", "--raw", "/readyz"], "")?;
            if said.succeeded {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = self.api_server.log();
                return Err(io::Error::other(format!("not ready: {}\n{log}", said.err)));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs kubectl as who may do everything, with this text as its input.
    ///
    /// # Errors
    /// When it cannot be run at all.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> io::Result<Said> {
        let mut command = Command::new(part("kubectl"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments);
        Said::by(&mut command, input)
    }

    /// Applies YAML strictly, by the server, as the documents say; its output.
    ///
    /// # Errors
    /// When something is refused; what kubectl said is the message.
    pub fn apply(&self, text: &str) -> io::Result<String> {
        let arguments = ["apply", "--server-side", "--validate=strict", "-f", "-"];
        self.kubectl(&arguments, text)?.output()
    }

    /// A resource.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> io::Result<Value> {
        let text = self.kubectl(&["-n", namespace, "get", kind, name, "-o", "json"], "")?;
        serde_json::from_str(&text.output()?).map_err(io::Error::other)
    }

    /// All resources of a kind in a namespace, or those that a selector of labels chooses.
    ///
    /// # Errors
    /// When the kind is not known.
    pub fn list(&self, namespace: &str, kind: &str, selector: &str) -> io::Result<Vec<Value>> {
        let text =
            self.kubectl(&["-n", namespace, "get", kind, "-l", selector, "-o", "json"], "")?;
        let list: Value = serde_json::from_str(&text.output()?).map_err(io::Error::other)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until something is so, which `look` returns then.
    ///
    /// # Errors
    /// When it is not so in three minutes.
    pub fn wait_for<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> io::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("not seen: {what}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How clients reach it.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The port of the API server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The API server's certificate, the key of service accounts, and how its clients reach it.
fn write_secrets(folder: &Path, port: u16) -> io::Result<()> {
    let authority = Authority::new("kubernetes");
    let names = [San::Dns("localhost".to_owned())];
    authority.issue("api-server", &names).write(folder, "server")?;
    authority.issue("service-accounts", &[]).write(folder, "accounts")?;
    fs::write(folder.join("ca.pem"), authority.certificate_pem())?;
    fs::write(folder.join("tokens.csv"), format!("{ADMIN},{ADMIN},{ADMIN},system:masters\n"))?;
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": ADMIN}}],
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://localhost:{port}"),
            "certificate-authority": folder.join("ca.pem"),
        }}],
        "users": [{"name": ADMIN, "user": {"token": ADMIN}}],
    });
    fs::write(folder.join("kubeconfig"), kubeconfig.to_string())
}

fn etcd(port: u16, peers: u16) -> io::Result<Process> {
    let [clients, peers] = [port, peers].map(|port| format!("http://127.0.0.1:{port}"));
    Process::start(&part("etcd"), |folder, command| {
        // What it holds is gone with the test, so it need not survive a power cut.
        command.arg("--unsafe-no-fsync").arg("--data-dir").arg(folder.join("data")).args([
            &format!("--listen-client-urls={clients}"),
            &format!("--advertise-client-urls={clients}"),
            &format!("--listen-peer-urls={peers}"),
            &format!("--initial-advertise-peer-urls={peers}"),
            &format!("--initial-cluster=default={peers}"),
        ]);
        Ok(())
    })
}

fn api_server(files: &Path, store: u16, port: u16) -> io::Result<Process> {
    Process::start(&part("kube-apiserver"), |_, command| {
        let file = |option: &str, name: &str| format!("--{option}={}", files.join(name).display());
        command.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-cluster-ip-range={SERVICES}"),
            &format!("--etcd-servers=http://127.0.0.1:{store}"),
            &format!("--secure-port={port}"),
            &file("cert-dir", ""),
            &file("tls-cert-file", "server.pem"),
            &file("tls-private-key-file", "server.key"),
            &file("token-auth-file", "tokens.csv"),
            &file("service-account-key-file", "accounts.pem"),
            &file("service-account-signing-key-file", "accounts.key"),
        ]);
        Ok(())
    })
}

fn controllers(files: &Path) -> io::Result<Process> {
    Process::start(&part("kube-controller-manager"), |_, command| {
        command.args([
            "--secure-port=0",
            "--leader-elect=false",
            &format!("--controllers={}", CONTROLLERS.join(",")),
            &format!("--kubeconfig={}", files.join("kubeconfig").display()),
        ]);
        Ok(())
    })
}
