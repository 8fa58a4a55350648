//! What is in a release, and what no release is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::validation::Validate as _;
use release::changes::{self, Changes};
use release::files::{self, NOTES, Parts, SUMS};
use release::metadata::{self, Crates};
use release::{VERSION, commit};
use serde_json::Value;

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
const HOST: &str = "x86_64-unknown-linux-gnu";
const IMAGE: &str = "registry.example.com/platform/egress-filter";

fn root() -> PathBuf {
    fs::canonicalize("../..").expect("tests run in the folder of their package")
}

fn crates(package: &str, target: &str) -> Crates {
    metadata::of(OsStr::new(env!("CARGO")), &root(), package, target)
        .unwrap_or_else(|error| panic!("{error}"))
}

static OF_MODULE: LazyLock<Crates> = LazyLock::new(|| crates("egress-filter", "wasm32-wasip1"));
static OF_EGRESSCTL: LazyLock<Crates> = LazyLock::new(|| crates("egressctl", HOST));

fn make(image: &str) -> Result<BTreeMap<String, Vec<u8>>, files::Error> {
    files::make(&Parts {
        image: &image.parse()?,
        modules: [b"\0asm\x01\0\0\0one", b"\0asm\x01\0\0\0two"],
        egressctl: b"#!/bin/sh\n",
        host: HOST,
        revision: REVISION,
        rustc: "rustc 1.95.0",
        of_module: &OF_MODULE,
        of_egressctl: &OF_EGRESSCTL,
        changes: &Changes { day: "2026-11-28".to_owned(), text: "- Something new.".to_owned() },
        filter_config: &root().join("filter-config"),
    })
}

static MADE: LazyLock<BTreeMap<String, Vec<u8>>> =
    LazyLock::new(|| make(&format!("{IMAGE}:{VERSION}")).unwrap_or_else(|error| panic!("{error}")));

fn text(name: &str) -> &'static str {
    let bytes = MADE.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", MADE.keys()));
    std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn in_a_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in MADE.iter() {
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {told}{error}");
    told
}

#[test]
fn a_release_has_every_file_and_a_checksum_of_each() {
    let expected = [
        SUMS.to_owned(),
        format!("egress-filter-{VERSION}-bodies.cdx.json"),
        format!("egress-filter-{VERSION}-bodies.oci.tar"),
        format!("egress-filter-{VERSION}-bodies.wasm"),
        format!("egress-filter-{VERSION}.cdx.json"),
        format!("egress-filter-{VERSION}.oci.tar"),
        format!("egress-filter-{VERSION}.wasm"),
        format!("egressctl-{VERSION}-{HOST}"),
        format!("egressctl-{VERSION}-{HOST}.cdx.json"),
        format!("filter-config-{VERSION}-bodies.tar.gz"),
        format!("filter-config-{VERSION}.tar.gz"),
        "image-digests.txt".to_owned(),
        NOTES.to_owned(),
    ];
    assert_eq!(MADE.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());

    let folder = in_a_folder();
    let checked = run(folder.path(), "sha256sum", &["--strict", "-c", SUMS]);
    let names = MADE.keys().filter(|name| *name != SUMS).map(|name| format!("{name}: OK\n"));
    assert_eq!(checked, names.collect::<String>());

    fs::write(folder.path().join(NOTES), "other notes").expect("written");
    let output = Command::new("sha256sum").args(["-c", SUMS]).current_dir(folder.path()).output();
    assert!(!output.expect("sha256sum runs").status.success(), "a changed file was not found");
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let again = make(&format!("{IMAGE}:{VERSION}")).expect("made");
    for (name, bytes) in MADE.iter() {
        assert!(again.get(name) == Some(bytes), "{name} differs");
    }
}

#[test]
fn the_manifests_the_notes_and_the_list_have_the_digests_of_the_images_in_the_archives() {
    let folder = in_a_folder();
    for variant in ["", "-bodies"] {
        let index = run(
            folder.path(),
            "tar",
            &["xOf", &format!("egress-filter-{VERSION}{variant}.oci.tar"), "index.json"],
        );
        let index: Value = serde_json::from_str(&index).expect("JSON");
        let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
        let name = format!("{IMAGE}:{VERSION}{variant}");
        let line = format!("{digest}  {name}");
        assert!(text("image-digests.txt").lines().any(|it| it == line), "{line}");
        assert!(text(NOTES).contains(&format!("| `{name}` | `{digest}` |")), "{}", text(NOTES));

        let archive = format!("filter-config-{VERSION}{variant}.tar.gz");
        let file = format!("filter-config-{VERSION}{variant}/03-policy-rbac.yaml");
        let manifest = run(folder.path(), "tar", &["xOzf", &archive, &file]);
        let sha256 = digest.strip_prefix("sha256:").expect("a SHA-256");
        assert!(
            manifest.contains(&format!("sha256: \"{sha256}\"\n"))
                && manifest.contains(&format!("url: oci://{name}\n")),
            "{manifest}"
        );
    }
}

#[test]
fn the_notes_have_the_section_of_the_changelog_and_the_commit() {
    let notes = text(NOTES);
    let title = format!("# egress-filter {VERSION}, 2026-11-28\n\n- Something new.\n");
    assert!(notes.starts_with(&title), "{notes}");
    assert!(notes.contains(REVISION) && notes.contains("rustc 1.95.0"), "{notes}");
}

