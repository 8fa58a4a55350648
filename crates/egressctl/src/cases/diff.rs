//! The differences between what a case expects and what was observed, as text.

use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use super::compare::Fact;

/// What was expected, or observed, as an object in the form of `expect`.
pub(crate) fn object(facts: &[Fact], side: impl Fn(&Fact) -> &Value) -> Value {
    let mut object = Map::new();
    for fact in facts {
        match &fact.name {
            None => {
                object.insert(fact.field.to_owned(), side(fact).clone());
            }
            Some(name) => {
                let headers = object.entry(fact.field).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(headers) = headers {
                    headers.insert(name.clone(), side(fact).clone());
                }
            }
        }
    }
    Value::Object(object)
}

/// A line of a diff, and whether it belongs to what was expected, to what was observed, or to both.
pub(crate) type Line = (ChangeTag, String);

/// The difference, as lines of YAML that could stand in `expect`.
pub(crate) fn diff(facts: &[Fact]) -> Vec<Line> {
    // A fact that holds is shown as observed: of several expected statuses, only the one.
    let expected = yaml(facts, |fact| if fact.holds { &fact.got } else { &fact.expected });
    let got = yaml(facts, |fact| &fact.got);
    let diff = TextDiff::from_lines(&expected, &got);
    diff.iter_all_changes()
        .map(|change| (change.tag(), change.value().trim_end_matches('\n').to_owned()))
        .collect()
}

/// As the lines of `expect`.
fn yaml<'f>(facts: &'f [Fact], side: impl Fn(&'f Fact) -> &'f Value) -> String {
    let mut text = String::new();
    let mut last = "";
    for fact in facts {
        let (indent, name) = match &fact.name {
            None => ("", scalar(fact.field)),
            Some(name) => {
                if fact.field != last {
                    text.push_str(&format!("{}:\n", fact.field));
                }
                ("  ", scalar(name))
            }
        };
        last = fact.field;
        match side(fact) {
            Value::Array(items) if !items.is_empty() => {
                text.push_str(&format!("{indent}{name}:\n"));
                items
                    .iter()
                    .for_each(|item| text.push_str(&format!("{indent}- {}\n", of_value(item))));
            }
            value => text.push_str(&format!("{indent}{name}: {}\n", of_value(value))),
        }
    }
    text
}

fn of_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), scalar)
}

/// A text in YAML, in quotes where it could be taken for something else.
pub(crate) fn scalar(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '.' | '/' | ' ' | ':' | '+' | '=' | ';' | '(' | ')')
    };
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && crate::yaml::is_text(text);
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}
