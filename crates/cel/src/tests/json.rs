//! Data made of JSON, for tests. The engine's tests include this file too.

use serde_json::Value;

use super::Data;

/// A document as data; null if it is none.
pub(crate) fn data(json: &str) -> Data {
    serde_json::from_str(json).map_or(Data::Null, |value| of(&value))
}

fn of(value: &Value) -> Data {
    match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Data::Int(number),
            (None, Some(number)) => Data::Uint(number),
            (None, None) => Data::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Data::Text(text.clone()),
        Value::Array(items) => Data::List(items.iter().map(of).collect()),
        Value::Object(fields) => {
            Data::Map(fields.iter().map(|(name, value)| (name.clone(), of(value))).collect())
        }
    }
}
