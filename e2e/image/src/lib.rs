//! An OCI image of the compiled filter, made without a container engine.
//!
//! Istio's agent takes three kinds of image (`pkg/wasm/imagefetcher.go` in istio/istio). This is
//! the one that every registry and every tool knows, the "compat" variant: one manifest, one layer,
//! and in it one file, `plugin.wasm`.
//!
//! - [`oci`]: the image's three blobs, made of the module's bytes and of nothing else, so that a
//!   module has one digest;
//! - [`layout`]: those blobs on disk, as a folder and as a tarball;
//! - [`reference`]: the name under which the image is pushed;
//! - [`manifests`]: `filter-config/` with that name and the digest put in;
//! - [`fetcher`]: what Istio's agent makes of an image.

pub mod fetcher;
pub mod layout;
pub mod manifests;
pub mod oci;
pub mod reference;
