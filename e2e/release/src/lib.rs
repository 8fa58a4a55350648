//! The files of a release, which `make release` puts into `target/dist/`.
//!
//! - [`commit`]: the commit that a release is made of, which a dirty tree is not;
//! - [`changes`]: the section of `CHANGELOG.md` about a version;
//! - [`metadata`]: the crates that a package is built of, from `cargo metadata` and `Cargo.lock`;
//! - [`materials`]: these as a bill of materials in CycloneDX's JSON;
//! - [`files`]: all files, from their names to their checksums.
//!
//! No file has the time or the place of its making: the same commit, compiler and Cargo.lock give
//! the same bytes.

pub mod changes;
pub mod commit;
pub mod files;
pub mod materials;
pub mod metadata;

/// The version of this workspace, which is the release's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
