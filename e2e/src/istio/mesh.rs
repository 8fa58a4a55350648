//! A real Envoy that runs what has been applied, and takes each further file as it would take
//! istiod's update.

mod updates;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::derive::{DeriveError, Derived, Release};
use super::envoy;
use super::local::{Local, LocalError, Origins, Ports, vip};
use super::resources::{ResourceError, Resources};
use crate::envoy::{EnvoyProcess, Launch, StartError, filter_wasm, plain_request, workspace_root};
use crate::hbone::HboneClient;
use crate::http1::{Request, Response};
use crate::pki::{Credentials, Pki, San};
use crate::ports;

use updates::Updates;

/// How many times other ports are tried when some were taken between their choice and their use.
const ATTEMPTS: usize = 5;

/// How many pods, and ports of services, have a port each in a mesh on free ports.
const PODS: usize = 3;
const ROUTES: usize = 4;

/// Why a mesh could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// A file could not be applied.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// No waypoint could be derived.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The waypoint cannot run here.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Envoy did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file could not be written, or Envoy's admin interface not be asked.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Envoy refused an update.
    #[error("envoy refused the update of {what}; the end of its log:\n{log}")]
    Refused {
        /// What was updated.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// Envoy does not answer any more.
    #[error("envoy has ended ({error}); the end of its log:\n{log}")]
    Ended {
        /// What came of asking it.
        error: io::Error,
        /// The last lines of its log.
        log: String,
    },
    /// Envoy did not take an update.
    #[error("envoy did not take the update of {what} within {limit:?}; the end of its log:\n{log}")]
    NotTaken {
        /// What was updated.
        what: String,
        /// How long was waited.
        limit: std::time::Duration,
        /// The last lines of its log.
        log: String,
    },
}

impl MeshError {
    /// Whether somebody else had taken a port.
    pub fn is_taken_port(&self) -> bool {
        match self {
            Self::Start(error) => error.is_taken_port(),
            Self::Refused { log, .. } => log.contains("Address already in use"),
            _ => false,
        }
    }
}

/// A running waypoint with the pods that call through it; it ends when it is dropped.
#[derive(Debug)]
pub struct Mesh {
    release: Release,
    resources: Resources,
    derived: Derived,
    local: Local,
    pki: Arc<Pki>,
    certified: BTreeSet<String>,
    updates: Updates,
    process: EnvoyProcess,
    /// Ports that no listener has yet, kept from others.
    reserved: Vec<(u16, TcpListener)>,
    /// Removed with the mesh, where it has no folder of its own.
    _folder: Option<tempfile::TempDir>,
}

