//! The schema for editors accepts what the filter's reader accepts and refuses what it refuses, for
//! every configuration of this repository and thousands of slips in each.
//!
//! What a schema cannot say, and so accepts: an entry of `conditional` other than the last that has
//! no condition, a body for a status that has none, a name that two policies have, a field that is
//! given twice, a host of 254 or 255 bytes, an expression of more bytes than characters that is too
//! long. Expressions are left to `egressctl check`.

#[path = "agreement/cases.rs"]
mod cases;

use std::path::{Path, PathBuf};

use egress_filter::config::{Config, ConfigError};
use egress_filter::policy::Engine;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

fn root() -> PathBuf {
    std::fs::canonicalize("../..").expect("tests run in the folder of their package")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn schema() -> Validator {
    let schema =
        serde_json::from_str(&read(&root().join("filter-config/schema/plugin-config.schema.json")))
            .expect("a schema is JSON");
    assert!(jsonschema::meta::is_valid(&schema), "no schema of its own draft");
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"))
}

/// Every configuration in the repository: of the resources, the cases, the documents and those
/// that must not load.
fn configurations() -> Vec<Value> {
    let mut found = Vec::new();
    for folder in ["filter-config", "filter-config/traffic-extension", "e2e/cases"] {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else { continue };
        for path in entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        {
            for document in documents(&read(&path)) {
                let places = ["/spec/pluginConfig", "/spec/wasm/pluginConfig", "/config"];
                found.extend(places.iter().filter_map(|place| document.pointer(place)).cloned());
            }
        }
    }
    let documents_text =
        read(&root().join("README.md")) + &read(&root().join("docs/configuration.md"));
    for block in documents_text.split("```yaml\n").skip(1) {
        found.extend(
            documents(block.split("\n```").next().unwrap_or_default())
                .into_iter()
                .filter(|config| config.get("policies").is_some()),
        );
    }
    for case in documents(&read(&root().join("e2e/configurations.yaml")))
        .iter()
        .flat_map(|cases| cases.as_array().cloned().unwrap_or_default())
    {
        let policy = |mut policy: Value| {
            policy["name"] = json!("p");
            json!({"policies": [policy]})
        };
        found.extend(case.get("config").cloned());
        found.extend(case.get("policy").cloned().map(policy));
    }
    assert!(found.len() > 60, "only {} configurations", found.len());
    found
}

/// What the schema cannot say of a configuration.
fn is_beyond_a_schema(error: &ConfigError) -> bool {
    let long = |host: &str| host.len() > 253 && host.len() <= 255;
    let is_long_host = error.message.contains(" is no host: ")
        && error.message.split('`').nth(1).is_some_and(long);
    let beyond = [
        "the name is taken by ",
        "field `condition` is missing: only the last entry ",
        "an answer with status 20",
        "an answer with status 304 ",
        "the timeout is out of bounds: ",
        "expected a number of bytes from 1 to ",
    ];
    is_long_host || beyond.iter().any(|start| error.message.starts_with(start))
}

/// Why the two disagree about a configuration, if they do.
fn disagreement(schema: &Validator, config: &Value) -> Option<String> {
    let text = config.to_string();
    let objections: Vec<String> = schema
        .iter_errors(config)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    match Config::parse(text.as_bytes()) {
        // Beyond the shape, it knows how long an expression may be.
        Ok(_) if !objections.is_empty() && Engine::load(text.as_bytes()).is_ok() => {
            Some(format!("only the schema refuses {text}\n  {objections:#?}"))
        }
        Err(errors) if objections.is_empty() && !errors.iter().all(is_beyond_a_schema) => {
            Some(format!(
                "only the reader refuses {text}\n  {}",
                errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
            ))
        }
        _ => None,
    }
}

/// The values that stand in the place of each value in turn.
fn others() -> Vec<Value> {
    let mut others = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(7),
        json!(""),
        json!([]),
        json!({}),
        json!({"x": 1}),
        json!([[]]),
    ];
    // Words and texts that are right in one place and wrong in another.
    others.extend(
        [
            "x",
            "Off",
            "off",
            "All",
            "Any",
            "Deny",
            "Denied",
            "None",
            "Strict",
            "Shadow",
            "filterState",
            "true",
            "a b",
            "a.b",
            "A.B",
            "*.a",
            "*",
            "a.",
            ".a",
            "a:80",
            "ü",
            "Host",
            "hOSt",
            "te",
            "Te",
            "tea",
            "Content-Length",
            ":path",
            ":PATH",
            ":authority",
            ":status",
            ":scheme",
            ":",
            "x_a",
            "x-a\n",
            "a\n",
            "\u{130}",
        ]
        .map(Value::from),
    );
    others
        .extend([63, 64, 253, 254, 255, 256, 5_000].map(|length| Value::from("a".repeat(length))));
    others.push(Value::from(vec!["a".repeat(63); 4].join(".")));
    others
}

