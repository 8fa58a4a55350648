//! The schema of a whole resource, with that of the configuration in it.

use super::json::Json;
use super::{DRAFT, configuration};
use crate::manifest::Kind;
use crate::resource::{self, Known, Of};

const CONFIGURATION: &str = "pluginConfig";

/// The schema of a resource that carries a configuration.
pub(super) fn schema(kind: Kind) -> Json {
    let fixed = |text: &str| Json::object().and_field("const", text);
    let spec = object(resource::spec(kind));
    let properties = Json::object()
        .and_field("apiVersion", fixed("extensions.istio.io/v1alpha1"))
        .and_field("kind", fixed(&kind.to_string()))
        .and_field("metadata", Json::object().and_field("type", "object"))
        .and_field("spec", spec);
    Json::object()
        .and_field("$schema", DRAFT)
        .and_field("title", format!("{kind} with the egress filter"))
        .and_field("type", "object")
        .and_field("properties", properties)
        .and_list("required", ["apiVersion", "kind", "metadata", "spec"])
        .and_field("$defs", Json::object().and_field(CONFIGURATION, configuration()))
}

fn object(fields: &[Known]) -> Json {
    let mut properties = Json::object();
    for field in fields {
        properties.add(
            field.name,
            Json::object().and_field("description", field.about).and(value(field.of)),
        );
    }
    Json::object()
        .and_field("type", "object")
        .and_field("properties", properties)
        .and_list("required", fields.iter().filter(|field| field.required).map(|field| field.name))
        .and_field("additionalProperties", false)
}

fn value(of: Of) -> Json {
    let typed = |name: &str| Json::object().and_field("type", name);
    match of {
        Of::Text => typed("string"),
        Of::Integer => typed("integer"),
        Of::Digest => typed("string").and_field("pattern", "^[a-f0-9]{64}$"),
        Of::Words(words) => super::words(words),
        Of::Object(fields) => object(fields),
        Of::List(fields) => typed("array").and_field("items", object(fields)),
        Of::Opaque => Json::object(),
        Of::Configuration => Json::object().and_field("$ref", format!("#/$defs/{CONFIGURATION}")),
    }
}
