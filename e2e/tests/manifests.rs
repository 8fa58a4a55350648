//! What `filter-config/` holds would be applied by an API server, and its parts fit one another.

#[path = "manifests/admission.rs"]
mod admission;
#[path = "manifests/names.rs"]
mod names;
#[path = "manifests/readme.rs"]
mod readme;
#[path = "manifests/schemas.rs"]
mod schemas;
#[path = "manifests/steps.rs"]
mod steps;

use e2e::manifests::{self, Manifest};

/// The resources of one file.
fn of_file(name: &str) -> Vec<Manifest> {
    let found: Vec<Manifest> =
        manifests::all().into_iter().filter(|manifest| manifest.file == name).collect();
    assert!(!found.is_empty(), "no resource in filter-config/{name}");
    found
}

/// The resources of one kind.
fn of_kind(kind: &str) -> Vec<Manifest> {
    let found: Vec<Manifest> =
        manifests::all().into_iter().filter(|manifest| manifest.kind() == kind).collect();
    assert!(!found.is_empty(), "no {kind} in filter-config");
    found
}
