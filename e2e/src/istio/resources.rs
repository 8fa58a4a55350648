//! What has been applied to a cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a file could not be applied, or a resource not be understood.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The file could not be read.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A document is not YAML, or not a Kubernetes resource.
    #[error("{place}: {message}")]
    Document {
        /// The file and the number of the document in it.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// A resource is in a namespace that has not been applied.
    #[error("{object}: there is no namespace `{namespace}`: has an earlier step been left out?")]
    NoNamespace {
        /// The resource.
        object: String,
        /// Its namespace.
        namespace: String,
    },
    /// A resource has a field that is not understood here, or lacks one that is needed.
    #[error(
        "{object}: `spec`: {message}; the derivation must know each field: see \
         `e2e/src/istio/spec.rs`"
    )]
    Spec {
        /// The resource.
        object: String,
        /// What is wrong with it.
        message: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Istio's own namespace, which is in every cluster; what is applied there can hold for the whole
/// mesh.
pub(super) const ROOT_NAMESPACE: &str = "istio-system";

/// Kinds that belong to no namespace.
const CLUSTER_SCOPED: [&str; 3] =
    ["Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

/// One applied resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The API group, empty for Kubernetes' own.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty for what belongs to none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The whole document.
    pub document: Value,
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} `{}`", self.kind, self.name),
            namespace => write!(f, "{} `{namespace}/{}`", self.kind, self.name),
        }
    }
}

impl Object {
    fn new(document: Value) -> Result<Self, String> {
        let header = Header::deserialize(&document)
            .map_err(|error| format!("no Kubernetes resource: {error}"))?;
        let group = header.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let scoped = !CLUSTER_SCOPED.contains(&header.kind.as_str());
        let namespace = if scoped {
            header.metadata.namespace.unwrap_or_else(|| "default".to_owned())
        } else {
            String::new()
        };
        Ok(Self {
            group,
            kind: header.kind,
            namespace,
            name: header.metadata.name,
            labels: header.metadata.labels,
            document,
        })
    }

    /// The resource's `spec` in a type that knows all of its fields.
    ///
    /// # Errors
    /// When a field is unknown, missing or of another type.
    pub fn spec<T: DeserializeOwned>(&self) -> Result<T, ResourceError> {
        T::deserialize(&self.document["spec"]).map_err(|error| ResourceError::Spec {
            object: self.to_string(),
            message: error.to_string(),
        })
    }

    /// A version of an API is a view of the same resource, so it is no part of what tells two
    /// apart.
    fn is_same(&self, other: &Self) -> bool {
        (&self.group, &self.kind, &self.namespace, &self.name)
            == (&other.group, &other.kind, &other.namespace, &other.name)
    }
}

/// All applied resources, in the order in which they were first applied.
#[derive(Debug, Clone, Default)]
pub struct Resources(Vec<Object>);

impl Resources {
    /// Applies a file: new resources come in, those that are there already are replaced.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else than resources; then nothing is
    /// applied.
    pub fn apply(&mut self, path: &Path) -> Result<(), ResourceError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ResourceError::File { path: path.to_path_buf(), source })?;
        self.apply_text(&text, &path.display().to_string())
    }

    /// Applies YAML, with the name that errors call it by.
    ///
    /// # Errors
    /// When it holds something else than resources; then nothing is applied.
    pub fn apply_text(&mut self, text: &str, name: &str) -> Result<(), ResourceError> {
        let mut objects = Vec::new();
        for (index, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
            let wrong = |message| ResourceError::Document {
                place: format!("`{name}`, document {}", index + 1),
                message,
            };
            let document =
                Value::deserialize(document).map_err(|error| wrong(error.to_string()))?;
            // What stands between two `---` and is only comments.
            if !document.is_null() {
                objects.push(Object::new(document).map_err(wrong)?);
            }
        }
        let mut applied = self.0.clone();
        for object in objects {
            let exists = |name: &str| {
                ["", "default", ROOT_NAMESPACE].contains(&name)
                    || applied.iter().any(|known| known.kind == "Namespace" && known.name == name)
            };
            if !exists(&object.namespace) {
                return Err(ResourceError::NoNamespace {
                    object: object.to_string(),
                    namespace: object.namespace,
                });
            }
            match applied.iter_mut().find(|known| known.is_same(&object)) {
                Some(known) => *known = object,
                None => applied.push(object),
            }
        }
        self.0 = applied;
        Ok(())
    }

    /// Deletes a resource, as `kubectl delete` does; returns whether it was there.
    pub fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|object| {
            (object.kind.as_str(), object.namespace.as_str(), object.name.as_str())
                != (kind, namespace, name)
        });
        self.0.len() < before
    }

    /// All resources.
    pub fn all(&self) -> &[Object] {
        &self.0
    }

    /// The resources of a kind.
    pub fn of_kind<'a>(
        &'a self,
        group: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a Object> {
        self.0.iter().filter(move |object| object.group == group && object.kind == kind)
    }

    /// A label of a resource, or else of its namespace.
    pub fn label<'a>(&'a self, object: &'a Object, name: &str) -> Option<&'a str> {
        let namespace =
            || self.of_kind("", "Namespace").find(|namespace| namespace.name == object.namespace);
        let label = object.labels.get(name).or_else(|| namespace()?.labels.get(name));
        label.map(String::as_str)
    }
}
