//! The rules in CEL that custom resources carry (`x-kubernetes-validations`), on the resource with
//! its defaults; and the expressions of admission policies.
//!
//! They are run, not type-checked. The API server also checks a rule's types against its schema,
//! and refuses a rule that names no field of it, compares what cannot be equal, mixes types in a
//! list, or may cost too much; of an admission policy, whose `object` is of any type, it puts what
//! such a check finds into `status.typeChecking` as a warning. Here a wrong name is only found
//! where an expression comes upon it, so each branch of one wants a value that takes it.

use std::collections::HashMap;
use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, DeclarationError, ExecutionError, Program};
use regex_lite::Regex;
use serde_json::Value;

use super::Definitions;

/// Puts the defaults in that the schema gives.
pub(super) fn fill_in(definitions: Definitions<'_>, schema: &Value, value: &mut Value) {
    let schema = definitions.resolve(schema);
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) =
                    definitions.resolve(schema).get("default").or_else(|| schema.get("default"))
                {
                    fields.entry(name).or_insert_with(|| default.clone());
                }
            }
            for (name, value) in fields {
                if let Some(schema) = below(schema, name) {
                    fill_in(definitions, schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| fill_in(definitions, schema, item));
            }
        }
        _ => {}
    }
}

/// The rules that do not hold, each with its place.
pub(super) fn faults(definitions: Definitions<'_>, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    walk(definitions, schema, value, "", &mut faults);
    faults
}

fn walk(
    definitions: Definitions<'_>,
    schema: &Value,
    value: &Value,
    place: &str,
    faults: &mut Vec<String>,
) {
    let schema = definitions.resolve(schema);
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = |name: &str| {
            rule[name]
                .as_str()
                .unwrap_or_else(|| panic!("{place}: a rule without `{name}`: {rule}"))
        };
        if !holds(text("rule"), &[("self", value)]) {
            faults.push(format!(
                "{}: {}",
                place.strip_prefix('.').unwrap_or(place),
                text("message")
            ));
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(schema) = below(schema, name) {
                    walk(definitions, schema, value, &format!("{place}.{name}"), faults);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    walk(definitions, schema, item, &format!("{place}[{index}]"), faults);
                }
            }
        }
        _ => {}
    }
}

/// The schema of a field.
fn below<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema["properties"]
        .get(name)
        .or_else(|| schema.get("additionalProperties").filter(|others| others.is_object()))
}

/// Whether an expression of Kubernetes' CEL is true.
///
/// # Panics
/// It does not compile, errs, or is neither true nor false: no test may take that for a yes or a
/// no.
#[must_use]
pub fn holds(expression: &str, given: &[(&str, &Value)]) -> bool {
    holds_with(expression, given, &[])
}

/// Whether an expression is true that may use a ValidatingAdmissionPolicy's `variables`: each with
/// its name and its own expression, which may use those before it. The API server evaluates a
/// variable when it is used, and this evaluates all.
///
/// # Panics
/// As [`holds`], and if a variable errs.
#[must_use]
pub fn holds_with(
    expression: &str,
    given: &[(&str, &Value)],
    variables: &[(String, String)],
) -> bool {
    let mut context = Context::default();
    add_functions(&mut context)
        .unwrap_or_else(|error| panic!("a function of Kubernetes' CEL: {error}"));
    for (name, value) in given {
        context.add_variable(*name, *value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut values = HashMap::new();
    for (name, expression) in variables {
        context.add_variable_from_value("variables", values.clone());
        values.insert(name.clone(), value_of(expression, &context));
    }
    context.add_variable_from_value("variables", values);
    match value_of(expression, &context) {
        cel::Value::Bool(holds) => holds,
        other => panic!("`{expression}` on {given:?} gives {other:?}"),
    }
}

fn value_of(expression: &str, context: &Context<'_, '_>) -> cel::Value {
    let program =
        Program::compile(expression).unwrap_or_else(|error| panic!("`{expression}`: {error}"));
    program.execute(context).unwrap_or_else(|error| panic!("`{expression}`: {error}"))
}

/// Functions of Kubernetes' CEL that the `cel` crate lacks, or has in a feature only.
///
/// Here an `authorizer` is the one thing that it allows, as a path:
/// `networking.istio.io/serviceentries/default/create`. Each call removes its part, and the request
/// is allowed if nothing remains.
fn add_functions(context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
    context.add_function("duration", |text: Arc<String>| {
        nanoseconds(&text).ok_or_else(|| failed("duration", &text))
    })?;
    context.add_function("matches", |This(text): This<Arc<String>>, pattern: Arc<String>| {
        Regex::new(&pattern)
            .map(|pattern| pattern.is_match(&text))
            .map_err(|error| failed("matches", &error.to_string()))
    })?;
    context.add_function("isURL", |text: Arc<String>| {
        text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some())
    })?;
    context.add_function("url", |text: Arc<String>| text)?;
    context.add_function("getScheme", |This(url): This<Arc<String>>| {
        let scheme = url.split_once("://").map(|(scheme, _)| Arc::new(scheme.to_owned()));
        scheme.ok_or_else(|| failed("getScheme", &url))
    })?;
    context.add_function("substring", |This(text): This<Arc<String>>, from: i64, to: i64| {
        let length = usize::try_from(to - from).map_err(|_| failed("substring", &text))?;
        let start = usize::try_from(from).map_err(|_| failed("substring", &text))?;
        Ok::<_, ExecutionError>(Arc::new(text.chars().skip(start).take(length).collect::<String>()))
    })?;
    context.add_function("split", |This(text): This<Arc<String>>, at: Arc<String>| {
        let parts =
            text.split(at.as_str()).map(|part| cel::Value::String(Arc::new(part.to_owned())));
        cel::Value::List(Arc::new(parts.collect()))
    })?;
    for question in ["group", "resource", "namespace", "check"] {
        context.add_function(question, |This(left): This<Arc<String>>, part: Arc<String>| {
            let (first, rest) = left.split_once('/').unwrap_or((&left, ""));
            Arc::new(if first == part.as_str() { rest.to_owned() } else { "another".to_owned() })
        })?;
    }
    context.add_function("allowed", |This(left): This<Arc<String>>| left.is_empty())
}

fn failed(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

/// A duration as Go writes it, such as `1m30s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let form = Regex::new(r"^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$").expect("a pattern");
    let part = Regex::new(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)").expect("a pattern");
    if !form.is_match(text) {
        return None;
    }
    let total: f64 = part
        .captures_iter(text)
        .map(|part| {
            let unit = match &part[2] {
                "ns" => 1.0,
                "us" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                _ => 3600e9,
            };
            part[1].parse::<f64>().unwrap_or(f64::INFINITY) * unit
        })
        .sum();
    #[allow(clippy::cast_possible_truncation, reason = "a float's cast to an integer saturates")]
    Some(total as i64)
}
