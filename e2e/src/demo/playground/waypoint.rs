//! The waypoint of a policy of one's own: the Gateway of `filter-config/01-setup.yaml`, the plugin
//! of its step 3 with the policy, and the ServiceEntry and DestinationRule of its step 2 for each
//! host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::file::{self, Policy};
use super::pods::Dialled;
use super::{Options, examples};
use crate::demo::{DemoError, Unreachable, reach, stage};
use crate::envoy::{filter_wasm, workspace_root};
use crate::hbone::HboneClient;
use crate::istio::{Local, Mesh, MeshError, Origins, Ports, Release};
use crate::origin::{Mode, Origin};
use crate::pki::{Credentials, Pki};
use crate::{ports, workshop};

/// How many times other ports are tried when some were taken between their choice and their use.
const ATTEMPTS: usize = 5;

/// The most hosts that are there before they are called: each is a part of Envoy's listener.
const MAX_NAMED: usize = 100;

/// The most hosts that are added because they were called.
const MAX_CALLED: usize = 64;

/// How a pod reaches a host.
#[derive(Debug)]
pub(super) struct Route {
    /// Its way into the waypoint.
    pub(super) client: HboneClient,
    /// The host's address and port.
    pub(super) vip: String,
    /// Whether the host was added for this call.
    pub(super) is_new: bool,
}

/// Why a host cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoRoute {
    #[error(
        "{MAX_CALLED} hosts have been added because they were called, and one run adds no more"
    )]
    Full,
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

#[derive(Debug)]
pub(super) struct Waypoint {
    pki: Arc<Pki>,
    callers: BTreeMap<String, Credentials>,
    trust_domain: String,
    /// How many hosts were added because they were called.
    called: usize,
    mesh: Mesh,
    origin: Option<Origin>,
    /// Removed with the waypoint, where it has no folder of its own.
    _folder: Option<tempfile::TempDir>,
}

