//! The image on disk.

use std::io::Read;

use flate2::read::GzDecoder;
use image::fetcher::fetch;
use image::layout::{Layout, write_folder, write_tarball};
use image::oci::{self, Image, sha256};
use serde_json::{Value, json};

use crate::{built_image, built_module, files_in, reference, small_module, workspace_root};

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn istio_s_agent_gets_the_built_module_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = built_image();
    write_folder(folder.path(), image, &reference()).expect("written");
    let fetched = fetch(&Layout(folder.path().to_owned()), "0.1.0", Some(&image.manifest.sha256))
        .expect("a module");
    assert!(fetched.module == built_module(), "another module than the built one");

    let manifest = std::fs::read(folder.path().join("blobs/sha256").join(&image.manifest.sha256))
        .expect("the manifest");
    assert_eq!(fetched.sha256, sha256(&manifest), "the digest is that of the manifest's bytes");
    fetch(&Layout(folder.path().to_owned()), "0.2.0", None).expect_err("another tag");
}

#[test]
fn the_layout_is_an_index_of_one_manifest_with_one_layer_of_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = small_module();
    let image = Image::new(&module).expect("an image");
    write_folder(folder.path(), &image, &reference()).expect("written");

    let files = files_in(folder.path());
    let read = |name: &str| {
        &files.iter().find(|(path, _)| path.ends_with(name)).unwrap_or_else(|| panic!("{name}")).1
    };
    assert_eq!(files.len(), 5, "three blobs, index.json and oci-layout");
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("blobs")) {
        assert!(path.ends_with(sha256(bytes)), "{} is not named for its digest", path.display());
    }
    assert_eq!(json_of(read("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));

    let index = json_of(read("index.json"));
    assert_eq!(index["mediaType"], oci::INDEX);
    assert_eq!(
        index["manifests"],
        json!([{
            "mediaType": oci::MANIFEST,
            "digest": format!("sha256:{}", image.manifest.sha256),
            "size": image.manifest.bytes.len(),
            "platform": {"architecture": "amd64", "os": "linux"},
            "annotations": {
                "org.opencontainers.image.ref.name": "0.1.0",
                "io.containerd.image.name": "registry.example.com/platform/egress-filter:0.1.0",
            },
        }])
    );

    let manifest = json_of(read(&image.manifest.sha256));
    assert_eq!(
        (&manifest["schemaVersion"], &manifest["mediaType"]),
        (&json!(2), &json!(oci::MANIFEST))
    );
    let descriptor = |media_type: &str, bytes: &[u8]| {
        json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", sha256(bytes)),
            "size": bytes.len(),
        })
    };
    assert_eq!(
        manifest["config"],
        descriptor("application/vnd.oci.image.config.v1+json", read(&image.config.sha256))
    );
    assert_eq!(
        manifest["layers"],
        json!([descriptor(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            read(&image.layer.sha256)
        )])
    );
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(manifest["annotations"]["org.opencontainers.image.licenses"], "Apache-2.0");

    let mut archive = Vec::new();
    GzDecoder::new(read(&image.layer.sha256).as_slice()).read_to_end(&mut archive).expect("gzip");
    let config = json_of(read(&image.config.sha256));
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("amd64")));
    assert_eq!(
        config["rootfs"],
        json!({"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&archive))]})
    );
    assert_eq!(
        config["config"]["Labels"], manifest["annotations"],
        "what docker shows is what registries show"
    );

    let mut archive = tar::Archive::new(archive.as_slice());
    let mut entries = archive.entries().expect("tar");
    let mut entry = entries.next().expect("a file").expect("a file");
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).expect("the file");
    let header = entry.header();
    assert_eq!(entry.path().expect("a path").to_str(), Some("plugin.wasm"));
    assert_eq!(header.entry_type(), tar::EntryType::Regular);
    assert_eq!(header.mode().expect("mode"), 0o644);
    assert_eq!(
        (header.uid().expect("uid"), header.gid().expect("gid"), header.mtime().expect("mtime")),
        (0, 0, 0)
    );
    assert!(bytes == module, "another module");
    assert!(entries.next().is_none(), "one file only");
}

