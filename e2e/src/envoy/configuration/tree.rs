//! Finding, copying and changing parts of Envoy's configuration.

use serde_json::Value;

use super::ConfigurationError;

pub(super) fn no_filter() -> ConfigurationError {
    ConfigurationError::Missing("wasm filter in every chain of `main_internal`".to_owned())
}

pub(super) fn is_wasm(filter: &Value) -> bool {
    filter["typed_config"]["@type"].as_str().is_some_and(|kind| kind.ends_with(".wasm.v3.Wasm"))
}

pub(super) fn http_manager(chain: &mut Value) -> &mut Value {
    &mut chain["filters"][0]["typed_config"]
}

pub(super) fn http_filters(chain: &mut Value) -> &mut Value {
    &mut http_manager(chain)["http_filters"]
}

pub(super) fn named<'a>(
    list: &'a mut Value,
    name: &str,
) -> Result<&'a mut Value, ConfigurationError> {
    let items = list.as_array_mut().into_iter().flatten();
    items
        .into_iter()
        .find(|item| item["name"] == name)
        .ok_or_else(|| ConfigurationError::Missing(format!("`{name}`")))
}

/// Appends a changed copy of a list's first item.
pub(super) fn append_copy(
    list: &mut Value,
    what: &str,
    change: impl Fn(&Value) -> Value,
) -> Result<(), ConfigurationError> {
    let missing = || ConfigurationError::Missing(what.to_owned());
    let items = list.as_array_mut().ok_or_else(missing)?;
    let copy = change(items.first().ok_or_else(missing)?);
    items.push(copy);
    Ok(())
}

pub(super) fn append_copy_of(
    list: &mut Value,
    name: &str,
    change: impl Fn(&Value) -> Value,
) -> Result<(), ConfigurationError> {
    let copy = change(named(list, name)?);
    list.as_array_mut().ok_or_else(|| ConfigurationError::Missing(format!("`{name}`")))?.push(copy);
    Ok(())
}

/// A copy in which every text has these parts replaced.
pub(super) fn renamed(model: &Value, parts: &[(&str, &str)]) -> Value {
    let mut copy = model.clone();
    each_value(&mut copy, &mut |_, value| {
        if let Value::String(text) = value {
            *text =
                parts.iter().fold(std::mem::take(text), |text, (from, to)| text.replace(from, to));
        }
    });
    copy
}

/// Visits every value in the tree with the key under which it stands (empty in a list).
pub(super) fn each_value(value: &mut Value, visit: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                visit(key, value);
                each_value(value, visit);
            }
        }
        Value::Array(items) => {
            for value in items {
                visit("", value);
                each_value(value, visit);
            }
        }
        _ => {}
    }
}