impl Waypoint {
    pub(super) fn start(policy: &Policy, options: &Options) -> Result<Self, DemoError> {
        let wasm = filter_wasm();
        if !wasm.is_file() {
            return Err(DemoError::NoFilter(wasm));
        }
        // The chosen port is this run's alone, and so is the folder; with a free port others may
        // run at the same time.
        let target = workspace_root().join("target");
        let temporary = match options.port {
            0 => {
                std::fs::create_dir_all(target.join("e2e"))?;
                Some(
                    tempfile::Builder::new()
                        .prefix("playground-")
                        .tempdir_in(target.join("e2e"))?,
                )
            }
            _ => None,
        };
        let folder = temporary
            .as_ref()
            .map_or_else(|| target.join("demo/policy"), |folder| folder.path().to_path_buf());
        std::fs::create_dir_all(&folder)?;

        let pki = Arc::new(Pki::new());
        let origin = if options.real { None } else { Some(Origin::start(&pki, Mode::Mirror, 0)?) };
        let origins = match &origin {
            Some(origin) => Origins::StandIn(origin.port()),
            None => Origins::Real(stage::authorities()?),
        };
        let (mut named, _) = policy.hosts();
        named.truncate(MAX_NAMED);
        // The plugin is loaded with the first listener that has a host.
        let any = examples::any_host(&policy.configuration.to_string());
        if named.is_empty() {
            named.push(&any);
        }
        let applied = folder.join("applied.yaml");
        std::fs::write(&applied, [services(&named)?, plugin(policy)?].concat())?;
        let files = [filter_config("01-setup.yaml"), applied];
        for attempt in 1.. {
            let free = ports::free(2)?;
            let local = Local {
                folder: folder.clone(),
                wasm: wasm.clone(),
                origins: origins.clone(),
                ports: Ports { hbone: free[0], admin: free[1], pods: Vec::new() },
                workers: 1,
                logs_requests: true,
            };
            match Mesh::start_at(&pki, Release::V1_27, local, &files) {
                Ok(mesh) => {
                    return Ok(Self {
                        pki,
                        callers: BTreeMap::new(),
                        trust_domain: policy.trust_domain().to_owned(),
                        called: 0,
                        mesh,
                        origin,
                        _folder: temporary,
                    });
                }
                Err(error) if attempt < ATTEMPTS && error.is_taken_port() => {}
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Puts a policy in force, and adds the hosts that it names.
    pub(super) fn apply(&mut self, policy: &Policy) -> Result<(), MeshError> {
        let (mut new, _) = policy.hosts();
        new.truncate(MAX_NAMED);
        new.retain(|host| self.mesh.vip(host).is_none());
        self.mesh.apply_text(&[services(&new)?, plugin(policy)?].concat(), "the policy")?;
        policy.trust_domain().clone_into(&mut self.trust_domain);
        Ok(())
    }

    /// The way of a caller to a host, which is added where it is not there yet.
    pub(super) async fn route(&mut self, dialled: &Dialled) -> Result<Route, NoRoute> {
        match &self.origin {
            // Nobody looks at what it remembers.
            Some(origin) => drop(origin.take_requests()),
            None => reach::origin(&dialled.host).await?,
        }
        let host = &dialled.host;
        let is_new = self.mesh.vip(host).is_none();
        if is_new {
            if self.called == MAX_CALLED {
                return Err(NoRoute::Full);
            }
            self.called += 1;
            let services = services(&[host]).map_err(MeshError::from)?;
            self.mesh.apply_text(&services, host)?;
        }
        let vip = self.mesh.vip(host).unwrap_or_else(|| panic!("`{host}` has been applied"));
        let caller = &dialled.caller;
        let id = caller.spiffe_id(&self.trust_domain);
        let credentials = self.callers.entry(id).or_insert_with_key(|id| self.pki.caller(id));
        Ok(Route { client: self.mesh.client(Some(credentials)), vip, is_new })
    }

    /// The hosts that have an origin.
    pub(super) fn served(&self) -> Vec<String> {
        self.mesh.derived().services.iter().map(|service| service.host.clone()).collect()
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.mesh.process_mut().is_running()
    }

    /// Where Envoy's log is.
    pub(super) fn log(&self) -> PathBuf {
        self.mesh.log()
    }
}

fn filter_config(file: &str) -> PathBuf {
    workspace_root().join("filter-config").join(file)
}

/// The ServiceEntry and the DestinationRule of step 2 of the workshop, for each of these hosts.
fn services(hosts: &[&str]) -> std::io::Result<String> {
    let step = std::fs::read_to_string(filter_config("02-egress-direct.yaml"))?;
    let documents = serde_yaml_ng::Deserializer::from_str(&step).map(Value::deserialize);
    let documents: Vec<Value> =
        documents.collect::<Result<_, _>>().map_err(std::io::Error::other)?;
    let mut text = String::new();
    for (host, document) in hosts.iter().flat_map(|host| documents.iter().map(move |d| (host, d))) {
        let mut document = document.clone();
        document["metadata"]["name"] = json!(host);
        if document["kind"] == "ServiceEntry" {
            document["spec"]["hosts"] = json!([host]);
        } else {
            document["spec"]["host"] = json!(host);
            let tls = &mut document["spec"]["trafficPolicy"]["tls"];
            (tls["sni"], tls["subjectAltNames"]) = (json!(host), json!([host]));
        }
        text.push_str(&format!("---\n{document}\n"));
    }
    Ok(text)
}

/// The plugin of step 3 of the workshop with this policy. Its environment is this program's, or has
/// a stand-in.
fn plugin(policy: &Policy) -> std::io::Result<String> {
    Ok(format!("---\n{}\n", workshop::plugin(&policy.configuration, file::variable)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_gets_the_services_of_step_2() {
        let hosts = ["github-api.example", "api.github.com.example"];
        let text = services(&hosts).expect("step 2");
        let documents: Vec<Value> = serde_yaml_ng::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).expect("YAML"))
            .collect();
        assert_eq!(documents.len(), 4);
        for (host, pair) in hosts.iter().zip(documents.chunks(2)) {
            assert_eq!(pair[0]["spec"]["hosts"], json!([host]));
            assert_eq!(pair[0]["spec"]["ports"][0]["targetPort"], 443);
            assert_eq!(pair[1]["spec"]["host"], json!(host));
            assert_eq!(pair[1]["spec"]["trafficPolicy"]["tls"]["sni"], json!(host));
        }
        assert!(!text.contains("\"github-api\"") && !text.contains("\"api.github.com\""), "{text}");
    }
}
