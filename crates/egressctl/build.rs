//! Gives `egressctl --version` the revision that it is built from, where there is one.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new("../..");
    // Each commit and each checkout adds a line there.
    if let Some(log) =
        git(root, &["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let revision = revision(root).map(|revision| format!(" ({revision})")).unwrap_or_default();
    println!("cargo::rustc-env=EGRESSCTL_VERSION={}{revision}", env!("CARGO_PKG_VERSION"));
}

/// The commit that is checked out in a folder. There is none in an unpacked archive of the sources,
/// which may well lie within a repository of something else.
pub(crate) fn revision(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim_end().to_owned())
}
