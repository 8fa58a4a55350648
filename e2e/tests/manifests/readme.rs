//! `filter-config/README.md` and `docs/operations.md` describe the files that are there, and what
//! is in them.

use std::collections::BTreeSet;

use e2e::envoy::workspace_root;
use e2e::manifests;
use serde_json::Value;

use super::of_kind;

fn read(page: &str) -> String {
    std::fs::read_to_string(workspace_root().join(page))
        .unwrap_or_else(|error| panic!("{page}: {error}"))
}

fn readme() -> String {
    read("filter-config/README.md")
}

#[test]
fn its_table_has_every_step() {
    let readme = readme();
    let links: BTreeSet<&str> = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .collect();
    let steps: BTreeSet<String> = manifests::all()
        .into_iter()
        .map(|manifest| manifest.file)
        .filter(|file| !file.starts_with("traffic-extension/"))
        .collect();
    assert_eq!(
        links
            .iter()
            .map(|link| (*link).to_owned())
            .filter(|link| link.ends_with(".yaml"))
            .collect::<BTreeSet<_>>(),
        steps
    );
}

/// The command of a row is one of those in the file's head.
#[test]
fn the_command_of_each_step_is_in_its_file_too() {
    let readme = readme();
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| [`")).collect();
    assert_eq!(rows.len(), 12);
    for row in rows {
        // A bar in a cell is escaped.
        let cells: Vec<String> = row
            .replace("\\|", "\0")
            .split('|')
            .map(|cell| cell.trim().replace('\0', "|"))
            .collect();
        let file = cells[1].split('`').nth(1).expect("a file");
        let command = cells[3].trim_matches('`');
        let text = std::fs::read_to_string(workspace_root().join("filter-config").join(file))
            .expect("a step");
        let mut head = text.lines().take_while(|line| line.starts_with('#'));
        // The file's may have more to it: how the status is shown, what comes.
        let told = head.any(|line| {
            command
                .split_whitespace()
                .all(|word| line.split_whitespace().any(|other| other == word))
        });
        assert!(told, "{file} does not have `{command}`");
    }
}

#[test]
fn the_alerts_that_operations_name_are_those_of_step_8() {
    let rules = of_kind("ConfigMap")
        .iter()
        .find_map(|one| one.value["data"]["egress-filter.rules.yaml"].as_str().map(str::to_owned));
    let rules = manifests::parse(&rules.expect("alerting rules")).expect("YAML").swap_remove(0);
    let alerts: BTreeSet<&str> = rules["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|one| one["alert"].as_str())
        .collect();
    let operations = read("docs/operations.md");
    let named: BTreeSet<&str> = operations
        .split('`')
        .filter(|word| word.starts_with("Egress") && !word.contains(' '))
        .collect();
    assert_eq!(named, alerts);
}

/// The access log that step 8 names, in the words of the local waypoint's, which the waypoint's
/// tests read.
#[test]
fn the_access_log_of_step_8_is_explained_and_its_fields_are_real() {
    let operations = read("docs/operations.md");
    let mut blocks =
        operations.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let block = blocks.find(|block| block.contains("extensionProviders")).expect("a block of it");
    let [values] = &manifests::parse(block).expect("YAML")[..] else { panic!("one document") };
    let [provider] = &values["meshConfig"]["extensionProviders"].as_array().expect("providers")[..]
    else {
        panic!("one provider")
    };
    for telemetry in of_kind("Telemetry") {
        assert_eq!(
            telemetry.value["spec"]["accessLogging"][0]["providers"][0]["name"],
            provider["name"]
        );
    }
    let envoy = std::fs::read_to_string(workspace_root().join("envoy.yaml")).expect("envoy.yaml");
    let envoy = manifests::parse(&envoy).expect("YAML").swap_remove(0);
    let mut formats = Vec::new();
    formats_of(&envoy, &mut formats);
    let labels = provider["envoyFileAccessLog"]["logFormat"]["labels"].as_object().expect("labels");
    assert!(labels.contains_key("egress_caller"));
    for (name, operator) in labels {
        assert!(
            formats.iter().any(|format| format[name] == *operator),
            "envoy.yaml's access log has no {name}: {operator}"
        );
    }
}

fn formats_of<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("json_format"));
            fields.values().for_each(|value| formats_of(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| formats_of(value, found)),
        _ => {}
    }
}
