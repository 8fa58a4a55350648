//! What `egressctl --version` says, with git and without.

#[path = "../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "a build script's `main`, which prints")]
mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_version_has_the_revision_where_there_is_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl")).arg("--version").output();
    let said = String::from_utf8(output.expect("egressctl runs").stdout).expect("UTF-8");
    let mut expected = format!("egressctl {}", env!("CARGO_PKG_VERSION"));
    if let Some(revision) = build::revision(Path::new("../..")) {
        assert_eq!(revision.len(), 12, "{revision}");
        expected.push_str(&format!(" ({revision})"));
    }
    assert_eq!(said.trim_end(), expected);
}

#[test]
fn sources_without_git_have_no_revision_even_within_another_repository() {
    let folder = std::env::temp_dir().join(format!("egressctl-version-{}", std::process::id()));
    let sources = folder.join("vendor/egress-filter");
    fs::create_dir_all(&sources).expect("a folder");
    assert_eq!(build::revision(&sources), None);

    for arguments in [
        &["init", "--quiet"][..],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ] {
        let status = Command::new("git").arg("-C").arg(&folder).args(arguments).status();
        assert!(status.expect("git runs").success(), "git {arguments:?}");
    }
    assert_eq!(build::revision(&sources), None);
    assert_eq!(build::revision(&folder).map(|revision| revision.len()), Some(12));
    fs::remove_dir_all(&folder).expect("removed");
}
