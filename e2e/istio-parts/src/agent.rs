//! The waypoint's pod: its agent, and the resources that an Envoy behind that agent gets.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use e2e::ports;
use e2e::process::Process;
use serde_json::Value;

use crate::{Cluster, ControlPlane, Registry, node, part};

/// The address of the waypoint's pod, which nothing has.
const POD: &str = "10.244.0.10";

/// Where the agent keeps the modules that it has fetched: a constant of Istio's.
const MODULES: &str = "/var/lib/istio/data";

/// The waypoint.
const NAMESPACE: &str = "egress-direct";
const NAME: &str = "egress";

/// A running agent, and the client that asks it in an Envoy's stead.
#[derive(Debug)]
pub struct Agent {
    client: Process,
    process: Process,
    pod: Value,
}

impl Agent {
    /// Says that the waypoint's pod runs, and runs its agent.
    ///
    /// # Errors
    /// When istiod has made no pod, or the agent does not start.
    pub fn start(
        cluster: &Cluster,
        control_plane: &ControlPlane,
        registry: &Registry,
    ) -> io::Result<Self> {
        let selector = format!("gateway.networking.k8s.io/gateway-name={NAME}");
        let pod = cluster.wait_for("the waypoint's pod", |cluster| {
            cluster.list(NAMESPACE, "pods", &selector).ok()?.into_iter().next()
        })?;
        let pod = node::run(cluster, &pod, POD)?;
        fs::create_dir_all(MODULES).map_err(|error| {
            let message = "the agent keeps modules there and nowhere else: make the folder, for \
                           this user";
            io::Error::other(format!("{MODULES}: {error}; {message}"))
        })?;
        let environment = environment(&pod, control_plane, registry)?;
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
        let arguments = ["-n", NAMESPACE, "create", "token", account, "--audience=istio-ca"];
        let token = cluster.kubectl(&arguments, "")?.output()?;
        let roots = cluster.get(NAMESPACE, "configmap", "istio-ca-root-cert")?;
        let roots = roots["data"]["root-cert.pem"].as_str().unwrap_or_default().to_owned();

        let mut process = Process::start(&part("pilot-agent"), |folder, command| {
            for (file, text) in [
                ("var/run/secrets/tokens/istio-token", token.trim()),
                ("var/run/secrets/istio/root-cert.pem", &roots),
            ] {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap_or(folder))?;
                fs::write(file, text)?;
            }
            for own in ["certificates", "etc/istio/proxy"] {
                fs::create_dir_all(folder.join(own))?;
            }
            write_information(folder, &pod)?;
            command
                .envs(&environment)
                .env("OUTPUT_CERTS", folder.join("certificates"))
                // It starts no Envoy; all else that it does, it does.
                .env("DISABLE_ENVOY", "true")
                .args(["proxy", "waypoint", "--log_output_level=default:info,wasm:debug"]);
            Ok(())
        })?;
        let socket = process.folder().join("etc/istio/proxy/XDS");
        process.wait_for("the agent's socket", |_| socket.exists().then_some(()))?;
        let key = process.folder().join("certificates/root-cert.pem");
        process.wait_for("the waypoint's certificate", |_| key.exists().then_some(()))?;

        let client = Process::start(&part("ads"), |folder, command| {
            write_information(folder, &pod)?;
            command.envs(&environment).arg(&socket).arg(folder).arg(part("envoy_bootstrap.json"));
            Ok(())
        })?;
        Ok(Self { client, process, pod })
    }

    /// The last answer about one kind of resource: `clusters`, `endpoints`, `listeners`, `routes`
    /// or `extensions`; and `bootstrap`. `None` before the first.
    #[must_use]
    pub fn resources(&self, kind: &str) -> Option<Value> {
        let file = self.client.folder().join(format!("{kind}.json"));
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }

    /// The files of the waypoint's certificate, its key, and the authorities of the mesh.
    #[must_use]
    pub fn certificates(&self) -> [PathBuf; 3] {
        let folder = self.process.folder().join("certificates");
        ["cert-chain.pem", "key.pem", "root-cert.pem"].map(|name| folder.join(name))
    }

    /// The pod.
    #[must_use]
    pub fn pod(&self) -> &Value {
        &self.pod
    }

    /// All that the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// All that the client has logged: nothing as long as all is well.
    #[must_use]
    pub fn client_log(&self) -> String {
        self.client.log()
    }
}

/// The agent keeps what it has fetched for a day; nothing here fetches from that registry again.
impl Drop for Agent {
    fn drop(&mut self) {
        let extensions = self.resources("extensions").unwrap_or_default();
        for extension in extensions["resources"].as_array().into_iter().flatten() {
            let code = &extension["typed_config"]["config"]["vm_config"]["code"];
            let file = code["local"]["filename"].as_str().map(Path::new);
            let folder = file.and_then(Path::parent).filter(|folder| {
                folder.parent().is_some_and(|parent| parent == Path::new(MODULES))
            });
            if let Some(folder) = folder {
                // What stays is a few megabytes.
                let _ = fs::remove_dir_all(folder);
            }
        }
    }
}

/// The pod's, but for where istiod and the registry are, and the ports of the machine.
fn environment(
    pod: &Value,
    control_plane: &ControlPlane,
    registry: &Registry,
) -> io::Result<BTreeMap<String, String>> {
    let mut environment: BTreeMap<String, String> = node::environment(pod).into_iter().collect();
    let istiod = format!("{}:{}", control_plane.host(), control_plane.discovery());
    let text = environment.get("PROXY_CONFIG").map_or("{}", String::as_str);
    let mut configuration: Value = serde_yaml_ng::from_str(text).map_err(io::Error::other)?;
    configuration["discoveryAddress"] = istiod.clone().into();
    configuration["statusPort"] = ports::free(1)?[..].first().copied().into();
    environment.extend([
        ("PROXY_CONFIG".to_owned(), configuration.to_string()),
        ("CA_ADDR".to_owned(), istiod),
        // It has no certificate; a registry elsewhere has one.
        ("WASM_INSECURE_REGISTRIES".to_owned(), registry.address().to_owned()),
    ]);
    Ok(environment)
}

/// The pod's labels and annotations, as the kubelet writes them into the pod's files.
fn write_information(folder: &Path, pod: &Value) -> io::Result<()> {
    let information = folder.join("etc/istio/pod");
    fs::create_dir_all(&information)?;
    for kind in ["labels", "annotations"] {
        let lines = pod["metadata"][kind].as_object().into_iter().flatten();
        let lines: Vec<String> = lines.map(|(name, value)| format!("{name}={value}")).collect();
        fs::write(information.join(kind), lines.join("\n"))?;
    }
    Ok(())
}
