//! What `egressctl schema` prints.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn schema(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .arg("schema")
        .args(args)
        .output()
        .expect("egressctl runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_schema_in_the_repository_is_what_is_printed() {
    let kept = include_str!("../../../filter-config/schema/plugin-config.schema.json");
    assert!(
        kept == schema(&[]),
        "run `egressctl schema > filter-config/schema/plugin-config.schema.json`"
    );
}

#[test]
fn everything_has_a_description() {
    fn look(place: &str, schema: &Value, missing: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties.iter() {
                let of_kubernetes = place.is_empty()
                    && ["apiVersion", "kind", "metadata", "spec"].contains(&name.as_str());
                if property["description"].as_str().is_none_or(|about| !about.ends_with('.'))
                    && !of_kubernetes
                {
                    missing.push(format!("{place}/{name}"));
                }
            }
        }
        // A condition on the fields of an object says only which of them must be there.
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        for word in choices.filter(|choice| choice["required"].is_null()) {
            if word["title"].is_null() || word["description"].is_null() {
                missing.push(format!("{place} {word}"));
            }
        }
        match schema {
            // A condition says nothing of its own about the fields that it asks for.
            Value::Object(fields) => {
                for (name, value) in fields
                    .iter()
                    .filter(|(name, _)| !["if", "then", "else"].contains(&name.as_str()))
                {
                    look(&format!("{place}/{name}").replace("/properties", ""), value, missing);
                }
            }
            Value::Array(items) => items.iter().for_each(|value| look(place, value, missing)),
            _ => {}
        }
    }
    for subject in ["pluginConfig", "WasmPlugin", "TrafficExtension"] {
        let mut missing = Vec::new();
        look("", &serde_json::from_str(&schema(&["--for", subject])).expect("JSON"), &mut missing);
        assert!(missing.is_empty(), "{subject}: {missing:#?}");
    }
}

#[test]
fn a_resources_schema_holds_that_of_the_configuration() {
    let configuration: Value = serde_json::from_str(&schema(&[])).expect("JSON");
    for (kind, place) in [
        ("WasmPlugin", "/properties/spec"),
        ("TrafficExtension", "/properties/spec/properties/wasm"),
    ] {
        let resource: Value = serde_json::from_str(&schema(&["--for", kind])).expect("JSON");
        assert_eq!(resource["properties"]["kind"]["const"], kind);
        assert_eq!(
            resource
                .pointer(&format!("{place}/properties/pluginConfig/$ref"))
                .and_then(Value::as_str),
            Some("#/$defs/pluginConfig")
        );
        assert_eq!(resource["$defs"]["pluginConfig"]["properties"], configuration["properties"]);
    }
}

/// The fields of an object of a schema, each with its words and whether it must be there; those
/// below it with their paths.
fn fields(
    schema: &Value,
    defs: &Value,
    at: &str,
    found: &mut BTreeMap<String, (BTreeSet<String>, bool)>,
) {
    let schema = match schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        Some(name) => &defs[name],
        None => schema,
    };
    if schema["type"] == "array" {
        return fields(&schema["items"], defs, at, found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        let listed = property["enum"].as_array().into_iter().flatten();
        let described =
            property["oneOf"].as_array().into_iter().flatten().map(|word| &word["const"]);
        let words = listed.chain(described).filter_map(Value::as_str).map(str::to_owned).collect();
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.contains(&Value::from(name.as_str())));
        found.insert(place.clone(), (words, required));
        fields(property, defs, &place, found);
    }
}

/// What is known of a resource is what Istio's own schema says, wherever it is looked into.
#[test]
fn the_fields_and_words_of_a_resource_are_istios() {
    let istio: Value =
        serde_json::from_str(include_str!("../../../e2e/schemas/istio.json")).expect("JSON");
    for kind in ["WasmPlugin", "TrafficExtension"] {
        let mut ours = BTreeMap::new();
        let schema: Value = serde_json::from_str(&schema(&["--for", kind])).expect("JSON");
        fields(&schema["properties"]["spec"], &Value::Null, "spec", &mut ours);
        let mut theirs = BTreeMap::new();
        fields(&istio["$defs"][kind]["properties"]["spec"], &istio["$defs"], "spec", &mut theirs);
        // Not looked into: their fields change nothing of what is checked.
        let opaque = [".selector.", ".vmConfig.", ".ports.", ".lua."];
        theirs.retain(|place, _| !opaque.iter().any(|part| place.contains(part)));
        assert_eq!(ours, theirs, "{kind}");
        assert!(ours.len() > 20, "{kind}: {}", ours.len());
    }
}
