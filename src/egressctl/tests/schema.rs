//! What `egressctl schema` prints.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::Value;

fn schema(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl")).arg("schema").args(args).output().expect("egressctl runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_schema_in_the_repository_is_what_is_printed() {
    let kept = include_str!("../../../filter-config/schema/plugin-config.schema.json");
    assert!(kept == schema(&[]), "run `egressctl schema > filter-config/schema/plugin-config.schema.json`");
}

#[test]
fn everything_has_a_description() {
    fn look(place: &str, schema: &Value, missing: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties.iter() {
                let of_kubernetes = place.is_empty() && ["apiVersion", "kind", "metadata", "spec"].contains(&name.as_str());
                if property["description"].as_str().is_none_or(|about| !about.ends_with('.')) && !of_kubernetes {
                    missing.push(format!("{place}/{name}"));
                }
            }
        }
        for word in schema["oneOf"].as_array().into_iter().flatten() {
            if word["title"].is_null() || word["description"].is_null() {
                missing.push(format!("{place} {word}"));
            }
        }
        match schema {
            // A condition says nothing of its own about the fields that it asks for.
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| !["if", "then"].contains(&name.as_str())) {
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
    for (kind, place) in [("WasmPlugin", "/properties/spec"), ("TrafficExtension", "/properties/spec/properties/wasm")] {
        let resource: Value = serde_json::from_str(&schema(&["--for", kind])).expect("JSON");
        assert_eq!(resource["properties"]["kind"]["const"], kind);
        assert_eq!(
            resource.pointer(&format!("{place}/properties/pluginConfig/$ref")).and_then(Value::as_str),
            Some("#/$defs/pluginConfig")
        );
        assert_eq!(resource["$defs"]["pluginConfig"]["properties"], configuration["properties"]);
    }
}
