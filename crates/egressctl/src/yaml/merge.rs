//! The names of fields, and the fields that `<<` adds.

use super::{Key, Node, Value};

/// The name of a field, as JSON has it.
pub(super) fn name_of(key: &Value) -> Result<String, String> {
    match key {
        Value::String(name, _) => Ok(name.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok("null".to_owned()),
        Value::List(_) | Value::Map(_) => Err("the name of a field is a string".to_owned()),
    }
}

pub(super) fn has(fields: &[(Key, Node)], key: &Key) -> bool {
    fields.iter().any(|(known, _)| known.name == key.name)
}

/// The fields of `<<: *defaults`; of a list, an earlier mapping's win.
pub(super) fn merge(value: Node) -> Result<Vec<(Key, Node)>, String> {
    match value.value {
        Value::Map(fields) => Ok(fields),
        Value::List(items) => {
            let mut merged = Vec::new();
            for item in items {
                for (key, value) in merge(item)? {
                    if !has(&merged, &key) {
                        merged.push((key, value));
                    }
                }
            }
            Ok(merged)
        }
        _ => Err("`<<` takes a mapping, or a list of them".to_owned()),
    }
}
