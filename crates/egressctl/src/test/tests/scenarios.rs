//! The scenarios that hold in a real Envoy hold here too: translated into cases, each passes.

use serde_json::{Map, Value, json};

use super::{Manifest, Source, failures};
use crate::cases::read;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/scenarios");

#[test]
fn scenarios_pass_as_cases() {
    let mut paths: Vec<_> =
        std::fs::read_dir(SCENARIOS).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut tried, mut inexpressible, mut wrong) = (0, Vec::new(), Vec::new());
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let scenario: Value =
            serde_json::from_str(&crate::yaml::parse(&text).unwrap()[0].to_json()).unwrap();
        let mut cases = Vec::new();
        for case in scenario["cases"].as_array().unwrap() {
            let layers = case["layers"].as_array();
            // What Envoy itself refuses is no case.
            if layers.is_some_and(|layers| {
                !layers.contains(&json!("engine")) || !layers.contains(&json!("envoy"))
            }) {
                continue;
            }
            match translated(case) {
                Some(case) => cases.push(case),
                None => inexpressible.push(case["name"].clone()),
            }
        }
        if cases.is_empty() {
            continue;
        }
        tried += cases.len();
        // JSON is YAML.
        let text = json!({"config": scenario["config"], "cases": cases}).to_string();
        let documents = crate::yaml::parse(&text).unwrap();
        let source = Source::new(path.display().to_string(), &text);
        let file = read::of(Manifest { source, documents })
            .unwrap_or_else(|(_, found)| panic!("{}: {found:#?}", path.display()));
        wrong.extend(
            failures(&mut [file])
                .into_iter()
                .map(|failure| format!("{}: {failure}", path.display())),
        );
    }
    assert_eq!(wrong, <[String; 0]>::default());
    assert!(tried > 250, "{tried}");
    assert_eq!(inexpressible, ["a URI SAN that is no SPIFFE ID is no identity"]);
}

fn translated(case: &Value) -> Option<Value> {
    let caller = match &case["caller"] {
        Value::String(known) if known == "none" => known.clone(),
        Value::String(team) => format!("{team}/{team}"),
        certificate => {
            let uris: Vec<&str> = certificate["uris"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let principal = if uris.is_empty() { "-".to_owned() } else { uris.join(",") };
            Some(principal)
                .filter(|principal| principal == "-" || principal.starts_with("spiffe://"))?
        }
    };
    let mut request = case["request"].as_object().unwrap().clone();
    request.remove("body");
    request.entry("host").or_insert_with(|| "".into());
    let host = request["host"].as_str().unwrap().to_ascii_lowercase();
    let named = if host.trim_end_matches('.').split(':').next() == Some("httpbingo.org") {
        "httpbingo.org"
    } else {
        "api.github.com"
    };
    let destination = case["destination"].as_str().unwrap_or(named);
    let mut translated = json!({"name": case["name"], "caller": caller, "destination": destination, "request": request});
    if let Some(origin) = case.get("origin") {
        translated["origin"] = origin.clone();
    }
    translated["expect"] = expected(&case["expect"]);
    Some(translated)
}

fn expected(expect: &Value) -> Value {
    let mut fields = Map::from_iter([("status".to_owned(), expect["status"].clone())]);
    for name in ["verdict", "policy", "reason", "shadow"] {
        if let Some(value) = expect["audit"].get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    let mut headers = Map::new();
    if let Some(upstream) = expect["upstream"].as_object() {
        for (name, pseudo) in [("method", ":method"), ("host", ":authority"), ("path", ":path")] {
            if let Some(value) = upstream.get(name) {
                headers.insert(pseudo.to_owned(), value.clone());
            }
        }
        if let Some(given) = upstream.get("headers").and_then(Value::as_object) {
            headers.extend(given.clone());
        }
        for name in upstream.get("absent").and_then(Value::as_array).into_iter().flatten() {
            headers.insert(name.as_str().unwrap().to_owned(), Value::Null);
        }
        fields.insert("verdict".to_owned(), "allow".into());
        let lines = expect["headers"].as_object().into_iter().flatten();
        let mut response: Map<String, Value> =
            lines.map(|(name, value)| (name.clone(), value.clone())).collect();
        let absent = expect["absentHeaders"].as_array().into_iter().flatten();
        response.extend(absent.map(|name| (name.as_str().unwrap().to_owned(), Value::Null)));
        if !response.is_empty() {
            fields.insert("responseHeaders".to_owned(), response.into());
        }
    }
    if !headers.is_empty() {
        fields.insert("headers".to_owned(), headers.into());
    }
    fields.into()
}
