//! What the demo runs on: certificates, the stand-in origin, and an Envoy that takes each step's
//! file as an update.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DemoError;
use crate::envoy::{Ports as FixedPorts, filter_wasm, workspace_root};
use crate::hbone::HboneError;
use crate::istio::{Derived, Local, Mesh, Origins, Ports, Release};
use crate::origin::{Mode, Origin};
use crate::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use crate::ports;
use crate::workshop::{Api, Asked, Request, Step};

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

#[derive(Debug)]
pub(super) struct Stage {
    pki: Arc<Pki>,
    origin: Option<Origin>,
    local: Local,
    mesh: Option<Mesh>,
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
        remove_old(&folder.join("access.log"))?;
        // The ports of `envoy.yaml`, so that one can be tried after the other.
        let fixed = FixedPorts::of_envoy_yaml();
        let origin =
            if real { None } else { Some(Origin::start(&pki, Mode::Workshop, fixed.origin)?) };
        let origins =
            if real { Origins::Real(authorities()?) } else { Origins::StandIn(fixed.origin) };
        let ports = Ports {
            hbone: fixed.hbone,
            admin: fixed.admin,
            pods: vec![fixed.team_a, fixed.team_b],
        };
        Ok(Self {
            pki,
            origin,
            local: Local { folder, wasm, origins, ports, workers: 1, logs_requests: true },
            mesh: None,
        })
    }

    /// Applies a step's file: the first starts Envoy, each further one is an update of it.
    pub(super) fn apply(&mut self, step: &Step) -> Result<(), DemoError> {
        let file = step.path(Api::WasmPlugin);
        match &mut self.mesh {
            Some(mesh) => mesh.apply(&file)?,
            None => {
                self.mesh =
                    Some(Mesh::start_at(&self.pki, Release::V1_27, self.local.clone(), &[file])?)
            }
        }
        Ok(())
    }

    /// Puts the plugin of a feature in the place of the workshop's.
    pub(super) fn apply_feature(&mut self, step: &Step) -> Result<(), DemoError> {
        if let Some(mesh) = &mut self.mesh {
            mesh.apply_text(&step.feature()?, step.file)?;
        }
        Ok(())
    }

    fn mesh(&self) -> &Mesh {
        self.mesh.as_ref().unwrap_or_else(|| panic!("the first step has been applied"))
    }

    /// What has been derived from the files so far.
    pub(super) fn derived(&self) -> &Derived {
        self.mesh().derived()
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.mesh.as_mut().is_some_and(|mesh| mesh.process_mut().is_running())
    }

    /// Where Envoy's log is.
    pub(super) fn log(&self) -> PathBuf {
        self.mesh().log()
    }

    /// Sends a request as its pod does and judges what came.
    pub(super) async fn ask(&self, step: &Step, request: &Request) -> Asked {
        step.ask(self.mesh(), self.origin.as_ref(), request).await
    }

    /// Opens HBONE with a pod's certificate, with one of another mesh, and with none.
    pub(super) async fn handshakes(&self) -> Vec<Handshake> {
        let cases = [
            ("team-a's certificate", Some(self.pki.caller(TEAM_A_SPIFFE_ID)), true),
            ("team-b's certificate", Some(self.pki.caller(TEAM_B_SPIFFE_ID)), true),
            (
                "team-a's name, certified by another mesh",
                Some(self.pki.unknown_caller(TEAM_A_SPIFFE_ID)),
                false,
            ),
            ("no certificate", None, false),
        ];
        let mut handshakes = Vec::new();
        for (who, credentials, accepted) in cases {
            let client = self.mesh().client(credentials.as_ref());
            let result = async { client.connect().await?.accepted().await }.await;
            let (passed, got) = match &result {
                Ok(()) => (accepted, "accepted".to_owned()),
                Err(HboneError::TlsRefused(reason)) => (!accepted, format!("refused: {reason}")),
                Err(error) => (false, error.to_string()),
            };
            handshakes.push(Handshake {
                who,
                expected: if accepted { "accepted" } else { "refused" },
                got,
                passed,
            });
        }
        handshakes
    }

    /// Writes a file for each pod with which `curl -K` speaks as that pod.
    pub(super) fn write_curl_files(&self) -> Result<(), DemoError> {
        let derived = self.derived();
        for caller in &derived.callers {
            let name = &caller.name;
            let mut text = format!(
                "# curl -K target/demo/{name}.curlrc http://api.github.com/zen  is a request of \
                 {name}.\n"
            );
            text.push_str(
                "silent\nshow-error\nnoproxy = \"*\"\nwrite-out = \" [%{http_code}]\\n\"\n",
            );
            for service in &derived.services {
                if let Some(address) = self.mesh().address(name, &service.host) {
                    text.push_str(&format!("connect-to = \"{}:80:{address}\"\n", service.host));
                }
            }
            std::fs::write(self.local.folder.join(format!("{name}.curlrc")), text)?;
        }
        Ok(())
    }
}

fn check_ports(real: bool) -> Result<(), DemoError> {
    let ports = FixedPorts::of_envoy_yaml();
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
    let taken: Vec<String> = wanted
        .iter()
        .filter(|(port, _)| !ports::is_free(*port))
        .map(|(port, purpose)| format!("port {port} ({purpose})"))
        .collect();
    if taken.is_empty() { Ok(()) } else { Err(DemoError::PortsTaken(taken.join(", "))) }
}

fn remove_old(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The system's file of trusted authorities.
pub(super) fn authorities() -> Result<PathBuf, DemoError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named
        .into_iter()
        .chain(AUTHORITIES.map(PathBuf::from))
        .find(|path| path.is_file())
        .ok_or(DemoError::NoAuthorities)
}
