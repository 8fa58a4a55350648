//! Every configuration in the documents loads, and agrees with the others.

use e2e::envoy::workspace_root;
use e2e::manifests;
use egress_filter::policy::{Engine, load_record};
use serde::Deserialize as _;
use serde_json::Value;

fn yaml_documents(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| {
            Value::deserialize(document).unwrap_or_else(|error| panic!("{error}\n{text}"))
        })
        .collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(workspace_root().join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn assert_loads(what: &str, configuration: &Value) {
    if let Err(errors) = Engine::load(configuration.to_string().as_bytes()) {
        panic!("{what}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

/// The fenced blocks of a language in a Markdown file.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    markdown
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_configuration_of_the_readme_loads() {
    let documents =
        blocks(&read("README.md"), "yaml").into_iter().flat_map(|block| yaml_documents(&block));
    let found: Vec<Value> = documents.filter(|document| document["policies"].is_array()).collect();
    assert!(!found.is_empty(), "the README has no configuration");
    for configuration in found {
        assert_loads("README.md", &configuration);
    }
}

#[test]
fn the_readmes_example_of_an_error_is_what_one_says() {
    let shown = blocks(&read("README.md"), "text")
        .into_iter()
        .find(|block| block.starts_with("policy `"))
        .expect("an example of an error");
    let configuration = serde_json::json!({"policies": [{
        "name": "github-api-rbac",
        "traffic": {"authorization": {
            "action": "Allow",
            "policy": {"matchExpressions": ["source.identty.namespace == \"team-a\""]},
        }},
    }]});
    let errors =
        Engine::load(configuration.to_string().as_bytes()).expect_err("a misspelt attribute");
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [shown]);
}

#[test]
fn the_readmes_example_of_a_warning_is_what_one_says() {
    let shown = blocks(&read("README.md"), "text")
        .into_iter()
        .find(|block| block.contains("egress-configuration"))
        .expect("an example");
    let configuration = serde_json::json!({"policies": [{"name": "p", "traffic": {"authorization": {
        "action": "Allow",
        "policy": {
            "matchExpressions": ["source.identity.namespace == \"a\" && source.identity.namespace \
                                  == \"b\""],
        },
    }}}]});
    let engine = Engine::load(configuration.to_string().as_bytes()).expect("a legal configuration");
    let [warning] = engine.warnings() else { panic!("{:?}", engine.warnings()) };
    let record = load_record(Ok(&engine))
        .replace(&warning.place, "policies[0]...")
        .replace(&warning.message.replace('"', "\\\""), "...");
    assert_eq!(shown, format!("{warning}\n{record}"));
}

#[test]
fn the_readme_tells_the_limits_that_are_kept() {
    use egress_filter::{cel::limits, config};
    let readme = read("README.md").replace('\n', " ").replace(',', "");
    for told in [
        format!("{} policies;", config::MAX_POLICIES),
        format!(
            "{} hosts {} expressions and {} headers a list",
            config::MAX_HOSTS,
            config::MAX_MATCH_EXPRESSIONS,
            config::MAX_TRANSFORMATIONS
        ),
        format!("{} bytes {} levels", limits::MAX_SOURCE, limits::MAX_DEPTH),
        format!("{} parts in the first argument of `default`", limits::MAX_DOUBLED),
        format!("has {} steps for a request", limits::MAX_STEPS),
        format!("{} MiB of JSON with {} values;", config::MAX_BYTES >> 20, config::MAX_VALUES),
        format!(
            "{} expressions those of headers included with {} MiB;",
            config::MAX_ALL_EXPRESSIONS,
            config::MAX_ALL_SOURCES >> 20
        ),
        format!(
            "{} hosts; {} MiB of compiled patterns",
            config::MAX_ALL_HOSTS,
            config::MAX_ALL_PATTERNS >> 20
        ),
    ] {
        assert!(readme.contains(&told), "the README does not say `{told}`");
    }
    assert_eq!(limits::MAX_COMPREHENSIONS, 2, "the README says two");
}

fn plugin_configurations() -> Vec<(String, Value)> {
    let manifests = manifests::all().into_iter();
    manifests
        .filter_map(|manifest| {
            Some((manifest.file.clone(), manifest.plugin_configuration()?.clone()))
        })
        .collect()
}

#[test]
fn every_plugin_configuration_of_filter_config_loads_without_a_warning() {
    let found = plugin_configurations();
    let files: Vec<&str> = found.iter().map(|(file, _)| file.as_str()).collect();
    let steps = ["03-policy-rbac.yaml", "04-policy-path.yaml", "05-policy-headers.yaml"];
    assert_eq!(
        files,
        steps
            .map(str::to_owned)
            .into_iter()
            .chain(steps.map(|step| format!("traffic-extension/{step}")))
            .collect::<Vec<_>>()
    );
    for (file, configuration) in found {
        assert_loads(&file, &configuration);
        let engine =
            Engine::load(configuration.to_string().as_bytes()).expect("it has just loaded");
        assert!(engine.warnings().is_empty(), "{file}: {:?}", engine.warnings());
    }
}

#[test]
fn the_local_waypoint_runs_the_policies_of_filter_configs_last_step() {
    let envoy = yaml_documents(&read("envoy.yaml"));
    let mut texts = Vec::new();
    collect_configurations(&envoy[0], &mut texts);
    texts.dedup();
    let [text] = &texts[..] else { panic!("envoy.yaml has {} plugin configurations", texts.len()) };
    let local: Value =
        serde_json::from_str(text).expect("the plugin's configuration in envoy.yaml is JSON");
    let (_, last) = plugin_configurations()
        .into_iter()
        .find(|(file, _)| file == "05-policy-headers.yaml")
        .expect("step 5");
    assert_eq!(last, local);
}

/// The texts of `configuration: {value: ...}` wherever they are.
fn collect_configurations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(text) = fields
                .get("configuration")
                .and_then(|configuration| configuration["value"].as_str())
            {
                found.push(text.to_owned());
            }
            fields.values().for_each(|value| collect_configurations(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_configurations(value, found)),
        _ => {}
    }
}
