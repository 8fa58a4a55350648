//! Configurations that are compiled.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod index;
mod variables;

use serde_json::{Value, json};

use super::Engine;
use crate::stage::tests::rule;

#[test]
fn all_errors_of_a_configuration_are_told_with_their_places() {
    let mut misspelt = rule("b", "Allow", "source.identty.namespace == 'a'");
    misspelt["mod"] = json!("Shadow");
    let config = json!({"policies": [rule("a", "Allow", "1 +"), misspelt]});
    let errors: Vec<String> = Engine::load(config.to_string().as_bytes())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        errors.iter().any(|error| error.starts_with(
            "policy `a`: \
             policies[0].traffic.authorization.policy.matchExpressions[0]: line 1, column"
        )),
        "{errors:#?}"
    );
    assert!(
        errors.iter().any(|error| error
            .starts_with("policy `b`: policies[1]: unknown field `mod` (did you mean `mode`?)")),
        "{errors:#?}"
    );
    let expected = "policy `b`: policies[1].traffic.authorization.policy.matchExpressions[0]: \
        line 1, column 1: unknown attribute `source.identty` (did you mean `source.identity`?)";
    assert!(errors.iter().any(|error| error == expected), "{errors:#?}");
}

#[test]
fn the_expressions_of_denials_are_checked() {
    let mut policy = rule("p", "Allow", "true");
    policy["denial"] = json!({"bodyExpression": "request.size", "headers": [
        {"name": "x-a", "value": "response.status"}]});
    let long = format!("'{}' + ''", "a".repeat(100));
    let config = json!({"policies": [policy], "denial": {"bodyExpression": "1",
        "headers": [{"name": "x-b", "value": long}]}});
    let errors: Vec<String> = Engine::load(config.to_string().as_bytes())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    for expected in [
        "policy `p`: policies[0].denial.bodyExpression: line 1, column 1: unknown attribute \
         `request.size`",
        "policy `p`: policies[0].denial.headers[0].value: line 1, column 1: ",
        "denial.bodyExpression: line 1, column 1: a body is a string or bytes, this gives int: \
         put `string(...)` around it",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

#[test]
fn a_value_that_is_no_text_is_told_how_to_be_one() {
    let refused = |name: &str, value: &str| {
        let rule = json!({"response": {"set": [{"name": name, "value": value}]}});
        let config = json!({"policies": [{"name": "p", "traffic": {"transformation": rule}}]});
        match Engine::load(config.to_string().as_bytes()) {
            Ok(_) => None,
            Err(errors) => Some(errors.first().map_or(String::new(), |one| one.message.clone())),
        }
    };
    for (value, mend) in [
        ("hello", r#"if the text is meant, write `'"hello"'`"#),
        ("a-b c", "expected"),
        ("prod-eu", r#"write `'"prod-eu"'`"#),
        ("[1]", "put `toJson(...)` around it"),
        (r#"{"a": 1}"#, "put `toJson(...)` around it"),
        ("request.headers", "put `toJson(...)` around it"),
        ("null", "leave it out"),
        ("1", "put `string(...)` around it"),
    ] {
        let message = refused("x-a", value);
        assert!(message.as_ref().is_some_and(|text| text.contains(mend)), "{value}: {message:?}");
    }
    assert_eq!(refused("x-a", "toJson([1])"), None);
    assert_eq!(refused("x-a", "toJson(request.headers)"), None);
    // A status may be a number.
    assert_eq!(refused(":status", r#"request.path == "/" ? 401 : 403"#), None);
    assert_eq!(refused(":status", "404 // not there"), None);
    assert!(refused(":status", "true").is_some() && refused(":status", "[404]").is_some());
}

#[test]
fn patterns_of_all_policies_together_are_bounded() {
    let pattern = r#"request.path.matches("[a-c]{1000}[d-f]{1000}[g-i]{1000}")"#;
    let policies: Vec<Value> =
        (0..500).map(|number| rule(&format!("p{number}"), "Deny", pattern)).collect();
    let load = |count: usize| {
        Engine::load(json!({"policies": policies.get(..count)}).to_string().as_bytes())
    };
    assert!(load(400).is_ok());
    let errors = load(500).unwrap_err();
    assert_eq!(errors.len(), 1);
    let expected = "policy `p464`: policies[464]: the patterns of the policies up to this one \
        take 16801380 bytes once compiled, the limit is 16777216";
    assert!(errors[0].to_string().starts_with(expected), "{}", errors[0]);
}
