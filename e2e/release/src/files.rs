//! All files of a release.

use std::collections::BTreeMap;
use std::io;

use image::layout;
use image::manifests::{self, WithImage};
use image::oci::{Image, archive_of, gzip, sha256};
use image::reference::Reference;

use crate::VERSION;
use crate::changes::Changes;
use crate::materials::{self, Artefact};
use crate::metadata::Crates;

/// The list of the other files' checksums, as `sha256sum` writes and checks it.
pub const SUMS: &str = "SHA256SUMS";
/// What is told of the release.
pub const NOTES: &str = "release-notes.md";

/// What the files are made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The name that the image is to be pushed under. The image for bodies has `-bodies` behind it.
    pub image: &'a Reference,
    /// The modules, first the one without bodies.
    pub modules: [&'a [u8]; 2],
    /// The program `egressctl`.
    pub egressctl: &'a [u8],
    /// What the program runs on, such as `x86_64-unknown-linux-gnu`.
    pub host: &'a str,
    /// The commit.
    pub revision: &'a str,
    /// What `rustc --version` says.
    pub rustc: &'a str,
    /// What the modules are built of.
    pub of_module: &'a Crates,
    /// What the program is built of.
    pub of_egressctl: &'a Crates,
    /// What the notes say of this version.
    pub changes: &'a Changes,
    /// The folder `filter-config`.
    pub filter_config: &'a std::path::Path,
}

/// Why the files could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image's tag is not the version.
    #[error(
        "IMAGE `{0}`: its tag is not the version: write `{registry}/{repository}:{VERSION}`, or \
         set the version in Cargo.toml", registry = .0.registry(), repository = .0.repository()
    )]
    Tag(Reference),
    /// An image could not be made.
    #[error("the module {0}")]
    Image(#[from] image::oci::Error),
    /// An image could not be put into an archive.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// An image has no name.
    #[error(transparent)]
    Reference(#[from] image::reference::Error),
    /// The manifests could not be made.
    #[error(transparent)]
    Manifests(#[from] manifests::Error),
    /// An archive could not be made.
    #[error("an archive cannot be put together: {0}")]
    Archive(#[from] io::Error),
    /// A bill of materials could not be written.
    #[error("a bill of materials cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// An image that is to be pushed.
struct Pushed {
    archive: String,
    reference: Reference,
    digest: String,
}

/// Makes all files: their names and bytes.
///
/// # Errors
/// Where the image's tag is not the version, and where a part is not what it should be.
pub fn make(parts: &Parts<'_>) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    check_name(parts.image)?;
    let mut files = BTreeMap::new();
    let mut images = Vec::new();
    for (module, variant) in parts.modules.into_iter().zip(["", "-bodies"]) {
        images.push(add_module(&mut files, parts, module, variant)?);
    }
    let program = format!("egressctl-{VERSION}-{}", parts.host);
    let bill = materials::bill(parts.of_egressctl, artefact(parts, &sha256(parts.egressctl)))?;
    files.insert(format!("{program}.cdx.json"), bill);
    files.insert(program.clone(), parts.egressctl.to_vec());

    let digests = images.iter().map(|it| format!("{}  {}\n", it.digest, it.reference));
    files.insert("image-digests.txt".to_owned(), digests.collect::<String>().into_bytes());
    files.insert(NOTES.to_owned(), notes(parts, &images, &program).into_bytes());
    let sums = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    let sums = sums.collect::<String>().into_bytes();
    files.insert(SUMS.to_owned(), sums);
    Ok(files)
}

/// Sees that the image's tag is the version.
///
/// # Errors
/// Where it is not.
pub fn check_name(image: &Reference) -> Result<(), Error> {
    if image.tag() == VERSION { Ok(()) } else { Err(Error::Tag(image.clone())) }
}

fn artefact<'a>(parts: &Parts<'a>, sha256: &'a str) -> Artefact<'a> {
    Artefact { sha256, revision: parts.revision, rustc: parts.rustc }
}

/// Adds a module, its image, the manifests that name it, and what it is built of.
fn add_module(
    files: &mut BTreeMap<String, Vec<u8>>,
    parts: &Parts<'_>,
    module: &[u8],
    variant: &str,
) -> Result<Pushed, Error> {
    let name = format!("egress-filter-{VERSION}{variant}");
    let reference: Reference = format!("{}{variant}", parts.image).parse()?;
    let image = Image::new(module)?;
    let archive = format!("{name}.oci.tar");
    files.insert(archive.clone(), layout::tarball(&image, &reference)?);

    let sha256_of_manifest = &image.manifest.sha256;
    let WithImage { files: manifests, .. } =
        manifests::with_image(parts.filter_config, &reference, sha256_of_manifest)?;
    let folder = format!("filter-config-{VERSION}{variant}");
    let manifests: Vec<_> = manifests
        .into_iter()
        .map(|(path, bytes)| (format!("{folder}/{}", path.display()), bytes))
        .collect();
    let manifests = manifests.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    files.insert(format!("{folder}.tar.gz"), gzip(&archive_of(manifests)?)?);

    let bill = materials::bill(parts.of_module, artefact(parts, &sha256(module)))?;
    files.insert(format!("{name}.cdx.json"), bill);
    files.insert(format!("{name}.wasm"), module.to_vec());
    Ok(Pushed { archive, reference, digest: format!("sha256:{sha256_of_manifest}") })
}

/// The section of the changelog, what the files are, and how they are checked.
fn notes(parts: &Parts<'_>, images: &[Pushed], program: &str) -> String {
    let Parts { changes, revision, rustc, host, .. } = parts;
    let day = if changes.day.is_empty() { String::new() } else { format!(", {}", changes.day) };
    let mut rows = String::new();
    let mut pushes = String::new();
    for Pushed { archive, reference, digest } in images {
        rows.push_str(&format!("| `{archive}` | `{reference}` | `{digest}` |\n"));
        pushes.push_str(&format!(
            "skopeo inspect --format '{{{{.Digest}}}}' oci-archive:{archive}\n\
             skopeo copy --preserve-digests oci-archive:{archive} docker://{reference}\n"
        ));
    }
    format!(
        "# egress-filter {VERSION}{day}\n\n{changes}\n\n\
         ## Images\n\n\
         | file | to be pushed as | digest |\n|---|---|---|\n{rows}\n\
         `filter-config-{VERSION}.tar.gz` has the manifests with the first name and digest, \
         `filter-config-{VERSION}-bodies.tar.gz` those with the second. The `.wasm` files are what \
         is in the images, the `.cdx.json` files what the artefacts are built of (CycloneDX).\n\n\
         `{program}` runs on {host}. For other systems: \
         `cargo install --locked --path crates/egressctl` in this commit.\n\n\
         ## Check, and push\n\n\
         ```sh\nsha256sum -c {SUMS}\n{pushes}```\n\n\
         `skopeo inspect` must print the digest above, and so must the registry after the push. \
         Built from {revision} by {rustc}; `make release` in that commit makes the same bytes.\n",
        changes = changes.text,
    )
}
