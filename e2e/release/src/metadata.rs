//! The crates that a package is built of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// Why the crates are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// cargo could not be started, or Cargo.lock could not be read.
    #[error("`{what}`: {source}")]
    Read {
        /// The program or file.
        what: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// cargo has found an error.
    #[error("`cargo metadata` has failed: {0}")]
    Cargo(String),
    /// What cargo has printed is not as its documentation says.
    #[error("what `cargo metadata` prints cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The workspace has no such package.
    #[error("the workspace has no package `{0}`")]
    NoPackage(String),
}

/// A crate.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    /// Cargo's name for the crate, its version and its source in one.
    pub id: String,
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The licence as an SPDX expression, in some crates with the old `/` for `OR`.
    pub license: Option<String>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Where it comes from; nowhere for a crate of the workspace.
    pub source: Option<String>,
    /// The address of the sources.
    pub repository: Option<String>,
    targets: Vec<Target>,
    /// The SHA-256 of the crate's archive, as Cargo.lock has it.
    #[serde(skip)]
    pub checksum: Option<String>,
}

/// The crates that one package is built of.
#[derive(Clone, Debug)]
pub struct Crates {
    /// The package itself.
    pub package: Package,
    /// Every other crate by its id, and whether it is in the artefact. Build scripts' crates and
    /// procedural macros run in the compiler and are not.
    pub others: BTreeMap<String, (Package, bool)>,
    /// For each crate the ids of those that it needs.
    pub needs: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

/// Asks cargo for the crates of a workspace's package, built for a target such as `wasm32-wasip1`.
///
/// # Errors
/// Where cargo cannot be run or fails, and where there is no such package.
pub fn of(cargo: &OsStr, root: &Path, package: &str, target: &str) -> Result<Crates, Error> {
    let read = |what: &dyn std::fmt::Display| {
        let what = what.to_string();
        move |source| Error::Read { what, source }
    };
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .current_dir(root)
        .output()
        .map_err(read(&cargo.display()))?;
    if !output.status.success() {
        return Err(Error::Cargo(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let lock = root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).map_err(read(&lock.display()))?;
    let checksums = checksums(&lock);

    let mut packages: HashMap<_, _> = metadata
        .packages
        .into_iter()
        .map(|mut package| {
            let key = (package.name.as_str(), package.version.as_str());
            package.checksum = checksums.get(&key).map(|&sum| sum.to_owned());
            (package.id.clone(), package)
        })
        .collect();
    let own = metadata
        .workspace_members
        .iter()
        .find(|id| packages.get(*id).is_some_and(|found| found.name == package))
        .ok_or_else(|| Error::NoPackage(package.to_owned()))?;
    let nodes: HashMap<_, _> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();

    let linked = reached(own, &nodes, |dependency| {
        let is_macro = packages.get(&dependency.pkg).is_some_and(Package::is_macro);
        !is_macro && dependency.dep_kinds.iter().any(|it| it.kind.is_none())
    });
    let all = reached(own, &nodes, |dependency| {
        dependency.dep_kinds.iter().any(|it| it.kind.as_deref() != Some("dev"))
    });
    let needs = all
        .iter()
        .filter_map(|&id| {
            let of = nodes.get(id)?.deps.iter().map(|dependency| dependency.pkg.clone());
            Some((id.to_owned(), of.filter(|needed| all.contains(needed.as_str())).collect()))
        })
        .collect();
    let own_package = packages.remove(own).ok_or_else(|| Error::NoPackage(package.to_owned()))?;
    let others = all
        .iter()
        .filter_map(|&id| Some((id.to_owned(), (packages.remove(id)?, linked.contains(id)))))
        .collect();
    Ok(Crates { package: own_package, others, needs })
}

fn reached<'a>(
    from: &'a str,
    nodes: &HashMap<&'a str, &'a Node>,
    follow: impl Fn(&Dependency) -> bool,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(node) = open.pop().and_then(|id| nodes.get(id)) {
        for dependency in node.deps.iter().filter(|dependency| follow(dependency)) {
            if found.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    found
}

/// The checksums in a Cargo.lock by name and version.
fn checksums(lock: &str) -> HashMap<(&str, &str), &str> {
    let value = |block: &'_ str, key: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("\n{key} = \""))? + key.len() + 5;
        Some((start, start + block.get(start..)?.find('"')?))
    };
    let text = |block, key| value(block, key).and_then(|(from, to)| block.get(from..to));
    lock.split("\n[[package]]")
        .filter_map(|block| {
            Some(((text(block, "name")?, text(block, "version")?), text(block, "checksum")?))
        })
        .collect()
}
