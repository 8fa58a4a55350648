//! The schema of files of cases accepts what their reader accepts, and refuses the fields and kinds
//! of values that the reader refuses.
//!
//! What it cannot say, and so accepts: requests that no client sends, two cases of one name, and
//! expectations that contradict each other.

use egressctl::cases::parse;

use super::*;

fn schema() -> Validator {
    let text = read(&root().join("filter-config/schema/cases.schema.json"));
    let schema = serde_json::from_str(&text).expect("a schema is JSON");
    assert!(jsonschema::meta::is_valid(&schema), "no schema of its own draft");
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"))
}

fn objections(schema: &Validator, suite: &Value) -> Vec<String> {
    schema.iter_errors(suite).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_file_of_cases_of_the_repository_is_accepted() {
    let schema = schema();
    let mut count = 0;
    for folder in ["e2e/cases", "filter-config/tests", "crates/egressctl/tests/cases"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for suite in documents(&read(&path)) {
                // Among the tests' files are policies too.
                if suite.get("cases").is_none() {
                    continue;
                }
                count += 1;
                let found = objections(&schema, &suite);
                assert!(found.is_empty(), "{}: {found:#?}", path.display());
            }
        }
    }
    assert!(count > 45, "only {count} suites");
}

/// A suite with every field there is, so that a slip in each is tried.
fn whole() -> Value {
    let connection = json!({
        "time": "2026-01-31T13:00:00.5+01:00",
        "caller": {"uris": ["spiffe://a/b"], "dns": "d.example"}, "destination": "h.example",
        "jwt": {"sub": "ann", "groups": ["dev"]},
        "sourceAddress": "10.0.0.7", "destinationAddress": "10.0.0.8",
        "request": {"method": "GET", "host": "h.example", "path": "/", "version": "HTTP/1.1",
            "headers": {"x-a": ["b", "c"]}, "body": "hello"},
        "origin": {"status": 200, "headers": {"x-a": "b"}, "body": "hello"},
    });
    let with = |more: Value| {
        let mut all = connection.as_object().cloned().unwrap_or_default();
        all.extend(more.as_object().cloned().unwrap_or_default());
        Value::from(all)
    };
    let expect = json!({
        "verdict": "allow", "policy": null, "reason": "no-allow-rule", "status": [200],
        "body": "hello",
        "headers": {"x-a": null}, "responseHeaders": {"x-a": "b"}, "shadow": [], "errors": ["p"],
        "audit": {"verdict": "allow"}, "counters": {"egress_allowed": 1},
    });
    let answers = json!([{"late": "1s", "status": 200, "headers": {"x-a": "b"}, "body": "x"},
        {"fault": "never"}]);
    json!({
        "name": "n", "description": "d", "config": {"policies": []}, "plugin": "p",
        "normalizePath": false, "workers": 2, "clock": "2026-01-31T12:00:00Z",
        "services": {"a": answers}, "defaults": with(json!({"trustDomain": "a"})),
        "cases": [
            with(json!({"name": "one", "for": {"path": ["/a", "/b"]}, "layers": ["engine"],
                "services": {"a": {"fault": "cutOff"}}, "expect": expect})),
            {"name": "two", "steps": [
                with(json!({"after": "1s", "worker": 2, "expect": "deny",
                    "update": {"config": {"policies": []}, "accepted": false}})),
                {"expect": "allow"},
            ], "expect": {"counters": {"egress_allowed": 1}}},
        ],
    })
}

#[test]
fn slips_in_files_of_cases_are_judged_as_the_reader_does() {
    let schema = schema();
    let mut whole = whole();
    assert_eq!(objections(&schema, &whole), <[String; 0]>::default());
    let mut wrong = Vec::new();
    let (mut tried, mut refused) = (0, 0);
    slips(&mut whole, "", &mut |suite| {
        tried += 1;
        // JSON is YAML.
        let read = parse("cases.yaml", &suite.to_string());
        let found = objections(&schema, suite);
        let of_form =
            |error: &str| error.contains(" has no field `") || error.contains("this is an object");
        match read {
            Ok(_) if !found.is_empty() => wrong.push(format!("only the schema: {found:?}")),
            Err(error) if found.is_empty() && of_form(&error.to_string()) => {
                wrong.push(format!("only the reader: {error} {suite}"));
            }
            Err(_) => refused += 1,
            Ok(_) => {}
        }
    });
    wrong.truncate(40);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 4_000 && refused > tried / 2, "{refused} of {tried} slips are refused");
}
