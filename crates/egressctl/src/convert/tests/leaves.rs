//! Nothing is dropped in silence: each value of a large sample is in the result or in a note.

use super::*;
use crate::yaml::{Node, Value};

/// The paths and texts of all values that have none below them.
fn leaves(node: &Node, path: &str, found: &mut Vec<(String, String)>) {
    match &node.value {
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Map(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(
                    value,
                    &if path.is_empty() {
                        key.name.clone()
                    } else {
                        format!("{path}.{}", key.name)
                    },
                    found,
                );
            }
        }
        Value::String(text, _) => found.push((path.to_owned(), text.clone())),
        _ => found.push((path.to_owned(), node.to_json())),
    }
}

/// Whether a note about `told` covers what is at `path`.
pub(super) fn covers(told: &str, path: &str) -> bool {
    path.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What a condition's key is called in the result.
fn attribute(key: &str) -> &str {
    match key {
        "source.ip" => "source.address",
        "source.namespace" | "source.principal" => "source.spiffeId",
        "destination.ip" => "destination.address",
        "request.auth.claims[iss]" => "jwt.iss",
        _ => key
            .strip_prefix("request.headers[")
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(key),
    }
}

/// Whether a value is in the result. Of a pattern, the parts without wildcards count; of a text,
/// its words, since lines are broken elsewhere.
fn is_in(result: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    let words = value
        .split(|c: char| c == '*' || c.is_whitespace())
        .map(|word| word.trim_matches(['{', '}']))
        .filter(|word| !word.is_empty());
    words.clone().count() > 0 && words.into_iter().all(|word| result.contains(word))
}

/// The values that are neither in the result nor in a note.
pub(super) fn silent(text: &str) -> Vec<String> {
    let file = manifest(text);
    converted(text, &["--gateway", "egress", "--allow-lossy"], |converted| {
        let yaml = converted.resource.to_yaml().to_lowercase();
        // Escapes of literals, and the line breaks that keep long expressions readable, aside.
        let result = yaml.replace('\\', "").replace("''", "'");
        let mut missing = Vec::new();
        for document in &file.documents {
            let mut found = Vec::new();
            leaves(document, "", &mut found);
            let span = document.span.clone();
            let told: Vec<&str> = converted
                .notes
                .iter()
                .filter(|note| {
                    span.contains(&note.diagnostic.span.start) && !note.diagnostic.path.is_empty()
                })
                .map(|note| note.diagnostic.path.as_str())
                .collect();
            let named: Vec<&str> = converted
                .notes
                .iter()
                .filter_map(|note| note.diagnostic.policy.as_deref())
                .collect();
            for (path, value) in found {
                let there = match path.rsplit('.').next().unwrap() {
                    // What says which resource it is is what made it a policy, and what notes call
                    // it.
                    "apiVersion" | "kind" if !path.contains('.') => true,
                    "name" if path == "metadata.name" => {
                        named.contains(&value.as_str()) || is_in(&result, &value)
                    }
                    "group" if value.is_empty() => true,
                    // An empty rule is the rule `true`.
                    _ if value == "{}" => is_in(&result, "true"),
                    field
                        if ["serviceaccounts", "requestprincipals"]
                            .iter()
                            .any(|name| field.to_lowercase().contains(name)) =>
                    {
                        value.split('/').all(|part| is_in(&result, part))
                    }
                    // The variable of a Secret's entry is named after both.
                    "name" | "key" if path.contains("secretRef") => {
                        let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                        is_in(&result, &value.chars().map(legal).collect::<String>())
                    }
                    "key" => is_in(&result, attribute(&value)),
                    _ => is_in(&result, &value),
                };
                // What is told of a value is told of the name that it has, and the reverse.
                let pair = ["name", "value", "expression"];
                let of_value =
                    pair.iter().find_map(|name| path.strip_suffix(name)).is_some_and(|item| {
                        let is_of = |told: &&str| {
                            told.strip_prefix(item).is_some_and(|rest| pair.contains(&rest))
                        };
                        told.iter().any(is_of)
                    });
                if !there && !of_value && !told.iter().any(|told| covers(told, &path)) {
                    missing.push(format!("{path}: {value}"));
                }
            }
        }
        missing
    })
}

#[test]
fn every_value_of_agentgateways_policies_is_converted_or_told() {
    let text = include_str!("agentgateway-sample.yaml");
    assert_eq!(silent(text), Vec::<String>::new());
    let file = manifest(text);
    let mut all = Vec::new();
    file.documents.iter().for_each(|document| leaves(document, "", &mut all));
    assert!(all.len() > 150, "{}", all.len());
}

#[test]
fn every_value_of_authorization_policies_is_converted_or_told() {
    let text = include_str!("istio-sample.yaml");
    assert_eq!(silent(text), Vec::<String>::new());
    let file = manifest(text);
    let mut all = Vec::new();
    file.documents.iter().for_each(|document| leaves(document, "", &mut all));
    assert!(all.len() > 80, "{}", all.len());
}

#[test]
fn a_value_that_is_dropped_would_be_noticed() {
    let text = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: \
        {name: p}\nspec:\n  targetRefs: \
        [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]\n  rules: \
        [{to: [{operation: {methods: [GET]}}]}]\n";
    assert_eq!(silent(text), Vec::<String>::new());
    assert!(
        !covers("spec.rules[1]", "spec.rules[10]") && covers("spec.rules[1]", "spec.rules[1].to")
    );
    let found = |value: &str| {
        let mut found = Vec::new();
        leaves(&manifest(&text.replace("GET", value)).documents[0], "", &mut found);
        found
    };
    assert!(
        found("PURGE")
            .contains(&("spec.rules[0].to[0].operation.methods[0]".to_owned(), "PURGE".to_owned()))
    );
}

/// Whatever value a field has, there is no panic, and nothing is lost in silence.
#[test]
fn broken_policies_are_told_and_break_nothing() {
    let samples = [include_str!("agentgateway-sample.yaml"), include_str!("istio-sample.yaml")];
    for sample in samples {
        let file = manifest(sample);
        for document in &file.documents {
            let json: serde_json::Value = serde_json::from_str(&document.to_json()).unwrap();
            let mut found = Vec::new();
            leaves(document, "", &mut found);
            for (path, _) in found
                .iter()
                .filter(|(path, _)| path.starts_with("spec") || path.starts_with("metadata"))
            {
                for wrong in [
                    serde_json::json!(null),
                    serde_json::json!([[]]),
                    serde_json::json!({"a": {"b": "c"}}),
                ] {
                    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
                    let mut broken = json.clone();
                    let Some(place) = broken.pointer_mut(&pointer) else { continue };
                    *place = wrong.clone();
                    converted(&broken.to_string(), &["--gateway", "egress"], |converted| {
                        assert!(
                            converted.read == 1 && !converted.resource.to_yaml().is_empty(),
                            "{broken}"
                        );
                    });
                }
            }
        }
    }
}