impl Mesh {
    /// Starts a mesh of a release of Istio in which these files have been applied in order, in a
    /// folder and on ports of its own; the origins are on one port of 127.0.0.1.
    ///
    /// # Errors
    /// When a file is not understood or Envoy does not take what comes of it.
    pub fn start(
        pki: &Arc<Pki>,
        release: Release,
        origin: u16,
        files: &[PathBuf],
    ) -> Result<Self, MeshError> {
        let parent = workspace_root().join("target/e2e");
        std::fs::create_dir_all(&parent)?;
        for attempt in 1.. {
            let folder = tempfile::Builder::new().prefix("mesh-").tempdir_in(&parent)?;
            let mut free = ports::free(2 + PODS * ROUTES)?.into_iter();
            let (hbone, admin) = (free.next().unwrap_or_default(), free.next().unwrap_or_default());
            let pods: Vec<Vec<u16>> =
                (0..PODS).map(|_| free.by_ref().take(ROUTES).collect()).collect();
            let reserved: io::Result<Vec<_>> = pods
                .iter()
                .flatten()
                .map(|port| Ok((*port, TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?)))
                .collect();
            let Ok(reserved) = reserved else { continue };
            let local = Local {
                folder: folder.path().to_path_buf(),
                wasm: filter_wasm(),
                origins: Origins::StandIn(origin),
                ports: Ports { hbone, admin, pods },
                workers: 1,
                logs_requests: true,
            };
            match Self::start_reserved(pki, release, local, files, reserved) {
                Ok(mesh) => return Ok(Self { _folder: Some(folder), ..mesh }),
                Err(error) if attempt < ATTEMPTS && error.is_taken_port() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Starts a mesh of a release of Istio in which these files have been applied in order, with
    /// these local parts.
    ///
    /// # Errors
    /// When a file is not understood or Envoy does not take what comes of it.
    pub fn start_at(
        pki: &Arc<Pki>,
        release: Release,
        local: Local,
        files: &[PathBuf],
    ) -> Result<Self, MeshError> {
        Self::start_reserved(pki, release, local, files, Vec::new())
    }

    fn start_reserved(
        pki: &Arc<Pki>,
        release: Release,
        local: Local,
        files: &[PathBuf],
        mut reserved: Vec<(u16, TcpListener)>,
    ) -> Result<Self, MeshError> {
        let mut resources = Resources::default();
        for file in files {
            resources.apply(file)?;
        }
        let derived = Derived::new(&resources, release)?;
        let mut certified = BTreeSet::new();
        std::fs::create_dir_all(local.pki(""))?;
        std::fs::write(local.pki("mesh-ca.pem"), pki.mesh.certificate_pem())?;
        std::fs::write(local.pki("origin-ca.pem"), pki.origins.certificate_pem())?;
        certify(pki, &local, "waypoint", &derived.spiffe_id)?;
        certify_callers(pki, &local, &derived, &mut certified)?;

        let mut updates = Updates::new(&local)?;
        let_go(&mut reserved, &derived, &local)?;
        updates.prepare(&envoy::Resources::new(&derived, &local)?)?;
        let configuration = local.folder.join("envoy.json");
        std::fs::write(&configuration, format!("{:#}", envoy::bootstrap(&derived, &local)))?;
        let launch = Launch {
            configuration,
            working_directory: workspace_root(),
            log: local.folder.join("envoy.log"),
            admin_port: local.ports.admin,
            workers: local.workers,
            environment: derived.environment.clone().into_iter().collect(),
            log_levels: ["--log-level", "info"].map(str::to_owned).to_vec(),
            remove_if_orphaned: None,
        };
        let process = EnvoyProcess::start(&launch)?;
        updates.await_start(&process)?;
        Ok(Self {
            release,
            resources,
            derived,
            local,
            pki: Arc::clone(pki),
            certified,
            updates,
            process,
            reserved,
            _folder: None,
        })
    }

    /// Applies a file, and waits until what comes of it is in force.
    ///
    /// # Errors
    /// When the file is not understood or Envoy does not take what comes of it; the former leaves
    /// everything as it was.
    pub fn apply(&mut self, file: &Path) -> Result<(), MeshError> {
        let mut resources = self.resources.clone();
        resources.apply(file)?;
        self.put_in_force(resources)
    }

    /// Applies YAML, and waits until what comes of it is in force.
    ///
    /// # Errors
    /// As [`Mesh::apply`].
    pub fn apply_text(&mut self, text: &str, name: &str) -> Result<(), MeshError> {
        let mut resources = self.resources.clone();
        resources.apply_text(text, name)?;
        self.put_in_force(resources)
    }

    /// Deletes a resource, and waits until what comes of it is in force.
    ///
    /// # Errors
    /// As [`Mesh::apply`].
    pub fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> Result<(), MeshError> {
        let mut resources = self.resources.clone();
        resources.delete(kind, namespace, name);
        self.put_in_force(resources)
    }

    fn put_in_force(&mut self, resources: Resources) -> Result<(), MeshError> {
        let derived = Derived::new(&resources, self.release)?;
        let rendered = envoy::Resources::new(&derived, &self.local)?;
        certify_callers(&self.pki, &self.local, &derived, &mut self.certified)?;
        let_go(&mut self.reserved, &derived, &self.local)?;
        (self.resources, self.derived) = (resources, derived);
        self.updates.publish(&rendered, &self.process)
    }

    /// What was derived from the files.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// The process.
    pub fn process(&self) -> &EnvoyProcess {
        &self.process
    }

    /// The process, to ask whether it still runs.
    pub fn process_mut(&mut self) -> &mut EnvoyProcess {
        &mut self.process
    }

    /// Where Envoy's log is.
    pub fn log(&self) -> PathBuf {
        self.local.folder.join("envoy.log")
    }

    /// An HBONE client that shows these credentials, or none.
    pub fn client(&self, credentials: Option<&Credentials>) -> HboneClient {
        HboneClient::new(
            (Ipv4Addr::LOCALHOST, self.local.ports.hbone).into(),
            &self.pki,
            credentials,
        )
    }

    /// The address, with port 80, that pods dial for a service, as a CONNECT names it; `None` where
    /// there is no such service or port.
    pub fn vip(&self, host: &str) -> Option<String> {
        let (place, ..) = self
            .derived
            .routes()
            .find(|(_, service, port)| service.host == host && port.number == 80)?;
        Some(format!("{}:80", vip(place)))
    }

    /// Where a pod reaches port 80 of a service; `None` where there is no such pod or port.
    pub fn address(&self, caller: &str, host: &str) -> Option<SocketAddr> {
        let caller = self.derived.callers.iter().position(|known| known.name == caller)?;
        let route = self
            .derived
            .routes()
            .position(|(_, service, port)| service.host == host && port.number == 80)?;
        let port = self.local.ports.pods.get(caller)?.get(route)?;
        Some((Ipv4Addr::LOCALHOST, *port).into())
    }

    /// Sends one request as a pod does: plain HTTP to port 80 of a service, which goes on through
    /// HBONE.
    ///
    /// # Errors
    /// When there is no such pod or service, or no HTTP/1.1 response came in time.
    pub async fn request(
        &self,
        caller: &str,
        host: &str,
        request: &Request,
    ) -> io::Result<Response> {
        let missing = || {
            io::Error::other(format!(
                "`{caller}` reaches no port 80 of `{host}` through the waypoint"
            ))
        };
        plain_request(self.address(caller, host).ok_or_else(missing)?, request).await
    }

    /// The access log of the services' chains, parsed: one object for each request that ended.
    pub fn access_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.local.access_log_file()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Releases the ports on which Envoy is about to listen.
fn let_go(
    reserved: &mut Vec<(u16, TcpListener)>,
    derived: &Derived,
    local: &Local,
) -> Result<(), LocalError> {
    if local.ports.pods.is_empty() {
        return Ok(());
    }
    for (index, caller) in derived.callers.iter().enumerate() {
        for route in 0..derived.routes().count() {
            let needed = local.pod_port(index, &caller.name, route)?;
            reserved.retain(|(port, _)| *port != needed);
        }
    }
    Ok(())
}

/// Writes a certificate as istiod would issue it to a workload.
fn certify(pki: &Pki, local: &Local, name: &str, spiffe_id: &str) -> io::Result<()> {
    pki.mesh.issue(name, &[San::Uri(spiffe_id.to_owned())]).write(&local.pki(""), name)
}

fn certify_callers(
    pki: &Pki,
    local: &Local,
    derived: &Derived,
    certified: &mut BTreeSet<String>,
) -> io::Result<()> {
    for caller in &derived.callers {
        if certified.insert(caller.name.clone()) {
            certify(pki, local, &caller.name, &caller.spiffe_id)?;
        }
    }
    Ok(())
}
