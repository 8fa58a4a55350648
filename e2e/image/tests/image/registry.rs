//! A real registry on loopback, to which skopeo pushes, and from which a module is fetched as
//! Istio's agent does.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use image::fetcher::{DOCKER_LIST, DOCKER_MANIFEST, LIMIT, Source, fetch};
use image::layout::{write_folder, write_tarball};
use image::oci::{INDEX, MANIFEST};

use crate::{built_image, built_module, reference};

/// A program that `make test-image` finds or installs.
fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: `make test-image` sets it"))
}

/// The distribution project's registry, with its data in a folder of its own, on a free port.
struct Registry {
    process: Child,
    address: String,
    _data: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let config = data.path().join("config.yml");
        let root = data.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: info, formatter: json}}\nstorage: {{filesystem: \
             {{rootdirectory: '{}'}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
            root.display()
        );
        std::fs::write(&config, text).expect("written");
        let mut process = Command::new(program("REGISTRY"))
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut said = String::new();
        let address = log.by_ref().map_while(Result::ok).find_map(|line| {
            let address = line.split_once("listening on ").map(|(_, rest)| {
                rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
            });
            said += &line;
            said.push('\n');
            address
        });
        // The log is read to its end, so that the registry never blocks on writing it.
        std::thread::spawn(move || log.for_each(drop));
        let Some(address) = address else {
            let _ = process.kill();
            panic!("the registry did not start:\n{said}")
        };
        Self { process, address, _data: data }
    }

    fn repository(&self, name: &'static str) -> Repository<'_> {
        Repository { registry: self, name }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A repository of it, read over HTTP as the agent's client does.
struct Repository<'a> {
    registry: &'a Registry,
    name: &'static str,
}

impl Repository<'_> {
    fn get(&self, what: &str, accept: &str) -> io::Result<(String, Option<String>, Vec<u8>)> {
        let url = format!("http://{}/v2/{}/{what}", self.registry.address, self.name);
        // Requests to loopback must not go through a proxy.
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let mut response =
            agent.get(&url).header("accept", accept).call().map_err(io::Error::other)?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (media_type, digest) = (header("content-type"), header("docker-content-digest"));
        let bytes = response
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_to_vec()
            .map_err(io::Error::other)?;
        Ok((media_type.unwrap_or_default(), digest, bytes))
    }

    /// What skopeo calls the image here.
    fn image(&self) -> String {
        format!("docker://{}/{}:0.1.0", self.registry.address, self.name)
    }

    fn push(&self, from: &str) {
        skopeo(&["copy", "--dest-tls-verify=false", from, &self.image()]);
    }

    fn push_with_its_digest(&self, from: &str) {
        skopeo(&["copy", "--preserve-digests", "--dest-tls-verify=false", from, &self.image()]);
    }

    /// The digest that skopeo says is in the registry.
    fn digest(&self) -> String {
        skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &self.image()])
            .trim()
            .to_owned()
    }
}

impl Source for Repository<'_> {
    fn manifest(&self, name: &str) -> io::Result<(String, Vec<u8>)> {
        let accepted = [MANIFEST, DOCKER_MANIFEST, INDEX, DOCKER_LIST].join(",");
        self.get(&format!("manifests/{name}"), &accepted)
            .map(|(media_type, _, bytes)| (media_type, bytes))
    }

    fn blob(&self, digest: &str) -> io::Result<Vec<u8>> {
        self.get(&format!("blobs/{digest}"), "*/*").map(|(_, _, bytes)| bytes)
    }
}

#[track_caller]
fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new(program("SKOPEO"))
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .expect("skopeo starts");
    assert!(
        output.status.success(),
        "skopeo {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn written(folder: &Path) -> (String, String) {
    let (oci, tarball) = (folder.join("oci"), folder.join("egress-filter.tar"));
    let image = built_image();
    write_folder(&oci, image, &reference()).expect("written");
    write_tarball(&tarball, image, &reference()).expect("written");
    (oci.display().to_string(), tarball.display().to_string())
}

#[test]
fn pushed_as_oci_the_image_keeps_its_digest_and_istio_s_agent_gets_the_module() {
    let folder = tempfile::tempdir().expect("a folder");
    let (oci, tarball) = written(folder.path());
    let (module, sha256) = (built_module(), &built_image().manifest.sha256);
    let registry = Registry::start();
    for (name, from) in [
        ("platform/by-folder", format!("oci:{oci}")),
        ("platform/by-folder-and-tag", format!("oci:{oci}:0.1.0")),
        ("platform/by-tarball", format!("oci-archive:{tarball}")),
    ] {
        let repository = registry.repository(name);
        repository.push_with_its_digest(&from);
        let fetched = fetch(&repository, "0.1.0", Some(sha256))
            .unwrap_or_else(|error| panic!("{from} {error}"));
        assert!(fetched.module == module, "{from}: another module");

        let (media_type, digest, _) =
            repository.get("manifests/0.1.0", MANIFEST).expect("a manifest");
        assert_eq!(
            (media_type.as_str(), digest),
            (MANIFEST, Some(format!("sha256:{sha256}"))),
            "{from}"
        );
        assert_eq!(repository.digest(), format!("sha256:{sha256}"), "{from}");
        fetch(&repository, "0.2.0", None).expect_err("no such tag");
    }
}

#[test]
fn as_a_docker_archive_the_image_has_another_digest_and_the_agent_gets_the_same_module() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, tarball) = written(folder.path());
    let from = format!("docker-archive:{tarball}");
    let tags: serde_json::Value =
        serde_json::from_str(&skopeo(&["list-tags", &from])).expect("JSON");
    assert_eq!(tags["Tags"], serde_json::json!([reference().to_string()]));

    let registry = Registry::start();
    let repository = registry.repository("platform/by-docker");
    repository.push(&from);
    assert_eq!(repository.manifest("0.1.0").expect("a manifest").0, DOCKER_MANIFEST);
    let fetched = fetch(&repository, "0.1.0", None).expect("a module");
    assert!(fetched.module == built_module(), "another module");
    assert_eq!(
        repository.digest(),
        format!("sha256:{}", fetched.sha256),
        "what the registry is asked for is what the agent compares"
    );

    let ours = &built_image().manifest.sha256;
    let error = fetch(&repository, "0.1.0", Some(ours)).expect_err("another digest").to_string();
    assert_eq!(error, format!("has the digest {}, not {ours}", fetched.sha256));
}
