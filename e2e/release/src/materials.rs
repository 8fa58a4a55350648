//! A bill of materials in CycloneDX 1.5's JSON.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::metadata::{Crates, Package};

/// What the bill is of.
#[derive(Clone, Copy, Debug)]
pub struct Artefact<'a> {
    /// The file's SHA-256 in hexadecimal digits.
    pub sha256: &'a str,
    /// The commit that it was built from.
    pub revision: &'a str,
    /// What `rustc --version` says: the standard library is of that version.
    pub rustc: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Needs>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    component: Component<'a>,
    properties: [Property<'a>; 2],
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Needs {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<String>,
}

/// Writes the bill of an artefact that is built of these crates. It has no serial number and no
/// time, which would make it another one with each run.
///
/// # Errors
/// None that a caller could mend: JSON could not be written.
pub fn bill(crates: &Crates, artefact: Artefact<'_>) -> serde_json::Result<Vec<u8>> {
    let mut component = component(&crates.package, None);
    component.kind = "application";
    component.hashes = hashes(Some(artefact.sha256));
    let needs = |(id, needed): (&String, &BTreeSet<String>)| Needs {
        reference: name_of(crates, id),
        depends_on: needed.iter().map(|id| name_of(crates, id)).collect(),
    };
    let bill = Bill {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            component,
            properties: [
                Property { name: "egress-filter:revision", value: artefact.revision },
                Property { name: "egress-filter:rustc", value: artefact.rustc },
            ],
        },
        components: crates
            .others
            .values()
            .map(|(package, linked)| {
                self::component(package, Some(if *linked { "required" } else { "excluded" }))
            })
            .collect(),
        dependencies: crates.needs.iter().map(needs).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&bill)?;
    json.push(b'\n');
    Ok(json)
}

fn component<'a>(package: &'a Package, scope: Option<&'static str>) -> Component<'a> {
    Component {
        kind: "library",
        reference: reference(package),
        name: &package.name,
        version: &package.version,
        // The format wants it in one line.
        description: package.description.as_deref().map(in_one_line),
        scope,
        hashes: hashes(package.checksum.as_deref()),
        licenses: package
            .license
            .iter()
            .map(|license| License { expression: license.replace('/', " OR ") })
            .collect(),
        purl: package.source.is_some().then(|| reference(package)),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn hashes(sha256: Option<&str>) -> Vec<Hash<'_>> {
    sha256.into_iter().map(|content| Hash { alg: "SHA-256", content }).collect()
}

/// The crate's package URL. Cargo's own ids have folders of this machine in them.
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version.replace('+', "%2B"))
}

fn name_of(crates: &Crates, id: &str) -> String {
    let other = crates.others.get(id).map(|(package, _)| package);
    reference(other.unwrap_or(&crates.package))
}
