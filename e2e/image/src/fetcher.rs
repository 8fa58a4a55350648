//! What Istio's agent makes of an image: its rules (`pkg/wasm/imagefetcher.go` and `cache.go` in
//! istio/istio, with the client of google/go-containerregistry), reimplemented so that an image can
//! be tried without a cluster.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::oci::sha256;

// Written out here, so that the reader does not agree with the image only because both use the same
// constants.
/// The media type of an OCI index, from which an image is picked.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The one layer type that is taken of an image with an OCI manifest.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of a docker manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of docker's list of manifests, from which an image is picked too.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The one layer type that is taken of an image with a docker manifest.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The one layer type of an artifact that is taken: a module as it is, not in an archive.
pub const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// The largest module that the agent takes, unless `ISTIO_WASM_MAX_BINARY_SIZE_BYTES` says
/// otherwise.
pub const LIMIT: u64 = 256 * 1024 * 1024;

/// Where manifests and blobs come from: a registry, or a layout on disk.
pub trait Source {
    /// The media type and the bytes of what a tag, or a digest, stands for.
    ///
    /// # Errors
    /// Where there is nothing of that name.
    fn manifest(&self, name: &str) -> io::Result<(String, Vec<u8>)>;

    /// The bytes of a digest (`sha256:` and 64 digits).
    ///
    /// # Errors
    /// Where there is nothing of that digest.
    fn blob(&self, digest: &str) -> io::Result<Vec<u8>>;
}

/// What the agent gets of an image.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The SHA-256 of the manifest, which must be `sha256` of the WasmPlugin.
    pub sha256: String,
    /// The module.
    pub module: Vec<u8>,
}

/// Why the agent gets no module of an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry did not answer, or not with what was asked.
    #[error("cannot be fetched: {0}")]
    Fetch(#[from] io::Error),
    /// A manifest is not JSON, or lacks a required field.
    #[error("has a manifest that cannot be read: {0}")]
    Manifest(#[from] serde_json::Error),
    /// The index has no image for the agent's client.
    #[error(
        "is an index without a linux/amd64 image, the one that is picked from it on every machine"
    )]
    NoPlatform,
    /// The bytes do not have the digest that the manifest names.
    #[error("has a blob that is not what its descriptor says ({0})")]
    Blob(String),
    /// `sha256` belongs to another manifest.
    #[error("has the digest {found}, not {expected}")]
    Digest {
        /// The WasmPlugin's `sha256`.
        expected: String,
        /// The manifest's digest.
        found: String,
    },
    /// The manifest is docker's, and its last layer is not of docker's type.
    #[error("is a docker image that has no module: {0}")]
    Docker(NoModule),
    /// The manifest is of no kind that the agent takes.
    #[error(
        "is in no format that is taken: not as an image ({image}), not as an artifact ({artifact})"
    )]
    Oci {
        /// Why it is not of the "compat" variant.
        image: NoModule,
        /// Why it is not of the "oci" variant.
        artifact: NoModule,
    },
    /// What was found is no WebAssembly module.
    #[error("has a `plugin.wasm` that is no WebAssembly module")]
    Invalid,
}

