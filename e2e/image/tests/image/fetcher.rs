//! Istio's rules with images of all kinds, so that reading our own image back proves something.

use std::collections::BTreeMap;
use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::fetcher::{
    DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, Fetched, OCI_INDEX, OCI_LAYER, Source, WASM_LAYER,
    fetch, fetch_up_to,
};
use image::oci::{CONFIG, MANIFEST, archive_of, sha256};
use serde_json::{Value, json};

use crate::small_module;

/// A registry in memory, with one repository.
#[derive(Default)]
struct Registry {
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Source for Registry {
    fn manifest(&self, name: &str) -> io::Result<(String, Vec<u8>)> {
        self.manifests
            .get(name)
            .cloned()
            .ok_or_else(|| io::Error::other(format!("no manifest `{name}`")))
    }

    fn blob(&self, digest: &str) -> io::Result<Vec<u8>> {
        self.blobs
            .get(digest)
            .cloned()
            .ok_or_else(|| io::Error::other(format!("no blob `{digest}`")))
    }
}

impl Registry {
    /// An image of some layers under the tag `it`.
    fn of(media_type: &str, layers: &[(&str, &[u8])]) -> Self {
        let mut registry = Self::default();
        registry.image(media_type, media_type, layers);
        registry
    }

    /// Pushes an image, and answers its digest. The registry calls the manifest by the first type,
    /// the manifest itself by the second.
    fn image(&mut self, served: &str, written: &str, layers: &[(&str, &[u8])]) -> String {
        let layers: Vec<Value> =
            layers.iter().map(|(media_type, bytes)| self.push_blob(media_type, bytes)).collect();
        let config = self.push_blob(CONFIG, b"{}");
        let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        if !written.is_empty() {
            manifest["mediaType"] = written.into();
        }
        self.push(served, &manifest)
    }

    fn push(&mut self, media_type: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = sha256(&bytes);
        for name in ["it".to_owned(), format!("sha256:{digest}")] {
            self.manifests.insert(name, (media_type.to_owned(), bytes.clone()));
        }
        digest
    }

    fn push_blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = format!("sha256:{}", sha256(bytes));
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    #[track_caller]
    fn gives_the_module(&self) -> Fetched {
        let fetched = fetch(self, "it", None).expect("a module");
        assert!(fetched.module == small_module(), "another module");
        fetched
    }

