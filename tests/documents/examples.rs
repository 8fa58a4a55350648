//! The messages that `docs/configuration.md` shows are what the engine says.

use egress_filter::audit::load_record;
use egress_filter::policy::Engine;
use serde_json::{Value, json};

use crate::pages::page;

const PAGE: &str = "docs/configuration.md";

/// The block of output that holds a text.
fn shown(part: &str) -> String {
    let page = page(PAGE);
    let block = page.blocks("text").into_iter().find(|block| block.contains(part));
    block.unwrap_or_else(|| panic!("{PAGE} shows no `{part}`")).to_owned()
}

fn allow(name: &str, expression: &str) -> Value {
    json!({"policies": [{"name": name, "traffic": {"authorization": {
        "action": "Allow", "policy": {"matchExpressions": [expression]},
    }}}]})
}

#[test]
fn the_example_of_an_error_is_what_the_engine_says() {
    let configuration = allow("github-api-rbac", r#"source.identty.namespace == "team-a""#);
    let errors =
        Engine::load(configuration.to_string().as_bytes()).expect_err("a misspelt attribute");
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said, [shown("unknown attribute")]);
}

#[test]
fn the_example_of_a_warning_is_what_the_engine_says() {
    let configuration =
        allow("p", r#"source.identity.namespace == "a" && source.identity.namespace == "b""#);
    let engine = Engine::load(configuration.to_string().as_bytes()).expect("a legal configuration");
    let [warning] = engine.warnings() else { panic!("{:?}", engine.warnings()) };
    let record = load_record(Ok(&engine))
        .replace(&warning.place, "policies[0]...")
        .replace(&warning.message.replace('"', "\\\""), "...");
    assert_eq!(format!("{warning}\n{record}"), shown("egress-configuration"));
}
