//! An Envoy that runs what istiod and the agent gave, and takes each update as it comes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::envoy::{EnvoyProcess, Launch, workspace_root};
use e2e::hbone::HboneClient;
use e2e::pki::Pki;
use e2e::ports;
use serde_json::{Value, json};

use crate::{Agent, Local};

/// How long an update may take on its way from istiod into Envoy's worker.
const PATIENCE: Duration = Duration::from_secs(180);

/// The kinds of resource, what is referred to before what refers to it.
const KINDS: [&str; 3] = ["extensions", "clusters", "listeners"];

/// A running waypoint; it ends when it is dropped.
#[derive(Debug)]
pub struct Waypoint {
    local: Local,
    pki: Arc<Pki>,
    process: EnvoyProcess,
    /// Each kind's last answer.
    taken: BTreeMap<&'static str, Value>,
    version: u64,
    _folder: tempfile::TempDir,
}

impl Waypoint {
    /// Starts an Envoy with what the agent has now.
    ///
    /// # Errors
    /// When Envoy does not start, or refuses something; its log is in the message.
    pub fn start(agent: &Agent, pki: &Arc<Pki>, origin: u16) -> io::Result<Self> {
        let parent = workspace_root().join("target/e2e");
        fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("istio-").tempdir_in(parent)?;
        let [hbone, admin] = ports::free(2)?[..] else {
            return Err(io::Error::other("no ports"));
        };
        let local = Local { folder: folder.path().to_path_buf(), hbone, admin, origin };
        write_secrets(&local, agent, pki)?;
        let mut taken = BTreeMap::new();
        for kind in KINDS {
            take(&local, &mut taken, kind, &answer(agent, kind), 1)?;
        }
        let mut bootstrap = answer(agent, "bootstrap");
        local.bootstrap(&mut bootstrap);
        let configuration = folder.path().join("envoy.json");
        fs::write(&configuration, bootstrap.to_string())?;
        let launch = Launch {
            configuration,
            working_directory: workspace_root(),
            log: folder.path().join("envoy.log"),
            admin_port: admin,
            workers: 1,
            environment: Vec::new(),
            log_levels: log_levels(agent.pod()),
            remove_if_orphaned: None,
        };
        let process = EnvoyProcess::start(&launch).map_err(io::Error::other)?;
        let waypoint =
            Self { local, pki: Arc::clone(pki), process, taken, version: 1, _folder: folder };
        waypoint.await_taken(agent)?;
        Ok(waypoint)
    }

