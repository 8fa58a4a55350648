//! Reads headers.

use std::ops::Range;

use crate::cases::expect::Values;
use crate::cases::fields::Fields;
use crate::request;
use crate::yaml::{Node, Value};

/// Headers: by name, each with one value, a list of them, or null for none; or a list of names and
/// values.
pub(crate) fn read(fields: &mut Fields<'_>, node: &Node) -> Vec<(String, Values)> {
    let texts = |fields: &mut Fields<'_>, node: &Node, name: &str| {
        let texts = fields.texts(node, &format!("the value of `{name}`")).unwrap_or_default();
        let mut values = Values::with_capacity(texts.len());
        for (text, span) in texts {
            match request::header_value(&text) {
                Ok(value) => values.push(value.to_owned()),
                Err(message) => {
                    fields.impossible(&span, message);
                    values.push(text);
                }
            }
        }
        values
    };
    // Pseudo-headers too, of those that are expected.
    let possible = |fields: &mut Fields<'_>, name: &str, span: &Range<usize>| {
        if let Err(message) = request::header_name(name.strip_prefix(':').unwrap_or(name)) {
            fields.impossible(span, message);
        }
    };
    if node.items().is_none() {
        let Some(object) = fields.any_object(node, "`headers`") else { return Vec::new() };
        return object
            .iter()
            .map(|(key, value)| {
                possible(fields, &key.name, &key.span);
                let is_none = matches!(value.value, Value::Null);
                (
                    key.name.clone(),
                    if is_none { Values::new() } else { texts(fields, value, &key.name) },
                )
            })
            .collect();
    }
    let mut read = Vec::new();
    for item in node.items().unwrap_or_default() {
        match item.items() {
            Some([name, value]) => {
                let span = name.span.clone();
                let Some(name) = fields.full_text(name, "a header's name") else { continue };
                possible(fields, &name, &span);
                let value = texts(fields, value, &name);
                read.push((name, value));
            }
            _ => fields.error(&item.span, "headers in a list are pairs: `[name, value]`"),
        }
    }
    read
}

/// The lines of the first, and those of the second whose names are not among the first's.
pub(super) fn merged(
    mut headers: Vec<(String, Values)>,
    defaults: &[(String, Values)],
) -> Vec<(String, Values)> {
    let own = headers.len();
    for (name, lines) in defaults {
        if !headers.iter().take(own).any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            headers.push((name.clone(), lines.clone()));
        }
    }
    headers
}

/// As lines, one for each value.
pub(super) fn lines(headers: Vec<(String, Values)>) -> Vec<(String, String)> {
    headers
        .into_iter()
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
        .collect()
}