#[test]
fn the_tarball_is_the_layout_and_a_docker_archive() {
    let folder = tempfile::tempdir().expect("a folder");
    let (oci, tarball) = (folder.path().join("oci"), folder.path().join("it.tar"));
    let image = built_image();
    write_folder(&oci, image, &reference()).expect("written");
    write_tarball(&tarball, image, &reference()).expect("written");

    let unpacked = folder.path().join("unpacked");
    tar::Archive::new(std::fs::read(&tarball).expect("the tarball").as_slice())
        .unpack(&unpacked)
        .expect("tar");
    let docker = json_of(&std::fs::read(unpacked.join("manifest.json")).expect("manifest.json"));
    std::fs::remove_file(unpacked.join("manifest.json")).expect("removed");
    assert!(files_in(&unpacked) == files_in(&oci), "the tarball has other files than the folder");

    // As docker reads it: the configuration's bytes, and for each of its layers a file whose
    // contents have the `diff_id`.
    let [entry] = docker.as_array().expect("a list").as_slice() else { panic!("{docker}") };
    assert_eq!(entry["RepoTags"], json!(["registry.example.com/platform/egress-filter:0.1.0"]));
    let read = |name: &Value| {
        std::fs::read(unpacked.join(name.as_str().expect("a path"))).expect("the file")
    };
    let config = json_of(&read(&entry["Config"]));
    let [layer] = entry["Layers"].as_array().expect("a list").as_slice() else {
        panic!("{docker}")
    };
    let mut archive = Vec::new();
    GzDecoder::new(read(layer).as_slice()).read_to_end(&mut archive).expect("gzip");
    assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", sha256(&archive))]));
    assert!(
        entry.get("LayerSources").is_none(),
        "crane would copy an OCI layer type into a docker manifest, which Istio refuses"
    );
}

#[test]
fn a_module_has_one_image_whatever_it_is_called_and_another_module_another() {
    let module = small_module();
    let image = Image::new(&module).expect("an image");
    assert_eq!(image, Image::new(&module).expect("an image"));
    let mut other = module;
    *other.last_mut().expect("a byte") ^= 1;
    let other = Image::new(&other).expect("an image");
    for (one, another) in image.blobs().into_iter().zip(other.blobs()) {
        assert_ne!(one.sha256, another.sha256, "{}", one.media_type);
    }
}

/// A reproducible digest needs a module that is the same wherever it is built:
/// `e2e/setup/cargo-wasm` sees to that.
#[test]
fn the_built_module_names_no_folder_of_the_machine_that_built_it() {
    let module = built_module();
    let root = std::fs::canonicalize(workspace_root()).expect("the workspace");
    let cargo_home = std::env::var("CARGO_HOME")
        .ok()
        .filter(|home| home != "/cargo")
        .map(|home| format!("{home}/registry/"));
    let of_root = ["src", "target"].map(|folder| format!("{}/{folder}/", root.display()));
    for folder in of_root.into_iter().chain(cargo_home).chain(["/.cargo/registry/".to_owned()]) {
        let found = module.windows(folder.len()).position(|bytes| bytes == folder.as_bytes());
        let around = found.map(|at| {
            String::from_utf8_lossy(&module[at..(at + 100).min(module.len())]).into_owned()
        });
        assert_eq!(around, None, "the module has the path `{folder}` in it");
    }
}

/// Compression is where two machines, or two versions of a crate, could differ. Another digest here
/// means that the same module gets another digest from now on: let the release notes say so.
#[test]
fn the_layer_has_the_digest_that_it_always_had() {
    let image = Image::new(&small_module()).expect("an image");
    assert_eq!(
        image.layer.sha256,
        "e0f05b29c33542ab80f0293c4ec92ab8b95aeef2d250c79185541608a1134167"
    );
}

#[test]
fn what_is_no_module_gets_no_image() {
    for bytes in [b"".as_slice(), b"\0as", b"(module)", b"#!/bin/sh"] {
        let error = Image::new(bytes).expect_err("no module").to_string();
        assert!(error.contains("no WebAssembly module") && error.contains("make wasm"), "{error}");
    }
}