/// Calls `look` with the whole, once for each slip that can be made at `at` and below.
fn slips(whole: &mut Value, at: &str, look: &mut dyn FnMut(&Value)) {
    let here = whole.pointer(at).cloned().unwrap_or_default();
    let mut with = |changed: Value| {
        if let Some(place) = whole.pointer_mut(at) {
            let before = std::mem::replace(place, changed);
            look(whole);
            if let Some(place) = whole.pointer_mut(at) {
                *place = before;
            }
        }
    };
    others().into_iter().for_each(&mut with);
    match &here {
        Value::Object(fields) => {
            for (name, value) in fields {
                let without: Map<String, Value> = fields
                    .iter()
                    .filter(|(other, _)| *other != name)
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect();
                let mut renamed = without.clone();
                renamed.insert(format!("{name}s"), value.clone());
                with(Value::Object(without));
                with(Value::Object(renamed));
            }
            let mut more = fields.clone();
            more.insert("extra".to_owned(), json!("x"));
            with(Value::Object(more));
        }
        Value::Array(items) => {
            let doubled = items.iter().chain(items).cloned().collect();
            with(Value::Array(doubled));
            for length in [3, 4, 64, 65, 256, 257] {
                with(Value::Array(items.iter().take(1).cycle().take(length).cloned().collect()));
            }
        }
        _ => {}
    }
    let below: Vec<String> = match &here {
        Value::Object(fields) => fields
            .keys()
            .map(|name| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")))
            .collect(),
        Value::Array(items) => (0..items.len()).map(|index| format!("{at}/{index}")).collect(),
        _ => Vec::new(),
    };
    for place in below {
        slips(whole, &place, look);
    }
}

#[test]
fn every_configuration_of_the_repository_is_judged_as_the_reader_does() {
    let schema = schema();
    let found: Vec<String> =
        configurations().iter().filter_map(|config| disagreement(&schema, config)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A configuration with every field there is, so that a slip in each is tried.
fn whole() -> Value {
    let headers = |name: &str| {
        json!({
            "set": [{"name": name, "value": "'a'"}],
            "add": [{"name": "x-b", "value": "'b'"}],
            "remove": ["x-c"],
        })
    };
    json!({
        "identity": {"sources": ["peerCertificate"], "trustDomains": ["cluster.local"]},
        "pathSafety": "Lenient", "hostBinding": "Off", "audit": {"log": "All", "accessLog": true},
        "policies": [{
            "name": "a", "hosts": ["API.github.com", "*.example.com"], "mode": "Shadow",
            "pathSafety": "Off",
            "traffic": {
                "authorization": {
                    "action": "Deny", "match": "Any", "onError": "Ignore",
                    "policy": {"matchExpressions": ["true", "false"]},
                },
                "transformation": {"request": headers(":path"), "response": headers(":status")},
            },
        }],
    })
}

#[test]
fn slips_are_judged_as_the_reader_does() {
    let schema = schema();
    let mut wrong = Vec::new();
    let (mut tried, mut accepted) = (0, 0);
    for mut config in configurations()
        .into_iter()
        .filter(|config| config.to_string().len() < 450)
        .chain([whole()])
    {
        slips(&mut config, "", &mut |config| {
            tried += 1;
            accepted += usize::from(schema.is_valid(config));
            if wrong.len() < 10 {
                wrong.extend(disagreement(&schema, config));
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        tried > 10_000 && accepted > tried / 100 && accepted < tried / 2,
        "{accepted} of {tried} slips are accepted"
    );
}
