//! The image: a layer, a configuration and a manifest (OCI Image Format Specification 1.1).
//!
//! Nothing but the module, this crate's version and the code below goes into the bytes: no clock,
//! no user, no umask, no revision (two commits with the same module have the same image), and no
//! unordered map.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The media type of an OCI manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI index, a list of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an OCI image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer that is a gzipped tar archive; of the OCI layer types, Istio's agent
/// takes no other.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The file in the layer that Istio's agent looks for.
pub const PLUGIN: &str = "plugin.wasm";

/// The platform that the image names. A module runs on any; but where somebody puts the image into
/// an index, the agent's registry client picks linux/amd64 from it on every machine, and does not
/// find one that says `wasi/wasm`.
pub const PLATFORM: Platform = Platform { architecture: "amd64", os: "linux" };

/// There is no time in an image that is to be the same whenever it is made.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not begin as a WebAssembly module does.
    #[error("is no WebAssembly module: it does not begin with `\\0asm`; `make wasm` builds one")]
    NoModule,
    /// Writing into memory failed.
    #[error("the image cannot be put together: {0}")]
    Write(#[from] io::Error),
    /// JSON could not be written.
    #[error("the image cannot be described: {0}")]
    Json(#[from] serde_json::Error),
}

/// Bytes that are known by their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What the bytes are.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let sha256 = sha256(&bytes);
        Self { media_type, bytes, sha256 }
    }

    /// How manifests and indexes refer to these bytes.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type,
            digest: format!("sha256:{}", self.sha256),
            size: self.bytes.len(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// An image of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The gzipped tar archive with the module.
    pub layer: Blob,
    /// The image's configuration.
    pub config: Blob,
    /// The manifest, whose digest is the image's and goes into `sha256` of a WasmPlugin.
    pub manifest: Blob,
}

impl Image {
    /// Makes the image of a module.
    ///
    /// # Errors
    /// Where the bytes are no WebAssembly module.
    pub fn new(module: &[u8]) -> Result<Self, Error> {
        if !module.starts_with(b"\0asm") {
            return Err(Error::NoModule);
        }
        let archive = archive_of([(PLUGIN, module)])?;
        let layer = Blob::new(LAYER, gzip(&archive)?);
        let config = Config {
            architecture: PLATFORM.architecture,
            config: Execution { labels: annotations() },
            created: EPOCH,
            history: [History { comment: "plugin.wasm", created: EPOCH, created_by: "make image" }],
            os: PLATFORM.os,
            rootfs: RootFs { diff_ids: [format!("sha256:{}", sha256(&archive))], kind: "layers" },
        };
        let config = Blob::new(CONFIG, serde_json::to_vec(&config)?);
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: config.descriptor(),
            layers: [layer.descriptor()],
            annotations: annotations(),
        };
        let manifest = Blob::new(MANIFEST, serde_json::to_vec(&manifest)?);
        Ok(Self { layer, config, manifest })
    }

    /// The three blobs, the largest first.
    pub fn blobs(&self) -> [&Blob; 3] {
        [&self.layer, &self.config, &self.manifest]
    }
}

/// The SHA-256 of some bytes in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A tar archive of plain files that belong to root, may be read by all, and are as old as can be.
///
/// # Errors
/// Where a name does not fit into the archive's format.
pub fn archive_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, name, bytes)?;
    }
    archive.into_inner()
}

/// The bytes compressed, with no time and no name.
///
/// # Errors
/// Where compressing fails.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The image's annotations, which are labels in its configuration.
fn annotations() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("org.opencontainers.image.title", "egress-filter"),
        (
            "org.opencontainers.image.description",
            "A proxy-wasm filter for Istio waypoints: egress control by caller identity",
        ),
        ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
        ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE")),
    ])
}

/// A reference to a blob.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: &'static str,
    /// `sha256:` and the SHA-256 of the bytes.
    pub digest: String,
    /// How many bytes.
    pub size: usize,
    /// The annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, String>,
    /// Of a manifest in an index: where the image runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A processor and an operating system.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Platform {
    /// The processor's architecture, as Go names it.
    pub architecture: &'static str,
    /// The operating system, as Go names it.
    pub os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Config {
    architecture: &'static str,
    config: Execution,
    created: &'static str,
    history: [History; 1],
    os: &'static str,
    rootfs: RootFs,
}

#[derive(Serialize)]
struct Execution {
    #[serde(rename = "Labels")]
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct History {
    comment: &'static str,
    created: &'static str,
    created_by: &'static str,
}

#[derive(Serialize)]
struct RootFs {
    diff_ids: [String; 1],
    #[serde(rename = "type")]
    kind: &'static str,
}
