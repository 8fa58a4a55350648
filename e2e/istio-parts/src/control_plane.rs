//! istiod, on what istioctl would install: the resource definitions, the roles, the mesh's
//! configuration and the webhooks are Istio's own, of its profile `ambient`.

use std::fs;
use std::io;
use std::process::Command;

use e2e::pki::Pki;
use e2e::ports;
use e2e::process::Process;
use serde_json::{Value, json};

use crate::{Cluster, Said, part};

/// The name by which this machine reaches istiod, which istiod's certificate is to have too.
const HOST: &str = "localhost";

/// Where istiod is installed.
pub(crate) const NAMESPACE: &str = "istio-system";

/// A running istiod; it ends when it is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    discovery: u16,
    monitoring: u16,
}

impl ControlPlane {
    /// Installs Istio and the Gateway API in a cluster, with these settings beside those of Istio's
    /// profile, and starts istiod, whose authority is that of the mesh.
    ///
    /// # Errors
    /// When something is refused or does not start.
    pub fn start(cluster: &Cluster, pki: &Pki, settings: &Value) -> io::Result<Self> {
        let [http, https, plain, discovery, monitoring, control] = ports::free(6)?[..] else {
            return Err(io::Error::other("no ports"));
        };
        let mut environment = install(cluster, settings, https)?;
        environment.extend([
            ("ISTIOD_CUSTOM_HOST".to_owned(), HOST.to_owned()),
            ("POD_NAME".to_owned(), "istiod".to_owned()),
            ("POD_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
            ("SERVICE_ACCOUNT".to_owned(), "istiod".to_owned()),
        ]);
        let process = Process::start(&part("pilot-discovery"), |folder, command| {
            let authority = folder.join("etc/cacerts");
            fs::create_dir_all(&authority)?;
            let certificate = pki.mesh.certificate_pem();
            for name in ["ca-cert.pem", "cert-chain.pem", "root-cert.pem"] {
                fs::write(authority.join(name), &certificate)?;
            }
            fs::write(authority.join("ca-key.pem"), pki.mesh.key_pem())?;
            let at = |option: &str, port: u16| format!("--{option}=127.0.0.1:{port}");
            command.envs(environment).arg("discovery").args([
                &at("httpAddr", http),
                &at("httpsAddr", https),
                &at("grpcAddr", plain),
                &at("secureGRPCAddr", discovery),
                &at("monitoringAddr", monitoring),
                &format!("--ctrlz_port={control}"),
                &format!("--kubeconfig={}", cluster.kubeconfig().display()),
            ]);
            Ok(())
        })?;
        let mut started = Self { process, discovery, monitoring };
        started.process.wait_for_port(discovery)?;
        started.process.wait_for_port(https)?;
        Ok(started)
    }

    /// The port at which agents find it.
    #[must_use]
    pub fn discovery(&self) -> u16 {
        self.discovery
    }

    /// The name in its certificate.
    #[must_use]
    pub fn host(&self) -> &'static str {
        HOST
    }

    /// The port of its own metrics.
    #[must_use]
    pub fn monitoring(&self) -> u16 {
        self.monitoring
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Installs everything but what would run in pods; the environment that istiod's pod would have.
fn install(
    cluster: &Cluster,
    settings: &Value,
    webhooks: u16,
) -> io::Result<Vec<(String, String)>> {
    let definitions = part("gateway-api").display().to_string();
    let arguments = ["apply", "--server-side", "-f", &definitions];
    cluster.kubectl(&arguments, "")?.output()?;

    let mut command = Command::new(part("istioctl"));
    command.env_clear().env("HOME", "/nonexistent").args([
        "manifest",
        "generate",
        "--filename",
        "-",
    ]);
    let mut operator = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator"});
    operator["spec"] = settings.clone();
    operator["spec"]["profile"] = json!("ambient");
    let generated = Said::by(&mut command, &operator.to_string())?.output()?;
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let (mut definitions, mut rest) = (Vec::new(), vec![namespace]);
    let mut environment = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&generated) {
        let mut document: Value =
            serde::Deserialize::deserialize(document).map_err(io::Error::other)?;
        match document["kind"].as_str().unwrap_or_default() {
            "CustomResourceDefinition" => definitions.push(document),
            "Deployment" if document["metadata"]["name"] == "istiod" => {
                environment = crate::node::environment(
                    &json!({"spec": document["spec"]["template"]["spec"]}),
                );
            }
            // Nothing runs in pods here.
            "" | "Deployment" | "DaemonSet" | "HorizontalPodAutoscaler" => {}
            _ => {
                reach(&mut document, webhooks);
                rest.push(document);
            }
        }
    }
    for documents in [definitions, rest] {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        cluster.apply(&list.to_string())?;
    }
    let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
    cluster.kubectl(&established, "")?.output()?;
    Ok(environment)
}

/// Webhooks by address, since no Service leads anywhere here.
fn reach(document: &mut Value, port: u16) {
    let webhooks = document.get_mut("webhooks").and_then(Value::as_array_mut);
    for webhook in webhooks.into_iter().flatten() {
        let client = &mut webhook["clientConfig"];
        let path = client["service"]["path"].as_str().unwrap_or("/").to_owned();
        if let Some(fields) = client.as_object_mut() {
            fields.remove("service");
        }
        client["url"] = json!(format!("https://{HOST}:{port}{path}"));
    }
}
