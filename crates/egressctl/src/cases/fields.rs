//! Reads the fields of a YAML document of a known form, and collects its errors.

use std::ops::Range;

use egress_filter::suggest::{did_you_mean, nearest};

use crate::diagnostic::Diagnostic;
use crate::source::Source;
use crate::yaml::{Key, Node, Value};

/// A document's source, and the errors found in it so far.
#[derive(Debug)]
pub(crate) struct Fields<'s> {
    pub(crate) source: &'s Source,
    pub(crate) found: Vec<Diagnostic>,
    /// Whether the request may be one that Envoy itself refuses. It may in a case that names its
    /// layers.
    pub(crate) any_request: bool,
}

/// The fields of an object, all of them known, each once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'d> {
    pub(crate) node: &'d Node,
    fields: &'d [(Key, Node)],
}

impl<'d> Object<'d> {
    /// A field's value, if it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&'d Node> {
        self.key(name).map(|(_, value)| value)
    }

    /// A field's name and value, if it is given.
    pub(crate) fn key(&self, name: &str) -> Option<(&'d Key, &'d Node)> {
        self.fields.iter().find(|(key, _)| key.name == name).map(|(key, value)| (key, value))
    }

    /// Whether a misspelling of this field is given, which has been reported.
    pub(crate) fn is_misspelt(&self, name: &str) -> bool {
        self.get(name).is_none()
            && self.fields.iter().any(|(key, _)| nearest(&key.name, [name]).is_some())
    }

    /// The given fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'d Key, &'d Node)> + use<'d> {
        self.fields.iter().map(|(key, value)| (key, value))
    }
}

impl<'s> Fields<'s> {
    pub(crate) fn new(source: &'s Source) -> Fields<'s> {
        Fields { source, found: Vec::new(), any_request: false }
    }

    /// Reports a part of a request with which no request reaches the filter.
    pub(crate) fn impossible(&mut self, span: &Range<usize>, message: impl Into<String>) {
        if !self.any_request {
            self.error(span, message);
        }
    }

    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.found.push(Diagnostic::error(self.source, span.clone(), message.into()));
    }

    /// An object that has some of these fields. Messages call it `what`, such as "a case".
    pub(crate) fn object<'d>(
        &mut self,
        node: &'d Node,
        what: &str,
        known: &[&str],
    ) -> Option<Object<'d>> {
        let object = self.any_object(node, what)?;
        for (key, _) in object.iter() {
            if !known.contains(&key.name.as_str()) {
                let meant = match key.name.as_str() {
                    // As the option of `explain` is called.
                    "as" if known.contains(&"caller") => " (did you mean `caller`?)".to_owned(),
                    name => did_you_mean(name, known.iter().copied()),
                };
                let meant =
                    if meant.is_empty() { format!(": it has {}", list(known)) } else { meant };
                self.error(&key.span, format!("{what} has no field `{}`{meant}", key.name));
            }
        }
        Some(object)
    }

    /// An object with any fields, each of them once.
    pub(crate) fn any_object<'d>(&mut self, node: &'d Node, what: &str) -> Option<Object<'d>> {
        let Some(fields) = node.fields() else {
            self.error(&node.span, format!("{what} is an object, this is {}", node.kind()));
            return None;
        };
        for (index, (key, _)) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|(earlier, _)| earlier.name == key.name) {
                self.error(&key.span, format!("`{}` is given twice", key.name));
            }
        }
        Some(Object { node, fields })
    }

    /// A text, or another scalar as it is written: `status: 200` is the text `200`, and
    /// `x-enabled: on` is `on`.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::String(text, _) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                self.source.text.get(node.span.clone()).map(|text| text.trim().to_owned())
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.error(&node.span, format!("{what} is a text, this is {}", node.kind()));
                None
            }
        }
    }

    /// A text that is not empty.
    pub(crate) fn full_text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        if text.trim().is_empty() {
            self.error(&node.span, format!("{what} is empty"));
            return None;
        }
        Some(text)
    }

    /// One text or a list of them, each with its span.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<(String, Range<usize>)>> {
        let one = std::slice::from_ref(node);
        let items = node.items().unwrap_or(one);
        let texts: Vec<Option<_>> =
            items.iter().map(|item| Some((self.text(item, what)?, item.span.clone()))).collect();
        texts.into_iter().collect()
    }

    /// One of these words.
    pub(crate) fn word<'w>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[&'w str],
    ) -> Option<&'w str> {
        let text = self.text(node, what)?;
        let found = words.iter().copied().find(|word| *word == text);
        if found.is_none() {
            let meant = did_you_mean(&text, words.iter().copied());
            self.error(&node.span, format!("{what} is {}, not `{text}`{meant}", list(words)));
        }
        found
    }
}

/// "`a`, `b` or `c`"
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