#[test]
fn a_bill_of_materials_holds_to_the_format_and_names_what_is_built_in() {
    for (name, with, without) in [
        (format!("egress-filter-{VERSION}.cdx.json"), "base64", "clap"),
        (format!("egressctl-{VERSION}-{HOST}.cdx.json"), "clap", "wasmtime"),
    ] {
        let bom = Bom::parse_from_json(text(&name).as_bytes()).expect("CycloneDX");
        let verdict = bom.validate_version(SpecVersion::V1_5);
        assert!(verdict.passed(), "{name}: {:?}", verdict.errors().collect::<Vec<_>>());

        let bill: Value = serde_json::from_str(text(&name)).expect("JSON");
        assert_eq!(bill["specVersion"], "1.5", "{name}");
        let component = &bill["metadata"]["component"];
        assert_eq!(component["version"], VERSION, "{name}");
        let artefact = name.strip_suffix(".cdx.json").expect("the ending");
        let artefact = [artefact.to_owned(), format!("{artefact}.wasm")]
            .into_iter()
            .find(|it| MADE.contains_key(it))
            .expect("the artefact");
        let sum =
            format!("{}  {artefact}", component["hashes"][0]["content"].as_str().expect("one"));
        assert!(text(SUMS).lines().any(|line| line == sum), "{name}: {sum}");

        let components = bill["components"].as_array().expect("components");
        let found = |wanted: &str| components.iter().find(|it| it["name"] == wanted);
        assert!(found(with).is_some_and(|it| it["scope"] == "required"), "{name}: {with}");
        for wanted in [without, "proptest"] {
            assert!(found(wanted).is_none(), "{name}: {wanted} is not built in");
        }
        assert!(
            found("serde_derive").is_some_and(|it| it["scope"] == "excluded"),
            "{name}: a macro"
        );

        let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
        let mut references = BTreeSet::from([component["bom-ref"].clone().to_string()]);
        for component in components {
            references.insert(component["bom-ref"].to_string());
            assert!(component["licenses"][0]["expression"].is_string(), "{name}: {component}");
            let Some(purl) = component["purl"].as_str() else { continue };
            assert!(purl.starts_with("pkg:cargo/") && purl.contains('@'), "{purl}");
            let (package, version) = (&component["name"], &component["version"]);
            let entry = format!("name = {package}\nversion = {version}\n");
            let entry = lock.split("[[package]]\n").find(|it| it.starts_with(&entry));
            let checksum = format!("checksum = {}\n", component["hashes"][0]["content"]);
            assert!(entry.is_some_and(|entry| entry.contains(&checksum)), "{name}: {component}");
        }
        assert_eq!(references.len(), components.len() + 1, "{name}: a reference is there twice");
        for needs in bill["dependencies"].as_array().expect("dependencies") {
            let needed = needs["dependsOn"].as_array().into_iter().flatten();
            for reference in std::iter::once(&needs["ref"]).chain(needed) {
                assert!(references.contains(&reference.to_string()), "{name}: {reference}");
            }
        }
    }
}

#[test]
fn a_tag_that_is_not_the_version_is_refused_with_the_name_to_write() {
    let error = make(&format!("{IMAGE}:latest")).expect_err("another tag").to_string();
    assert_eq!(
        error,
        format!(
            "IMAGE `{IMAGE}:latest`: its tag is not the version: write `{IMAGE}:{VERSION}`, or \
             set the version in Cargo.toml"
        )
    );
}

#[test]
fn the_changelog_has_this_version_and_its_section_is_found_whole() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    assert!(changes::of(&changelog, VERSION).is_ok());

    let changelog = "# Changes\n\n## 2.0.0, not released\n\n## 1.10.0, 2026-01-02\n\n- b\n\n- c\n\n\
                     ## 1.1.0\n\n- a\n";
    let section = |version| changes::of(changelog, version);
    assert_eq!(
        section("1.10.0"),
        Ok(Changes { day: "2026-01-02".to_owned(), text: "- b\n\n- c".to_owned() })
    );
    assert_eq!(section("1.1.0"), Ok(Changes { day: String::new(), text: "- a".to_owned() }));
    for version in ["1.1", "1.1.00", "3.0.0", "2.0.0"] {
        let error = section(version).expect_err(version).to_string();
        assert!(error.contains(&format!("`## {version}, YYYY-MM-DD`")), "{error}");
    }
}

#[test]
fn no_release_is_made_of_anything_but_a_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let refused = |expected: &str| {
        let error = commit::of(path).expect_err(expected).to_string();
        assert!(error.contains(expected), "expected `{expected}`, got `{error}`");
    };
    refused("clone the repository");
    run(path, "git", &["init", "--quiet"]);
    refused("clone the repository");
    fs::write(path.join("a"), "1").expect("written");
    run(path, "git", &["add", "a"]);
    run(
        path,
        "git",
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "a"],
    );
    let head = run(path, "git", &["rev-parse", "HEAD"]);
    assert_eq!(commit::of(path).expect("a commit"), head.trim());

    fs::write(path.join("b"), "new").expect("written");
    refused("commit or stash these, then run make again:\n?? b");
    fs::remove_file(path.join("b")).expect("removed");
    fs::write(path.join("a"), "2").expect("written");
    refused(" M a");
}
