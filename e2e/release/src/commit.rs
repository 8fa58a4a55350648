//! The commit that a release is made of.

use std::io;
use std::path::Path;
use std::process::Command;

/// Why there is no commit to make a release of.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git could not be started.
    #[error("git cannot be run, and a release is made from a commit: install git: {0}")]
    NoGit(#[from] io::Error),
    /// The folder is in no repository, or in one without a commit.
    #[error("there is no commit here, and a release is made from one: clone the repository: {0}")]
    NoCommit(String),
    /// The folder has other files than the commit.
    #[error(
        "the tree is not as it was committed, and a release is made from a commit: commit or \
         stash these, then run make again:\n{0}"
    )]
    Dirty(String),
}

/// The commit that is checked out in a folder, in 40 hexadecimal digits.
///
/// # Errors
/// Where there is none, or where a file was changed or added since.
pub fn of(folder: &Path) -> Result<String, Error> {
    let revision = git(folder, &["rev-parse", "--verify", "HEAD"])?;
    let changed = git(folder, &["status", "--porcelain"])?;
    if changed.trim().is_empty() {
        Ok(revision.trim().to_owned())
    } else {
        Err(Error::Dirty(changed))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output()?;
    if !output.status.success() {
        return Err(Error::NoCommit(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
