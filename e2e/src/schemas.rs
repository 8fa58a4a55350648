//! The resources' schemas, vendored in `e2e/schemas/`, and what a manifest says against them.
//!
//! Strict, as `kubectl apply` is with `--validate=strict`: an unknown field is a fault. A keyword
//! that is not checked here, and a rule that cannot be evaluated, is a panic: so that no part of a
//! schema is ignored.

mod check;
pub mod rules;

use serde_json::{Map, Value};

/// The schemas of every kind that `filter-config/` uses.
#[derive(Debug)]
pub struct Schemas {
    files: Vec<Value>,
}

impl Schemas {
    /// Reads the vendored schemas.
    #[must_use]
    pub fn vendored() -> Self {
        let texts = [
            include_str!("../schemas/kubernetes.json"),
            include_str!("../schemas/gateway-api.json"),
            include_str!("../schemas/istio.json"),
        ];
        Schemas {
            files: texts
                .iter()
                .map(|text| serde_json::from_str(text).expect("a vendored schema is JSON"))
                .collect(),
        }
    }

    /// Every `apiVersion` and kind there is a schema of, with a blank between them.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .filter_map(|file| file["kinds"].as_object())
            .flat_map(Map::keys)
            .map(String::as_str)
    }

    /// What is wrong with a manifest, each with its place; nothing, if it would be applied.
    #[must_use]
    pub fn faults(&self, manifest: &Value) -> Vec<String> {
        let text = |name: &str| manifest[name].as_str().unwrap_or_default();
        let kind = format!("{} {}", text("apiVersion"), text("kind"));
        let Some((file, place)) =
            self.files.iter().find_map(|file| Some((file, file["kinds"].get(&kind)?)))
        else {
            return vec![format!("no schema of `{kind}`: vendor it in e2e/schemas")];
        };
        let definitions = Definitions { file };
        let schema = definitions.named(place);
        // In the API server's order: defaults, structure, and rules for what is well-formed.
        let mut whole = manifest.clone();
        rules::fill_in(definitions, schema, &mut whole);
        let mut faults = check::faults(definitions, schema, &whole);
        if faults.is_empty() {
            faults = rules::faults(definitions, schema, &whole);
        }
        faults
    }
}

/// The definitions of one file, by name.
#[derive(Debug, Clone, Copy)]
struct Definitions<'a> {
    file: &'a Value,
}

impl<'a> Definitions<'a> {
    /// The definition that a `$ref` names.
    fn named(self, reference: &Value) -> &'a Value {
        let pointer = reference
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
            .expect("a reference into the same file");
        self.file.pointer(pointer).unwrap_or_else(|| panic!("no definition {pointer}"))
    }

    /// A schema, or the one that it refers to.
    fn resolve(self, schema: &'a Value) -> &'a Value {
        schema.get("$ref").map_or(schema, |reference| self.named(reference))
    }
}