    /// Waits until istiod's resources are as `is_so` says, and then until Envoy has them.
    ///
    /// # Errors
    /// When they do not become so, or Envoy refuses them.
    pub fn update(
        &mut self,
        agent: &Agent,
        what: &str,
        is_so: impl Fn(&BTreeMap<&'static str, Value>) -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut now = BTreeMap::new();
        loop {
            for kind in KINDS {
                now.insert(kind, answer(agent, kind));
            }
            if is_so(&now) {
                break;
            }
            if Instant::now() > deadline {
                let message = format!("istiod has not sent {what}\n{}", agent.client_log());
                return Err(io::Error::other(message));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.version += 1;
        for kind in KINDS {
            take(&self.local, &mut self.taken, kind, &now[kind], self.version)?;
        }
        self.await_taken(agent)
    }

    /// Waits until Envoy has the last version of everything.
    fn await_taken(&self, agent: &Agent) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let dump = self.process.admin("/config_dump").unwrap_or_default();
            let dump: Value = serde_json::from_str(&dump).unwrap_or_default();
            let stats = self.process.stats("").unwrap_or_default();
            let value = |name: &str| stats.get(name).copied().unwrap_or_default();
            let rejected: Vec<_> = stats
                .iter()
                .filter(|(name, value)| name.ends_with("update_rejected") && **value > 0)
                .collect();
            if !rejected.is_empty() {
                let log = self.process.log_tail();
                return Err(io::Error::other(format!("envoy refused {rejected:?}\n{log}")));
            }
            let missing: Vec<String> = self
                .versions()
                .into_iter()
                .filter(|version| !is_taken(&dump, version))
                .map(|(section, version)| format!("{section} {version}"))
                .collect();
            // A plugin is taken before it has reached the worker, which is counted as its reload.
            let reaching = stats.iter().any(|(name, taken)| {
                let plugin = name.strip_suffix(".update_success");
                plugin
                    .filter(|plugin| plugin.starts_with("extension_config_discovery."))
                    .is_some_and(|plugin| value(&format!("{plugin}.config_reload")) < *taken)
            });
            if missing.is_empty()
                && !reaching
                && value("listener_manager.total_listeners_warming") == 0
                && value("cluster_manager.warming_clusters") == 0
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = [self.process.log_tail(), agent.client_log()].join("\n");
                return Err(io::Error::other(format!("envoy has not taken {missing:?}\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What Envoy's dump must say: in a section of which kind, or of a plugin of which name, which
    /// version.
    fn versions(&self) -> Vec<(String, String)> {
        let written = |file: PathBuf| {
            let text = fs::read(file).unwrap_or_default();
            let written: Value = serde_json::from_slice(&text).unwrap_or_default();
            written["version_info"].as_str().unwrap_or_default().to_owned()
        };
        let plugins = resources(&self.taken["extensions"]).iter().filter_map(|plugin| {
            let name = plugin["name"].as_str()?;
            Some((name.to_owned(), written(self.local.file(name))))
        });
        [("ListenersConfigDump", "listeners"), ("ClustersConfigDump", "clusters")]
            .map(|(section, kind)| (section.to_owned(), written(self.local.file(kind))))
            .into_iter()
            .chain(plugins)
            .collect()
    }

    /// A caller with a certificate of the mesh for this SPIFFE ID.
    #[must_use]
    pub fn caller(&self, spiffe_id: &str) -> HboneClient {
        let address = (Ipv4Addr::LOCALHOST, self.local.hbone).into();
        HboneClient::new(address, &self.pki, Some(&self.pki.caller(spiffe_id)))
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &EnvoyProcess {
        &self.process
    }

    /// istiod's last answer about a kind of resource, as it came.
    #[must_use]
    pub fn istiods(&self, kind: &str) -> &[Value] {
        resources(&self.taken[kind])
    }
}

/// The levels of Envoy's log that the pod's arguments say.
fn log_levels(pod: &Value) -> Vec<String> {
    let arguments: Vec<&str> = pod["spec"]["containers"][0]["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut levels = Vec::new();
    for pair in arguments.windows(2) {
        match pair[0] {
            "--proxyLogLevel" => levels.extend(["--log-level".to_owned(), pair[1].to_owned()]),
            "--proxyComponentLogLevel" => {
                levels.extend(["--component-log-level".to_owned(), pair[1].to_owned()]);
            }
            _ => {}
        }
    }
    levels
}

fn answer(agent: &Agent, kind: &str) -> Value {
    agent.resources(kind).unwrap_or_default()
}

fn resources(answer: &Value) -> &[Value] {
    answer["resources"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a dump has a section of this kind, or in one a plugin of this name, in this version.
fn is_taken(dump: &Value, (name, version): &(String, String)) -> bool {
    let sections = dump["configs"].as_array().into_iter().flatten();
    sections.into_iter().any(|section| {
        let kind = section["@type"].as_str().unwrap_or_default();
        if kind.ends_with(&format!(".{name}")) {
            return section["version_info"] == **version;
        }
        let filters = section["ecds_filters"].as_array().into_iter().flatten();
        filters.into_iter().any(|filter| {
            filter["ecds_filter"]["name"] == **name && filter["version_info"] == **version
        })
    })
}

/// Writes what has changed of a kind.
fn take(
    local: &Local,
    taken: &mut BTreeMap<&'static str, Value>,
    kind: &'static str,
    answer: &Value,
    version: u64,
) -> io::Result<()> {
    if taken.get(kind).is_some_and(|known| known["resources"] == answer["resources"]) {
        return Ok(());
    }
    let mut adapted: Vec<Value> = resources(answer).to_vec();
    adapted.iter_mut().for_each(|resource| local.adapt(resource));
    if kind == "extensions" {
        for extension in adapted {
            let name = extension["name"].as_str().unwrap_or_default().to_owned();
            write(&local.file(&name), &[extension], version)?;
        }
    } else {
        write(&local.file(kind), &adapted, version)?;
    }
    taken.insert(kind, answer.clone());
    Ok(())
}

/// Envoy reads when a file is moved into place.
fn write(file: &PathBuf, resources: &[Value], version: u64) -> io::Result<()> {
    let text = json!({"version_info": version.to_string(), "resources": resources}).to_string();
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, file)
}

/// What the agent's SDS would give: the waypoint's certificate, the mesh's authorities, and in the
/// place of the system's those of the stand-in.
fn write_secrets(local: &Local, agent: &Agent, pki: &Pki) -> io::Result<()> {
    let [certificate, key, roots] = agent.certificates();
    let origins = local.folder.join("origins.pem");
    fs::write(&origins, pki.origins.certificate_pem())?;
    let file = |path: &PathBuf| json!({"filename": path});
    let secrets = [
        (
            "default",
            json!({"tls_certificate": {
                "certificate_chain": file(&certificate), "private_key": file(&key),
            }}),
        ),
        ("ROOTCA", json!({"validation_context": {"trusted_ca": file(&roots)}})),
        ("file-root:system", json!({"validation_context": {"trusted_ca": file(&origins)}})),
    ];
    for (name, mut secret) in secrets {
        secret["@type"] =
            json!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret");
        secret["name"] = json!(name);
        write(&local.file(name), &[secret], 1)?;
    }
    Ok(())
}
