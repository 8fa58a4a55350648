//! The filters that ours is compared with, built from `e2e/guests`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BenchError;
use e2e::envoy::workspace_root;

/// The callbacks that a filter on the SDK exports and an empty one has no use for, as with ours:
/// Envoy would call each.
const UNUSED_CALLBACKS: [&str; 21] = [
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_tick",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_data",
    "proxy_on_upstream_connection_close",
    "proxy_on_http_call_response",
    "proxy_on_foreign_function",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_vm_start",
];

/// Where the built filters are.
#[derive(Debug, Clone)]
pub struct Guests {
    /// A filter on the same SDK that does nothing.
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
        let empty = build("empty", &[], "empty")?;
        let root = workspace_root();
        run(Command::new(root.join("e2e/setup/drop-exports")).arg(&empty).args(UNUSED_CALLBACKS))?;
        Ok(Self {
            empty,
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
