//! Structure: types, names, numbers, patterns.

use std::collections::HashSet;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::Definitions;

/// What is wrong with `value`, each with its place.
pub(super) fn faults(definitions: Definitions<'_>, schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { definitions, faults: Vec::new() };
    check.value(schema, value, "");
    check.faults
}

struct Check<'a> {
    definitions: Definitions<'a>,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, place: &str) {
        let keywords = schema
            .as_object()
            .unwrap_or_else(|| panic!("{place}: a schema that is no object: {schema}"));
        for (keyword, wanted) in keywords {
            self.keyword(keywords, keyword, wanted, value, place);
        }
    }

    fn keyword(
        &mut self,
        schema: &'a Map<String, Value>,
        keyword: &str,
        wanted: &'a Value,
        value: &Value,
        place: &str,
    ) {
        let number = |value: &Value| {
            value.as_f64().unwrap_or_else(|| panic!("{place}: {keyword}: {value} is no number"))
        };
        let length = match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => 0,
        };
        let limit = || {
            usize::try_from(
                wanted.as_u64().unwrap_or_else(|| panic!("{place}: {keyword}: {wanted}")),
            )
            .expect("a small limit")
        };
        match (keyword, value) {
            ("$ref", _) => self.value(self.definitions.named(wanted), value, place),
            ("type", _) => {
let message = || format!("{value} is no {wanted}");
self.require(is_of(wanted, value), place, message);
}
            ("enum", _) => {
let message = || format!("{value} is none of {wanted}");
self.require(list(wanted).contains(value), place, message);
}
            ("properties", Value::Object(fields)) => self.properties(wanted, fields, place),
            ("additionalProperties", Value::Object(fields)) => {
self.others(schema, wanted, fields, place);
}
            ("required", Value::Object(fields)) => {
                for name in list(wanted).iter().filter_map(Value::as_str) {
                    self.require(fields.contains_key(name), place, || format!("lacks `{name}`"));
                }
            }
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(wanted, item, &format!("{place}[{index}]"));
                }
            }
            ("minimum", Value::Number(_)) => {
let message = || format!("{value} is less than {wanted}");
self.require(number(value) >= number(wanted), place, message);
}
            ("maximum", Value::Number(_)) => {
let message = || format!("{value} is more than {wanted}");
self.require(number(value) <= number(wanted), place, message);
}
            ("minLength", Value::String(_)) | ("minItems", Value::Array(_)) => {
                self.require(length >= limit(), place, || format!("is shorter than {wanted}"));
            }
            ("maxLength", Value::String(_))
| ("maxItems", Value::Array(_))
| ("maxProperties", Value::Object(_)) => {
                self.require(length <= limit(), place, || format!("is longer than {wanted}"));
            }
            ("pattern", Value::String(text)) => {
                let pattern = Regex::new(wanted.as_str().unwrap_or_default())
.unwrap_or_else(|error| panic!("{place}: {error}"));
                let message = || format!("`{text}` does not match {wanted}");
self.require(pattern.is_match(text), place, message);
            }
            ("format", Value::String(text)) => {
let message = || format!("`{text}` is no {wanted}");
self.require(has_form(wanted, text), place, message);
}
            ("oneOf", _) => {
                let held = list(wanted).iter().filter(|schema| self.holds(schema, value)).count();
                let message = || format!("{held} of `oneOf` hold, not one: {wanted}");
self.require(held == 1, place, message);
            }
            ("anyOf", _) => {
let holds = list(wanted).iter().any(|schema| self.holds(schema, value));
self.require(holds, place, || format!("none of {wanted}"));
}
            ("allOf", _) => list(wanted).iter().for_each(|schema| self.value(schema, value, place)),
            ("not", _) => {
let message = || format!("must not be as {wanted}");
self.require(!self.holds(wanted, value), place, message);
}
            ("x-kubernetes-list-map-keys", Value::Array(items)) => {
self.unique(wanted, items, place);
}
            // These say nothing about a value of another type.
            (
                "properties"
| "additionalProperties" | "required" | "items" | "minimum" | "maximum"
| "minLength" | "maxLength" | "minItems"
                | "maxItems" | "maxProperties" | "pattern" | "format"
                | "x-kubernetes-list-map-keys",
                _,
            )
            // And these are for `rules`, or allow what nothing here forbids.
            | (
"default"
| "x-kubernetes-validations"
| "x-kubernetes-preserve-unknown-fields",
_,
) => {}
            _ => panic!("{place}: the schema's keyword `{keyword}` is not checked"),
        }
    }

    fn require(&mut self, holds: bool, place: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(format!(
                "{}: {}",
                place.strip_prefix('.').unwrap_or(place),
                message()
            ));
        }
    }

    fn holds(&self, schema: &'a Value, value: &Value) -> bool {
        faults(self.definitions, schema, value).is_empty()
    }

    fn properties(&mut self, wanted: &'a Value, fields: &Map<String, Value>, place: &str) {
        for (name, schema) in wanted.as_object().into_iter().flatten() {
            if let Some(value) = fields.get(name) {
                self.value(schema, value, &format!("{place}.{name}"));
            }
        }
    }

    /// Fields that `properties` does not name.
    fn others(
        &mut self,
        schema: &Map<String, Value>,
        wanted: &'a Value,
        fields: &Map<String, Value>,
        place: &str,
    ) {
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, value) in
            fields.iter().filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
        {
            match wanted {
                Value::Bool(allowed) => {
                    self.require(*allowed, place, || format!("unknown field `{name}`"))
                }
                schema => self.value(schema, value, &format!("{place}.{name}")),
            }
        }
    }

    fn unique(&mut self, keys: &Value, items: &[Value], place: &str) {
        let mut seen = HashSet::new();
        for item in items {
            let key: Vec<String> = list(keys)
                .iter()
                .map(|key| item[key.as_str().unwrap_or_default()].to_string())
                .collect();
            self.require(seen.insert(key.clone()), place, || {
                format!("two items with {keys} {}", key.join(", "))
            });
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn is_of(types: &Value, value: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|one| is_of(one, value)),
        one => match one.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("null") => value.is_null(),
            _ => panic!("the schema's type {one} is not checked"),
        },
    }
}

fn has_form(form: &Value, text: &str) -> bool {
    match form.as_str() {
        Some("ipv4") => text.parse::<std::net::Ipv4Addr>().is_ok(),
        Some("ipv6") => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => panic!("the schema's format {form} is not checked"),
    }
}
