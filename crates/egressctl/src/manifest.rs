//! Where the filter's configurations are in a file: alone, or in `WasmPlugin` and
//! `TrafficExtension` resources.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::source::Source;
use crate::yaml::{self, Node};
use crate::{Failure, diagnostic};

/// What a configuration is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The configuration alone.
    PluginConfig,
    /// `WasmPlugin` (extensions.istio.io/v1alpha1): `spec.pluginConfig`.
    WasmPlugin,
    /// `TrafficExtension` (extensions.istio.io/v1alpha1, Istio 1.30 and later):
    /// `spec.wasm.pluginConfig`.
    TrafficExtension,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::PluginConfig => "pluginConfig",
            Kind::WasmPlugin => "WasmPlugin",
            Kind::TrafficExtension => "TrafficExtension",
        })
    }
}

/// A configuration found in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plugin<'d> {
    pub(crate) kind: Kind,
    /// The document, or the item of a `List`, that it is in.
    pub(crate) resource: &'d Node,
    /// The configuration; none where the resource has none.
    pub(crate) config: Option<&'d Node>,
}

impl<'d> Plugin<'d> {
    /// Its kind and name, such as `WasmPlugin egress-direct/egress-filter`.
    pub(crate) fn title(&self) -> String {
        let of = |name: &str| {
            self.resource
                .at("metadata")
                .and_then(|metadata| metadata.get(name))
                .and_then(Node::as_str)
        };
        match (of("namespace"), of("name")) {
            (Some(namespace), Some(name)) => format!("{} {namespace}/{name}", self.kind),
            (None, Some(name)) => format!("{} {name}", self.kind),
            (_, None) => self.kind.to_string(),
        }
    }

    /// The namespace it is written for.
    pub(crate) fn namespace(&self) -> Option<&'d str> {
        self.resource.at("metadata.namespace").and_then(Node::as_str)
    }

    /// What has `url`, `sha256` and `pluginConfig`: `spec`, or `spec.wasm` of a `TrafficExtension`.
    pub(crate) fn module(&self) -> Option<&'d Node> {
        match self.kind {
            Kind::PluginConfig => None,
            Kind::WasmPlugin => self.resource.get("spec"),
            Kind::TrafficExtension => self.resource.at("spec.wasm"),
        }
    }

    /// Where the configuration's paths begin, such as `spec.pluginConfig`.
    pub(crate) fn prefix(&self) -> &'static str {
        match self.kind {
            Kind::PluginConfig => "",
            Kind::WasmPlugin => "spec.pluginConfig",
            Kind::TrafficExtension => "spec.wasm.pluginConfig",
        }
    }
}

/// The configurations among documents, in order; resources of other kinds are left out.
pub(crate) fn plugins(documents: &[Node]) -> Vec<Plugin<'_>> {
    documents.iter().flat_map(of_document).collect()
}

fn of_document(document: &Node) -> Vec<Plugin<'_>> {
    if document.get("apiVersion").is_none() && document.get("kind").is_none() {
        return vec![Plugin {
            kind: Kind::PluginConfig,
            resource: document,
            config: Some(document),
        }];
    }
    let is_istio = || {
        document
            .get("apiVersion")
            .and_then(Node::as_str)
            .is_some_and(|version| version.starts_with("extensions.istio.io/"))
    };
    let of = |kind, path| vec![Plugin { kind, resource: document, config: document.at(path) }];
    match document.get("kind").and_then(Node::as_str) {
        Some("WasmPlugin") if is_istio() => of(Kind::WasmPlugin, "spec.pluginConfig"),
        // The other form is a script.
        Some("TrafficExtension") if is_istio() && document.at("spec.lua").is_none() => {
            of(Kind::TrafficExtension, "spec.wasm.pluginConfig")
        }
        Some(kind) if kind.ends_with("List") => document
            .get("items")
            .and_then(Node::items)
            .unwrap_or_default()
            .iter()
            .flat_map(of_document)
            .collect(),
        _ => Vec::new(),
    }
}

/// A file's documents.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) source: Source,
    pub(crate) documents: Vec<Node>,
}

impl Manifest {
    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// In the inner result, what is wrong with its YAML.
    pub(crate) fn read(name: &str) -> Result<Result<Manifest, (Source, Diagnostic)>, Failure> {
        Manifest::of(Source::read(name)?)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// In the inner result, what is wrong with its YAML.
    pub(crate) fn of(source: Source) -> Result<Result<Manifest, (Source, Diagnostic)>, Failure> {
        Ok(match yaml::parse(&source.text) {
            Ok(documents) => Ok(Manifest { source, documents }),
            Err(error) => {
                let diagnostic = Diagnostic::error(
                    &source,
                    error.at..error.at.saturating_add(1),
                    error.to_string(),
                );
                Err((source, diagnostic))
            }
        })
    }

    /// Reads a file that must be whole for the command to be done: what is wrong with it is the
    /// failure.
    pub(crate) fn read_whole(name: &str) -> Result<Manifest, Failure> {
        Manifest::read(name)?
            .map_err(|(source, diagnostic)| Failure::Usage(diagnostic::plain(&source, &diagnostic)))
    }

    /// The configurations in it.
    pub(crate) fn plugins(&self) -> Vec<Plugin<'_>> {
        plugins(&self.documents)
    }
}
