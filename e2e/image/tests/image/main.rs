//! The image as its readers see it: Istio's agent, skopeo and a registry, the operator who applies
//! the manifests.

mod command;
mod fetcher;
mod layout;
mod manifests;
mod registry;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use image::oci::Image;
use image::reference::Reference;

/// The workspace's root.
fn workspace_root() -> PathBuf {
    std::fs::canonicalize("../..").expect("tests run in the folder of their package")
}

/// The compiled filter: `$EGRESS_FILTER_WASM`, or where `make wasm` puts it.
fn built_path() -> PathBuf {
    let built = workspace_root().join("target/wasm32-wasip1/release/egress_filter.wasm");
    std::env::var_os("EGRESS_FILTER_WASM").map_or(built, PathBuf::from)
}

fn built_module() -> Vec<u8> {
    let path = built_path();
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("`{}`: {error}; `make wasm` builds it", path.display()))
}

/// The image of the compiled filter, made once.
fn built_image() -> &'static Image {
    static IMAGE: LazyLock<Image> =
        LazyLock::new(|| Image::new(&built_module()).expect("an image"));
    &IMAGE
}

/// Bytes that begin as a module does, repeat themselves here and there, and are always the same.
fn small_module() -> Vec<u8> {
    let noise = (0..40_000_u32)
        .map(|at| (at / 3).wrapping_mul(2_654_435_761).to_be_bytes()[usize::from(at % 7 == 0)]);
    b"\0asm\x01\0\0\0".iter().copied().chain(noise).collect()
}

fn reference() -> Reference {
    "registry.example.com/platform/egress-filter:0.1.0".parse().expect("a reference")
}

/// The files in a folder and in those within it, by their path in it, with their bytes.
fn files_in(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in
            std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((
                    path.strip_prefix(folder).expect("within").to_owned(),
                    std::fs::read(&path).expect("readable"),
                ));
            }
        }
    }
    found.sort();
    found
}