/// Why an image of one kind has no module.
#[derive(Debug, thiserror::Error)]
pub enum NoModule {
    /// There is no layer, or not as many as there must be.
    #[error("{0} layers")]
    Layers(usize),
    /// The layer that counts is of another type.
    #[error("a layer of type {0}")]
    Type(String),
    /// No layer is of the type that counts.
    #[error("no layer of type {WASM_LAYER}")]
    NoWasmLayer,
    /// The layer cannot be read.
    #[error("an unreadable layer: {0}")]
    Unreadable(#[from] io::Error),
    /// The archive has no such file.
    #[error("no `plugin.wasm` in the last layer")]
    NoPlugin,
    /// The module is larger than the agent takes.
    #[error("more than {0} bytes")]
    TooLarge(u64),
}

/// Fetches a module as the agent does for `url: oci://...` with or without a `sha256`.
///
/// # Errors
/// Where the agent would not get a module, with the reason.
pub fn fetch(source: &impl Source, name: &str, expected: Option<&str>) -> Result<Fetched, Error> {
    fetch_up_to(source, name, expected, LIMIT)
}

/// The same with another limit to a module's size.
///
/// # Errors
/// Where the agent would not get a module, with the reason.
pub fn fetch_up_to(
    source: &impl Source,
    name: &str,
    expected: Option<&str>,
    limit: u64,
) -> Result<Fetched, Error> {
    let (mut media_type, mut bytes) = source.manifest(name)?;
    if [OCI_INDEX, DOCKER_LIST].contains(&media_type.as_str()) {
        let index: Index = serde_json::from_slice(&bytes)?;
        let child = index
            .manifests
            .iter()
            .find(|child| child.platform.as_ref().is_none_or(Platform::is_picked))
            .ok_or(Error::NoPlatform)?;
        (media_type, bytes) = source.manifest(&child.digest)?;
        if child.digest != format!("sha256:{}", sha256(&bytes)) {
            return Err(Error::Blob(format!("{}, {media_type}", child.digest)));
        }
    }
    let digest = sha256(&bytes);
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(Error::Digest { expected: expected.to_owned(), found: digest });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes)?;
    let module = if manifest.media_type == DOCKER_MANIFEST {
        from_last_layer(source, &manifest, DOCKER_LAYER, limit)?.map_err(Error::Docker)?
    } else {
        match from_last_layer(source, &manifest, OCI_LAYER, limit)? {
            Ok(module) => module,
            Err(image) => from_artifact(source, &manifest, limit)?
                .map_err(|artifact| Error::Oci { image, artifact })?,
        }
    };
    if module.len() < 8 || !module.starts_with(b"\0asm") {
        return Err(Error::Invalid);
    }
    Ok(Fetched { sha256: digest, module })
}

type Found = Result<Vec<u8>, NoModule>;

/// Of an image, the last layer counts, and in it the first file whose name, without its folders, is
/// `plugin.wasm`.
fn from_last_layer(
    source: &impl Source,
    manifest: &Manifest,
    media_type: &str,
    limit: u64,
) -> Result<Found, Error> {
    let Some(layer) = manifest.layers.last() else { return Ok(Err(NoModule::Layers(0))) };
    if layer.media_type != media_type {
        return Ok(Err(NoModule::Type(layer.media_type.clone())));
    }
    Ok(plugin_in(&blob(source, layer)?, limit))
}

/// Of an artifact there must be two layers, one of them a module as it is.
fn from_artifact(source: &impl Source, manifest: &Manifest, limit: u64) -> Result<Found, Error> {
    if manifest.layers.len() != 2 {
        return Ok(Err(NoModule::Layers(manifest.layers.len())));
    }
    let Some(layer) = manifest.layers.iter().find(|layer| layer.media_type == WASM_LAYER) else {
        return Ok(Err(NoModule::NoWasmLayer));
    };
    Ok(read_up_to(blob(source, layer)?.as_slice(), limit))
}

fn blob(source: &impl Source, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let bytes = source.blob(&descriptor.digest)?;
    if bytes.len() != descriptor.size || descriptor.digest != format!("sha256:{}", sha256(&bytes)) {
        return Err(Error::Blob(format!("{}, {} bytes", descriptor.digest, descriptor.size)));
    }
    Ok(bytes)
}

fn plugin_in(layer: &[u8], limit: u64) -> Found {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(layer));
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.file_name().is_some_and(|name| name == "plugin.wasm") {
            return read_up_to(entry, limit);
        }
    }
    Err(NoModule::NoPlugin)
}

fn read_up_to(reader: impl Read, limit: u64) -> Found {
    let mut module = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut module)?;
    if module.len() as u64 > limit { Err(NoModule::TooLarge(limit)) } else { Ok(module) }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: usize,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Platform {
    fn is_picked(&self) -> bool {
        self.architecture == "amd64" && self.os == "linux"
    }
}
