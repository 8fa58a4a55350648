//! `filter-config/` with the image put in.

use std::fs;
use std::path::Path;

use image::manifests::{PLACEHOLDER, ZEROS, write};
use image::reference::Reference;

use crate::{files_in, workspace_root};

const DIGEST: &str = "1234567890123456789012345678901234567890123456789012345678901234";

fn image() -> Reference {
    "localhost:5001/team/filter:v2".parse().expect("a reference")
}

const PLUGIN: &str = r#"apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: egress-filter
spec:
  url: oci://registry.example.com/platform/egress-filter:0.1.0 # of `make image`
  sha256: "0000000000000000000000000000000000000000000000000000000000000000"
"#;

const EXTENSION: &str = r#"kind: TrafficExtension
metadata: {name: egress-filter}
spec:
  wasm:
    url: oci://registry.example.com/platform/egress-filter:0.1.0
    sha256: "0000000000000000000000000000000000000000000000000000000000000000"
"#;

/// Writes some files, puts the image into them, and gives the folder with both (`from`, `to`) and
/// what was said.
fn written(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<usize, String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    for (name, text) in files {
        let path = from.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    fs::create_dir_all(&to).expect("a folder");
    fs::write(to.join("stale.yaml"), "kind: WasmPlugin").expect("written");
    let said = write(&from, &to, &image(), DIGEST)
        .map_err(|error| error.to_string().replace(&*folder.path().to_string_lossy(), ""));
    (folder, said)
}

#[test]
fn the_project_s_own_files_get_the_image_and_stay_the_same_otherwise() {
    let from = workspace_root().join("filter-config");
    let to = tempfile::tempdir().expect("a folder");
    let plugins = write(&from, to.path(), &image(), DIGEST).expect("written");
    assert_eq!(
        plugins, 8,
        "three policy steps, of both kinds, one with a credential, one with tokens"
    );

    let (before, after) = (files_in(&from), files_in(to.path()));
    let names = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    let mut lines = 0;
    for ((path, before), (_, after)) in before.iter().zip(&after) {
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
        // With a digest of its own, a file needs no comment about the placeholder's.
        let silences = |line: &&str| line.trim() == "# egressctl: allow(placeholder-digest)";
        assert!(!after.lines().any(|line| silences(&line)), "{}", path.display());
        let before: Vec<&str> = before.lines().filter(|line| !silences(line)).collect();
        assert_eq!(before.len(), after.lines().count(), "{}", path.display());
        for (before, after) in
            before.into_iter().zip(after.lines()).filter(|(before, after)| before != after)
        {
            let expected =
                before.replace(PLACEHOLDER, "localhost:5001/team/filter:v2").replace(ZEROS, DIGEST);
            assert_eq!(after, expected, "{}", path.display());
            lines += 1;
        }
    }
    assert_eq!(lines, 2 * plugins, "`url` and `sha256` of each");
}

#[test]
fn folders_comments_and_other_files_are_kept_and_what_was_there_before_is_not() {
    let lua = "kind: TrafficExtension\nmetadata: {name: lua}\nspec: {lua: {inlineCode: ''}}\n";
    let several = format!("{PLUGIN}---\n{EXTENSION}---\n{lua}");
    let (folder, said) = written(&[("a.yaml", PLUGIN), ("b/c.yml", &several), ("d.json", ZEROS)]);
    assert_eq!(said, Ok(3));
    let to = folder.path().join("to");
    assert!(!to.join("stale.yaml").exists());
    assert_eq!(
        fs::read_to_string(to.join("d.json")).expect("d.json"),
        ZEROS,
        "only YAML is changed"
    );
    let plugin = fs::read_to_string(to.join("a.yaml")).expect("a.yaml");
    assert!(
        plugin.contains("  url: oci://localhost:5001/team/filter:v2 # of `make image`\n"),
        "{plugin}"
    );
    assert!(plugin.contains(&format!("  sha256: \"{DIGEST}\"\n")), "{plugin}");
    assert!(to.join("b/c.yml").exists());
}

#[test]
fn a_resource_that_would_be_applied_with_another_image_is_an_error_with_the_mend() {
    let elsewhere = |what: &str, with: &str| PLUGIN.replace(what, with);
    for (text, expected) in [
        (
            elsewhere("egress-filter:0.1.0", "egress-filter:0.2.0"),
            "WasmPlugin `egress-filter`: `spec.url` is \
             `oci://registry.example.com/platform/egress-filter:0.2.0`: write \
             `oci://registry.example.com/platform/egress-filter:0.1.0` there",
        ),
        (
            elsewhere("oci://", "https://"),
            "`spec.url` is `https://registry.example.com/platform/egress-filter:0.1.0`: write",
        ),
        (
            elsewhere("  sha256:", "  # sha256:"),
            "`spec.sha256` is not there: write \
             `0000000000000000000000000000000000000000000000000000000000000000` there",
        ),
        (elsewhere("\"000", "\"100"), "`spec.sha256` is `100"),
        // Without quotes, a digest of digits alone is a number.
        (elsewhere("\"", ""), "`spec.sha256` is the number 1.234"),
        (
            EXTENSION.replace("    sha256", "    sha"),
            "TrafficExtension `egress-filter`: `spec.wasm.sha256` is not there",
        ),
    ] {
        let (folder, said) = written(&[("sub/05.yaml", &text)]);
        let error = said.expect_err(expected);
        assert!(
            error.starts_with("`/from/sub/05.yaml`: ") && error.contains(expected),
            "expected `{expected}`, got `{error}`"
        );
        assert!(
            folder.path().join("to/stale.yaml").exists(),
            "nothing is written where something is wrong"
        );
    }
}

#[test]
fn a_folder_without_a_plugin_is_an_error() {
    let (_folder, said) = written(&[("a.yaml", "kind: Gateway\n"), ("b.txt", PLUGIN)]);
    assert_eq!(
        said,
        Err("`/from` has no WasmPlugin and no TrafficExtension with `spec.wasm`: it is to be the \
             folder `filter-config`"
            .to_owned())
    );
    let (_folder, said) = written(&[("a.yaml", "kind: [")]);
    assert!(said.as_ref().is_err_and(|error| error.starts_with("`/from/a.yaml`: ")), "{said:?}");
    let error = write(Path::new("/nonexistent"), Path::new("/nonexistent/to"), &image(), DIGEST)
        .expect_err("no folder")
        .to_string();
    assert!(error.starts_with("`/nonexistent` cannot be read: "), "{error}");
}
