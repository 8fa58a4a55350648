//! JSON whose fields keep the order in which they were added. Editors offer them in that order, and
//! the file can be compared.

use serde::ser::{Serialize, Serializer};

/// A JSON value.
#[derive(Debug, Clone)]
pub(super) enum Json {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// An object without fields.
    pub(super) fn object() -> Json {
        Json::Object(Vec::new())
    }

    /// Adds a field to an object.
    pub(super) fn add(&mut self, name: &'static str, value: impl Into<Json>) -> &mut Json {
        if let Json::Object(fields) = self {
            fields.push((name, value.into()));
        }
        self
    }

    /// Adds a list of texts to an object, unless it is empty.
    pub(super) fn add_list(
        &mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = &'static str>,
    ) -> &mut Json {
        let texts: Vec<Json> = texts.into_iter().map(Json::from).collect();
        if texts.is_empty() { self } else { self.add(name, Json::List(texts)) }
    }

    /// The object with one more field.
    pub(super) fn and_field(mut self, name: &'static str, value: impl Into<Json>) -> Json {
        self.add(name, value);
        self
    }

    /// The object with a list of texts, unless it is empty.
    pub(super) fn and_list(
        mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = &'static str>,
    ) -> Json {
        self.add_list(name, texts);
        self
    }

    /// The object with the fields of another behind its own.
    pub(super) fn and(mut self, other: Json) -> Json {
        if let (Json::Object(fields), Json::Object(more)) = (&mut self, other) {
            fields.extend(more);
        }
        self
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<usize> for Json {
    fn from(number: usize) -> Json {
        Json::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(number) => number.serialize(serializer),
            Json::Text(text) => serializer.serialize_str(text),
            Json::List(items) => serializer.collect_seq(items),
            Json::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}
