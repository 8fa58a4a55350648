//! The filters that ours is compared with, built from `e2e/guests`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BenchError;
use e2e::envoy::workspace_root;

/// Where the built filters are.
#[derive(Debug, Clone)]
pub struct Guests {
    /// A filter that does nothing.
    pub empty: PathBuf,
    /// The workshop's policy by hand.
    pub floor: PathBuf,
    /// The same, which also binds a request's host to the service that was dialled.
    pub floor_binding: PathBuf,
}

impl Guests {
    /// Builds them, which takes a second or two, and longer the first time.
    ///
    /// # Errors
    /// When one of them does not build.
    pub fn build() -> Result<Self, BenchError> {
        Ok(Self {
            empty: build("empty", &[], "empty")?,
            floor: build("floor", &[], "floor")?,
            floor_binding: build("floor", &["--features", "binding"], "floor-binding")?,
        })
    }
}

/// Builds a guest and puts it beside the others under a name of its own, since the next build may
/// be of the same crate.
fn build(guest: &str, features: &[&str], name: &str) -> Result<PathBuf, BenchError> {
    let root = workspace_root();
    let folder = Path::new("target/guests");
    let mut command = Command::new(root.join("e2e/setup/cargo-wasm"));
    command
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip1"])
        .arg("--manifest-path")
        .arg(format!("e2e/guests/{guest}/Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join(name))
        .args(features)
        .current_dir(&root);
    run(&mut command)?;
    let built =
        root.join(folder).join(name).join(format!("wasm32-wasip1/release/{guest}_filter.wasm"));
    Ok(built)
}

fn run(command: &mut Command) -> Result<(), BenchError> {
    if command.status()?.success() {
        Ok(())
    } else {
        Err(BenchError::Build(format!("{command:?}")))
    }
}
