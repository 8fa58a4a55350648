//! Every configuration in the documents and in `filter-config/` loads, and those that describe the
//! same policies are the same. (`tests/documents` of the filter has what needs no YAML.)

use e2e::envoy::workspace_root;
use e2e::manifests;
use e2e::workshop::{FEATURES, STEPS};
use egress_filter::policy::Engine;
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

/// The README and the pages of `docs/`.
fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(workspace_root().join("docs")).expect("docs/");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let pages = names
        .map(|name| format!("docs/{}", name.to_string_lossy()))
        .filter(|name| name.ends_with(".md"));
    std::iter::once("README.md".to_owned()).chain(pages).collect()
}

/// The configurations alone, and those of cases.
#[test]
fn every_configuration_of_the_documents_loads_without_a_warning() {
    let mut count = 0;
    for page in pages() {
        for document in
            blocks(&read(&page), "yaml").into_iter().flat_map(|block| yaml_documents(&block))
        {
            let configuration = document.get("config").unwrap_or(&document);
            if !configuration["policies"].is_array() {
                continue;
            }
            count += 1;
            assert_loads(&page, configuration);
            let engine =
                Engine::load(configuration.to_string().as_bytes()).expect("it has just loaded");
            assert!(engine.warnings().is_empty(), "{page}: {:?}", engine.warnings());
        }
    }
    assert!(count >= 10, "only {count} configurations were found");
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
    let extensions = steps.map(|step| format!("traffic-extension/{step}"));
    let mut expected: Vec<&str> = steps.to_vec();
    expected.extend(extensions.iter().map(String::as_str));
    expected.extend(["with-secrets/09-credentials.yaml", "with-tokens/12-tokens.yaml"]);
    assert_eq!(files, expected);
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

#[test]
fn the_readme_shows_a_step_of_the_demo_as_it_is() {
    let shown = blocks(&read("README.md"), "text");
    let [shown] = &shown[..] else { panic!("one block of output") };
    let step = &STEPS[2];
    let policies = step.policies.join(", ");
    let request = &step.requests[1];
    for line in [
        format!("Step 3. {}", step.title),
        format!("  {}", step.note),
        format!("  applied: filter-config/{}; policies in force: {policies}", step.file),
        format!("  {}: curl http://{}{}", request.caller, request.host, request.path),
    ] {
        assert!(shown.lines().any(|other| other == line), "the README does not show\n{line}");
    }
}

#[test]
fn the_readme_says_how_many_things_the_demo_shows() {
    // Step 1 has four handshakes.
    let requests = STEPS.iter().chain(&FEATURES).map(|step| step.requests.len());
    let total = 4 + requests.sum::<usize>();
    assert!(read("README.md").contains(&format!("\n{total} of {total} as expected\n")), "{total}");
}

#[test]
fn the_demos_features_load_without_a_warning() {
    for feature in &FEATURES {
        let text = read(&format!("e2e/demo/{}", feature.file));
        let configuration = &yaml_documents(&text)[0];
        assert_loads(feature.file, configuration);
        let engine =
            Engine::load(configuration.to_string().as_bytes()).expect("it has just loaded");
        assert!(engine.warnings().is_empty(), "{}: {:?}", feature.file, engine.warnings());
    }
}
