//! A registry on loopback, with images of the compiled filter.

use std::fs;
use std::io;

use std::path::Path;
use std::process::Command;

use e2e::process::Process;
use image::layout::write_folder;
use image::manifests;
use image::oci::Image;
use image::reference::Reference;

use crate::{Said, program};

/// A running registry; it ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    address: String,
}

impl Registry {
    /// Starts one with nothing in it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> io::Result<Self> {
        let mut process = Process::start(&program("REGISTRY"), |folder, command| {
            let configuration = folder.join("config.yml");
            let text = format!(
                "version: 0.1\nlog: {{level: info, formatter: json}}\nstorage: {{filesystem: \
                 {{rootdirectory: '{}'}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
                folder.join("data").display()
            );
            fs::write(&configuration, text)?;
            command.arg("serve").arg(configuration).env("OTEL_TRACES_EXPORTER", "none");
            Ok(())
        })?;
        let address = process.wait_for("its address", |process| {
            let log = process.log();
            let (_, rest) = log.split_once("listening on ")?;
            let address: String =
                rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
            (address.len() < rest.len()).then_some(address)
        })?;
        Ok(Self { process, address })
    }

    /// Pushes an image of a module under a name, and writes `filter-config/` with that name and the
    /// image's digest into a folder, as `make image` does; the digest.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn publish(&self, module: &[u8], name: &str, from: &Path, to: &Path) -> io::Result<String> {
        let image = Image::new(module).map_err(io::Error::other)?;
        let reference: Reference =
            format!("{}/{name}", self.address).parse().map_err(io::Error::other)?;
        let layout = self.process.folder().join("layout");
        write_folder(&layout, &image, &reference).map_err(io::Error::other)?;
        let mut skopeo = Command::new(program("SKOPEO"));
        skopeo
            .args(["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"])
            .arg(format!("oci:{}", layout.display()))
            .arg(format!("docker://{reference}"));
        Said::by(&mut skopeo, "")?.output()?;
        let sha256 = image.manifest.sha256;
        manifests::write(from, to, &reference, &sha256).map_err(io::Error::other)?;
        Ok(sha256)
    }

    /// Where it is, as an image's name begins.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}
