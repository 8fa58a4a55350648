//! An image on disk: a folder in the OCI Image Layout, and the same files in a tarball.
//!
//! The tarball also has the `manifest.json` that `docker load` reads, so it is both an OCI archive
//! and a docker archive, as what `docker save` writes since version 25. Tools that read it as the
//! former keep the image's digest; those that read it as the latter know only configuration and
//! layers, and write a manifest of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fetcher::Source;
use crate::oci::{Descriptor, INDEX, Image, PLATFORM, archive_of};
use crate::reference::Reference;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The files do not fit into an archive.
    #[error("the image cannot be put into an archive: {0}")]
    Archive(io::Error),
    /// JSON could not be written.
    #[error("the image cannot be described: {0}")]
    Json(#[from] serde_json::Error),
}

/// The annotation by which skopeo and others name an image within a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A folder in the OCI Image Layout, to be read as if it were a repository of a registry.
#[derive(Clone, Debug)]
pub struct Layout(pub PathBuf);

impl Source for Layout {
    fn manifest(&self, name: &str) -> io::Result<(String, Vec<u8>)> {
        let index: ReadIndex = serde_json::from_slice(&fs::read(self.0.join("index.json"))?)?;
        let found = index.manifests.into_iter().find(|manifest| {
            manifest.digest == name
                || manifest.annotations.get(REF_NAME).is_some_and(|it| it == name)
        });
        let found = found.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no `{name}` in the layout's index.json"),
            )
        })?;
        Ok((found.media_type, self.blob(&found.digest)?))
    }

    fn blob(&self, digest: &str) -> io::Result<Vec<u8>> {
        let sha256 = digest.strip_prefix("sha256:").unwrap_or(digest);
        fs::read(self.0.join(path_of(sha256)))
    }
}

/// The files of the layout, by their path in it.
///
/// # Errors
/// Where JSON cannot be written.
pub fn files(image: &Image, reference: &Reference) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut manifest = image.manifest.descriptor();
    manifest.platform = Some(PLATFORM);
    manifest.annotations = BTreeMap::from([
        (REF_NAME, reference.tag().to_owned()),
        // What containerd calls the image when it imports the tarball.
        ("io.containerd.image.name", reference.to_string()),
    ]);
    let index = Index { schema_version: 2, media_type: INDEX, manifests: [manifest] };
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), serde_json::to_vec(&index)?),
    ];
    files.extend(image.blobs().map(|blob| (path_of(&blob.sha256), blob.bytes.clone())));
    Ok(files)
}

/// Writes the layout into a folder, and takes away what was there before.
///
/// # Errors
/// Where the folder cannot be written.
pub fn write_folder(folder: &Path, image: &Image, reference: &Reference) -> Result<(), Error> {
    replace_folder(folder)?;
    for (name, bytes) in files(image, reference)? {
        write(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes the tarball.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_tarball(file: &Path, image: &Image, reference: &Reference) -> Result<(), Error> {
    write(file, &tarball(image, reference)?)
}

/// Makes the tarball.
///
/// # Errors
/// Where its index cannot be described.
pub fn tarball(image: &Image, reference: &Reference) -> Result<Vec<u8>, Error> {
    let docker = [DockerImage {
        config: path_of(&image.config.sha256),
        repo_tags: [reference.to_string()],
        layers: [path_of(&image.layer.sha256)],
    }];
    let mut files = files(image, reference)?;
    files.push(("manifest.json".to_owned(), serde_json::to_vec(&docker)?));
    archive_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
        .map_err(Error::Archive)
}

/// Makes an empty folder, in place of what was there.
///
/// # Errors
/// Where what was there cannot be removed, or the folder not be made.
pub fn replace_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: folder.to_owned(), source };
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(failed)
}

/// Writes a file, and the folders that it is in.
///
/// # Errors
/// Where either cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn path_of(sha256: &str) -> String {
    format!("blobs/sha256/{sha256}")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: [Descriptor; 1],
}

/// An entry of a docker archive's `manifest.json`. No `LayerSources`, with which docker tells the
/// layers' media types: crane copies them into a docker manifest, where Istio's agent takes a layer
/// of docker's own type only.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: [String; 1],
    layers: [String; 1],
}

#[derive(Deserialize)]
struct ReadIndex {
    manifests: Vec<ReadDescriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadDescriptor {
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}
