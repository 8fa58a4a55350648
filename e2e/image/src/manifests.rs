//! `filter-config/` with the image that was made: its files name a placeholder, and a digest of
//! zeros, which are replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::layout;
use crate::reference::Reference;

/// The image that the files in `filter-config/` name.
pub const PLACEHOLDER: &str = "registry.example.com/platform/egress-filter:0.1.0";
/// The comment above the digest that they name, by which `egressctl check` lets it pass.
const ALLOWED: &str = "# egressctl: allow(placeholder-digest)";
/// The digest that they name.
pub const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Why the files could not be written with the image in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] layout::Error),
    /// A file is not YAML.
    #[error("`{}`: {source}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_yaml_ng::Error,
    },
    /// A resource would be applied with another image or digest than those that were made.
    #[error("`{}`: {resource}: `{field}` is {found}: write `{placeholder}` there, which `make \
             image` replaces", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Kind and name of the resource.
        resource: String,
        /// The field within the resource.
        field: &'static str,
        /// Its value.
        found: String,
        /// What `make image` looks for.
        placeholder: String,
    },
    /// Nothing in the folder names an image.
    #[error("`{}` has no WasmPlugin and no TrafficExtension with `spec.wasm`: it is to be the \
             folder `filter-config`", .0.display())]
    NoPlugin(PathBuf),
}

/// The files of a folder with an image in the place of the placeholder.
#[derive(Clone, Debug)]
pub struct WithImage {
    /// Each file's path in the folder, in the order of their names, and its bytes.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// How many resources name the image.
    pub plugins: usize,
}

/// Writes the files of a folder into another one, with the image in the place of the placeholder,
/// and returns how many resources name it.
///
/// # Errors
/// Those of [`with_image`], and where a file cannot be written.
pub fn write(from: &Path, to: &Path, image: &Reference, sha256: &str) -> Result<usize, Error> {
    let WithImage { files, plugins } = with_image(from, image, sha256)?;
    layout::replace_folder(to)?;
    for (path, bytes) in files {
        layout::write(&to.join(path), &bytes)?;
    }
    Ok(plugins)
}

/// Puts the image in the place of the placeholder.
///
/// # Errors
/// Where a file cannot be read, where a WasmPlugin or TrafficExtension does not have the
/// placeholders, and where there is neither.
pub fn with_image(from: &Path, image: &Reference, sha256: &str) -> Result<WithImage, Error> {
    let mut found = Vec::new();
    let mut plugins = 0;
    for path in files(from)? {
        let mut bytes =
            fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            let text = String::from_utf8_lossy(&bytes)
                .replace(&url(PLACEHOLDER), &url(image))
                .replace(ZEROS, sha256)
                .split_inclusive('\n')
                .filter(|line| line.trim() != ALLOWED)
                .collect::<String>();
            plugins += plugins_in(&path, &text, image, sha256)?;
            bytes = text.into_bytes();
        }
        found.push((path.strip_prefix(from).unwrap_or(&path).to_owned(), bytes));
    }
    if plugins == 0 {
        return Err(Error::NoPlugin(from.to_owned()));
    }
    Ok(WithImage { files: found, plugins })
}

fn url(image: impl std::fmt::Display) -> String {
    format!("oci://{image}")
}

/// The files in a folder and in those within it, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut paths = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// How many resources of a file name an image; each must name the one given.
fn plugins_in(path: &Path, text: &str, image: &Reference, sha256: &str) -> Result<usize, Error> {
    let mut plugins = 0;
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let resource = Value::deserialize(document)
            .map_err(|source| Error::Yaml { path: path.to_owned(), source })?;
        let kind = resource.get("kind").and_then(Value::as_str).unwrap_or_default();
        let fields = match kind {
            "WasmPlugin" => ["spec.url", "spec.sha256"],
            "TrafficExtension" if at(&resource, "spec.wasm").is_some() => {
                ["spec.wasm.url", "spec.wasm.sha256"]
            }
            _ => continue,
        };
        let wanted = [(url(image), url(PLACEHOLDER)), (sha256.to_owned(), ZEROS.to_owned())];
        for (field, (wanted, placeholder)) in fields.into_iter().zip(wanted) {
            let value = at(&resource, field);
            if value.and_then(Value::as_str) != Some(&wanted) {
                let name =
                    at(&resource, "metadata.name").and_then(Value::as_str).unwrap_or_default();
                let found = value.map_or_else(|| "not there".to_owned(), told);
                return Err(Error::Field {
                    path: path.to_owned(),
                    resource: format!("{kind} `{name}`"),
                    field,
                    found,
                    placeholder,
                });
            }
        }
        plugins += 1;
    }
    Ok(plugins)
}

fn at<'a>(resource: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(resource, |value, key| value.get(key))
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Number(number) => format!("the number {number}"),
        _ => "no text".to_owned(),
    }
}
