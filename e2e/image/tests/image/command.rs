//! What `make image` runs, as a command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::oci::sha256;

use crate::{built_path, files_in, small_module, workspace_root};

const NAME: &str = "registry.example.com/platform/egress-filter:0.1.0";

fn image() -> Command {
    Command::new(env!("CARGO_BIN_EXE_image"))
}

fn run(module: &Path, name: &str, target: &Path) -> Output {
    image()
        .arg(module)
        .arg(name)
        .arg(workspace_root().join("filter-config"))
        .arg(target)
        .output()
        .expect("started")
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn the_same_module_gives_the_same_bytes_in_another_folder_at_another_time_for_another_user() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (folder.path().join("here"), folder.path().join("some/where/else"));
    let said = stdout(&run(&built_path(), NAME, &here));

    fs::create_dir_all(&there).expect("a folder");
    let copy = there.join("renamed.bin");
    fs::copy(built_path(), &copy).expect("copied");
    fs::File::options()
        .write(true)
        .open(&copy)
        .expect("the copy")
        .set_modified(std::time::UNIX_EPOCH)
        .expect("an old file");
    let filter_config =
        fs::canonicalize(workspace_root().join("filter-config")).expect("filter-config");
    let output = Command::new("sh")
        .args([
            "-c",
            "umask 077; exec \"$0\" renamed.bin \"$1\" \"$2\" .",
            env!("CARGO_BIN_EXE_image"),
            NAME,
        ])
        .arg(filter_config)
        .current_dir(&there)
        .env_clear()
        .envs([
            ("TZ", "Pacific/Kiritimati"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("SOURCE_DATE_EPOCH", "1700000000"),
            ("HOME", "/nonexistent"),
        ])
        .output()
        .expect("started");
    let said_there = stdout(&output);

    for part in ["image", "filter-config"] {
        assert!(files_in(&here.join(part)) == files_in(&there.join(part)), "{part} differs");
    }
    let digest = |said: &str| said.lines().last().expect("a line").to_owned();
    assert_eq!(digest(&said), digest(&said_there));
}

#[test]
fn what_is_told_is_what_was_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = folder.path().join("it.wasm");
    fs::write(&module, small_module()).expect("written");
    let target = folder.path().join("target");
    let said = stdout(&run(&module, "localhost:5001/team/filter:v2", &target));

    let sha256_told =
        said.lines().last().and_then(|line| line.strip_prefix("sha256:")).expect("a digest");
    let manifest =
        fs::read(target.join("image/oci/blobs/sha256").join(sha256_told)).expect("the manifest");
    assert_eq!(sha256(&manifest), sha256_told);
    assert!(
        said.contains(&format!(
            "{:>9} bytes  application/vnd.oci.image.manifest.v1+json  sha256:{sha256_told}\n",
            manifest.len()
        )),
        "{said}"
    );
    let target = target.display();
    for line in [
        format!(
            "skopeo copy --preserve-digests oci:{target}/image/oci \
             docker://localhost:5001/team/filter:v2"
        ),
        format!(
            "skopeo copy --preserve-digests oci-archive:{target}/image/egress-filter.tar \
             docker://localhost:5001/team/filter:v2"
        ),
        format!("crane push {target}/image/oci localhost:5001/team/filter:v2"),
        format!("kubectl apply -f {target}/filter-config/"),
        "skopeo inspect --format '{{.Digest}}' docker://localhost:5001/team/filter:v2".to_owned(),
    ] {
        assert!(said.contains(&format!("  {line}\n")), "no `{line}` in\n{said}");
    }
    assert!(!said.contains("placeholder"), "{said}");
    let applied =
        fs::read_to_string(folder.path().join("target/filter-config/05-policy-headers.yaml"))
            .expect("the manifest");
    assert!(
        applied.contains(sha256_told) && applied.contains("oci://localhost:5001/team/filter:v2"),
        "{applied}"
    );

    let said = stdout(&run(&module, NAME, folder.path()));
    assert!(said.contains("That name is a placeholder: make image IMAGE="), "{said}");
    assert_eq!(
        said.lines().last(),
        Some(format!("sha256:{sha256_told}").as_str()),
        "the name is no part of the image"
    );
}

#[test]
fn an_image_that_was_there_before_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = folder.path().join("it.wasm");
    for byte in 0..2 {
        let mut bytes = small_module();
        bytes.push(byte);
        fs::write(&module, bytes).expect("written");
        stdout(&run(&module, NAME, folder.path()));
        assert_eq!(
            files_in(&folder.path().join("image/oci/blobs")).len(),
            3,
            "blobs of another image were left"
        );
    }
}

#[test]
fn what_cannot_be_is_an_error_with_the_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("it.txt");
    fs::write(&text, "(module)").expect("written");
    for (module, name, expected) in [
        (
            built_path(),
            "egress-filter",
            "image: IMAGE `egress-filter`: names no registry; write registry/repository:tag, such \
             as",
        ),
        (
            text,
            NAME,
            "it.txt` is no WebAssembly module: it does not begin with `\\0asm`; `make wasm` \
             builds one",
        ),
        (folder.path().join("none"), NAME, "; `make wasm` builds it"),
    ] {
        let output = run(&module, name, folder.path());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "expected `{expected}`, got `{error}`");
        assert!(!folder.path().join("image").exists(), "something was written");
    }
    let output = image().output().expect("started");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: image MODULE IMAGE"));
}
