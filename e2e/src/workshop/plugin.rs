//! A configuration of one's own as the plugin of the workshop's step 3.

use std::collections::BTreeSet;
use std::io;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::envoy::workspace_root;

/// The fields that name an environment variable of the waypoint.
const NAMES: [&str; 3] = ["env", "passwordEnv", "clientSecretEnv"];

/// The `WasmPlugin` of step 3 with another configuration, and with a value for each environment
/// variable that this configuration names.
///
/// # Errors
/// When the file of step 3 cannot be read.
pub fn plugin(configuration: &Value, value: impl Fn(&str) -> String) -> io::Result<Value> {
    let file = workspace_root().join("filter-config/03-policy-rbac.yaml");
    let text = std::fs::read_to_string(file)?;
    let mut documents = serde_yaml_ng::Deserializer::from_str(&text).map(Value::deserialize);
    let plugin = documents.next().transpose().map_err(io::Error::other)?;
    let mut plugin = plugin.unwrap_or_default();
    plugin["spec"]["pluginConfig"] = configuration.clone();
    let variables = variables(configuration);
    if !variables.is_empty() {
        let variable = |name: &String| json!({"name": name, "value": value(name)});
        plugin["spec"]["vmConfig"] =
            json!({"env": variables.iter().map(variable).collect::<Vec<_>>()});
    }
    Ok(plugin)
}

/// The environment variables that a configuration's credentials are read from.
pub fn variables(configuration: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for policy in configuration["policies"].as_array().into_iter().flatten() {
        collect(&policy["backend"], &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if NAMES.contains(&name.as_str()) => {
                        found.insert(text.clone());
                    }
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// What a variable holds where nobody has set it.
pub fn stand_in(variable: &str) -> String {
    format!("stand-in-for-{variable}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_a_value_for_each_variable_that_its_credentials_name() {
        let configuration = json!({"policies": [
            {"name": "a", "backend": {"auth": {"env": "TOKEN"}}},
            {"name": "b", "backend": {"auth": {"basic": {"username": "u", "passwordEnv": "PASS"}}}},
            {"name": "c", "backend": {"credentials": [{"env": "KEY"}, {"env": "TOKEN"}]}},
            {"name": "d", "traffic": {"env": "no credential"}},
        ]});
        let plugin = plugin(&configuration, stand_in).expect("step 3");
        let variable = |name: &str| json!({"name": name, "value": format!("stand-in-for-{name}")});
        assert_eq!(
            plugin["spec"]["vmConfig"]["env"],
            json!([variable("KEY"), variable("PASS"), variable("TOKEN")])
        );
        assert_eq!(plugin["spec"]["pluginConfig"], configuration);
        assert_eq!(plugin["kind"], "WasmPlugin");
    }

    #[test]
    fn a_plugin_without_credentials_has_no_environment() {
        let plugin = plugin(&json!({"policies": []}), stand_in).expect("step 3");
        assert_eq!(plugin["spec"].get("vmConfig"), None);
    }
}
