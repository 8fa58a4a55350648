//! A configuration of one's own as the plugin of the workshop's step 3.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use egress_filter::credential;
use egress_filter::policy::Engine;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::envoy::workspace_root;

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

/// The environment variables that a configuration's credentials are read from: those that the
/// filter asks for when it loads the configuration.
pub fn variables(configuration: &Value) -> BTreeSet<String> {
    let asked = Asked::default();
    // What is wrong with the configuration is told by whoever puts it in force.
    drop(Engine::load_with(configuration.to_string().as_bytes(), &asked));
    asked.0.into_inner()
}

/// An environment that has every variable, and notes which were asked for.
#[derive(Debug, Default)]
struct Asked(RefCell<BTreeSet<String>>);

impl credential::Environment for Asked {
    fn value(&self, name: &str) -> Option<credential::Value> {
        self.0.borrow_mut().insert(name.to_owned());
        Some(credential::Value::Redacted)
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
        let policy = |name: &str, backend: Value| {
            let hosts = [format!("{name}.example")];
            let everybody = json!({"authorization": {"policy": {"matchExpressions": ["true"]}}});
            json!({"name": name, "hosts": hosts, "traffic": everybody, "backend": backend})
        };
        let key = json!({"env": "KEY", "location": {"header": {"name": "x-key"}}});
        let configuration = json!({"policies": [
            policy("a", json!({"auth": {"env": "TOKEN"}})),
            policy("b", json!({"auth": {"basic": {"username": "u", "passwordEnv": "PASS"}}})),
            policy("c", json!({"credentials": [key]})),
        ]});
        let loaded = Engine::load(configuration.to_string().as_bytes());
        assert!(loaded.is_ok(), "{:?}", loaded.err());
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