    #[track_caller]
    fn refuses(&self, reason: &str) {
        let error = fetch(self, "it", None).expect_err(reason).to_string();
        assert!(error.contains(reason), "expected `{reason}`, got `{error}`");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    io::Write::write_all(&mut encoder, bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

/// A layer with files.
fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    gzip(&archive_of(files.iter().copied()).expect("an archive"))
}

fn plugin() -> Vec<u8> {
    layer(&[("plugin.wasm", &small_module())])
}

#[test]
fn images_with_the_module_in_their_last_layer_are_taken() {
    let other = layer(&[("etc/os-release", b"ID=none")]);
    let in_folder = layer(&[
        ("opt/readme", b"-"),
        ("opt/plugin.wasm", &small_module()),
        ("plugin.wasm", b"a later one"),
    ]);
    let archive = archive_of([("plugin.wasm", small_module().as_slice())]).expect("an archive");
    let (head, tail) = archive.split_at(1000);
    let members = [gzip(head), gzip(tail)].concat();
    for (what, image) in [
        ("one layer", Registry::of(MANIFEST, &[(OCI_LAYER, &plugin())])),
        ("the last of two", Registry::of(MANIFEST, &[(OCI_LAYER, &other), (OCI_LAYER, &plugin())])),
        ("in a folder", Registry::of(MANIFEST, &[(OCI_LAYER, &in_folder)])),
        ("gzip in two members", Registry::of(MANIFEST, &[(OCI_LAYER, &members)])),
        (
            "a layer of another type before it",
            Registry::of(MANIFEST, &[(DOCKER_LAYER, &other), (OCI_LAYER, &plugin())]),
        ),
        ("docker's types", Registry::of(DOCKER_MANIFEST, &[(DOCKER_LAYER, &plugin())])),
        (
            "an artifact of two layers",
            Registry::of(MANIFEST, &[(WASM_LAYER, &small_module()), ("application/json", b"{}")]),
        ),
    ] {
        println!("{what}");
        image.gives_the_module();
    }
}

#[test]
fn a_manifest_that_says_no_type_is_an_oci_manifest() {
    let mut registry = Registry::default();
    registry.image(MANIFEST, "", &[(OCI_LAYER, &plugin())]);
    registry.gives_the_module();
    // The type that the manifest states counts, not the one that the registry reports.
    registry.image(DOCKER_MANIFEST, MANIFEST, &[(OCI_LAYER, &plugin())]);
    registry.gives_the_module();
    registry.image(MANIFEST, DOCKER_MANIFEST, &[(OCI_LAYER, &plugin())]);
    registry.refuses(&format!("a docker image that has no module: a layer of type {OCI_LAYER}"));
}

#[test]
fn other_kinds_of_image_are_refused_with_the_reason() {
    let other = layer(&[("etc/os-release", b"ID=none")]);
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    let archive = archive_of([("plugin.wasm", small_module().as_slice())]).expect("an archive");
    for (reason, image) in [
        (
            "not as an image (a layer of type application/vnd.oci.image.layer.v1.tar+zstd)",
            Registry::of(MANIFEST, &[(zstd, &plugin())]),
        ),
        (
            "no `plugin.wasm` in the last layer",
            Registry::of(MANIFEST, &[(OCI_LAYER, &plugin()), (OCI_LAYER, &other)]),
        ),
        (
            "no `plugin.wasm` in the last layer",
            Registry::of(MANIFEST, &[(OCI_LAYER, &layer(&[("filter.wasm", &small_module())]))]),
        ),
        (
            "not as an artifact (no layer of type",
            Registry::of(MANIFEST, &[(OCI_LAYER, &plugin()), (zstd, &other)]),
        ),
        ("an unreadable layer", Registry::of(MANIFEST, &[(OCI_LAYER, &archive)])),
        (
            "not as an artifact (1 layers)",
            Registry::of(MANIFEST, &[("application/wasm", &small_module())]),
        ),
        ("not as an artifact (1 layers)", Registry::of(MANIFEST, &[(WASM_LAYER, &small_module())])),
        (
            "a layer of type application/vnd.docker",
            Registry::of(MANIFEST, &[(DOCKER_LAYER, &plugin())]),
        ),
        (
            "a docker image that has no module: a layer of type application/vnd.oci",
            Registry::of(DOCKER_MANIFEST, &[(OCI_LAYER, &plugin())]),
        ),
        (
            "a docker image that has no module: no `plugin.wasm`",
            Registry::of(DOCKER_MANIFEST, &[(DOCKER_LAYER, &other)]),
        ),
        ("0 layers", Registry::of(MANIFEST, &[])),
        (
            "no WebAssembly module",
            Registry::of(MANIFEST, &[(OCI_LAYER, &layer(&[("plugin.wasm", b"#!/bin/sh -e")]))]),
        ),
        (
            "no WebAssembly module",
            Registry::of(MANIFEST, &[(OCI_LAYER, &layer(&[("plugin.wasm", b"\0asm")]))]),
        ),
        ("no manifest `it`", Registry::default()),
    ] {
        image.refuses(reason);
    }
}

#[test]
fn of_an_index_the_linux_amd64_image_is_picked_on_every_machine() {
    for list in [OCI_INDEX, DOCKER_LIST] {
        let mut registry = Registry::default();
        let child = registry.image(MANIFEST, MANIFEST, &[(OCI_LAYER, &plugin())]);
        let entry = |platform: Value| {
            let mut entry =
                json!({"mediaType": MANIFEST, "digest": format!("sha256:{child}"), "size": 1});
            if !platform.is_null() {
                entry["platform"] = platform;
            }
            entry
        };
        let mut arm64 = entry(json!({"os": "linux", "architecture": "arm64"}));
        arm64["digest"] = format!("sha256:{}", "0".repeat(64)).into();

        registry.push(
            list,
            &json!({"manifests": [arm64, entry(json!({"os": "linux", "architecture": "amd64"}))]}),
        );
        assert_eq!(
            registry.gives_the_module().sha256,
            child,
            "the digest is the picked image's, not the index's"
        );
        registry.push(list, &json!({"manifests": [entry(Value::Null)]}));
        registry.gives_the_module();
        for (os, architecture) in [("wasi", "wasm"), ("linux", "arm64")] {
            registry.push(
                list,
                &json!({"manifests": [entry(json!({"os": os, "architecture": architecture}))]}),
            );
            registry.refuses("an index without a linux/amd64 image");
        }
    }
}

#[test]
fn sha256_is_the_manifest_s_and_not_the_file_s() {
    let mut registry = Registry::default();
    let digest = registry.image(MANIFEST, MANIFEST, &[(OCI_LAYER, &plugin())]);
    assert_eq!(fetch(&registry, "it", Some(&digest)).expect("a module").sha256, digest);
    for other in
        [sha256(&small_module()), sha256(&plugin()), format!("sha256:{digest}"), String::new()]
    {
        let error = fetch(&registry, "it", Some(&other)).expect_err("another digest").to_string();
        assert_eq!(error, format!("has the digest {digest}, not {other}"));
    }
}

#[test]
fn bytes_that_are_not_what_the_manifest_names_are_refused() {
    let mut registry = Registry::default();
    let module = small_module();
    let digest =
        registry.image(MANIFEST, MANIFEST, &[(WASM_LAYER, &module), ("application/json", b"{}")]);
    registry.gives_the_module();
    let blob = registry.blobs.get_mut(&format!("sha256:{}", sha256(&module))).expect("a blob");
    *blob.last_mut().expect("a byte") ^= 1;
    registry.refuses("a blob that is not what its descriptor says");

    let entry = json!({"mediaType": MANIFEST, "digest": format!("sha256:{digest}"), "size": 1});
    registry.push(OCI_INDEX, &json!({"manifests": [entry]}));
    registry.manifests.get_mut(&format!("sha256:{digest}")).expect("a manifest").1.push(b' ');
    registry.refuses("a blob that is not what its descriptor says");
}

#[test]
fn a_module_may_be_as_large_as_the_limit_and_no_larger() {
    let size = small_module().len() as u64;
    for layers in
        [vec![(OCI_LAYER, plugin())], vec![(WASM_LAYER, small_module()), (OCI_LAYER, b"".to_vec())]]
    {
        let layers: Vec<_> =
            layers.iter().map(|(media_type, bytes)| (*media_type, bytes.as_slice())).collect();
        let registry = Registry::of(MANIFEST, &layers);
        fetch_up_to(&registry, "it", None, size).expect("at the limit");
        let error =
            fetch_up_to(&registry, "it", None, size - 1).expect_err("over the limit").to_string();
        assert!(error.contains(&format!("more than {} bytes", size - 1)), "{error}");
    }
}
