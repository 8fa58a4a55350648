//! Reads JSON into typed fields, collecting every error with its place instead of stopping at the first.

use std::borrow::Cow;

use super::error::{ConfigError, Spot};
use super::json::Json;
use crate::suggest::did_you_mean;

/// The errors found so far, and the policy being read.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) found: Vec<ConfigError>,
    pub(super) policy: Option<String>,
}

impl Errors {
    pub(super) fn add(&mut self, place: &str, message: impl Into<String>) {
        self.add_at(place, Spot::Whole, message.into());
    }

    fn add_of_field(&mut self, place: &str, field: &str, message: String) {
        self.add_at(place, Spot::Field(field.to_owned()), message);
    }

    fn add_at(&mut self, place: &str, spot: Spot, message: String) {
        self.found.push(ConfigError { policy: self.policy.clone(), place: place.to_owned(), spot, message });
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node<'j> {
    pub(super) place: String,
    pub(super) json: &'j Json<'j>,
}

impl<'j> Node<'j> {
    fn wrong(&self, expected: &str, errors: &mut Errors) {
        errors.add(&self.place, format!("expected {expected}, got {}", self.json.kind()));
    }

    pub(super) fn string(&self, errors: &mut Errors) -> Option<&'j str> {
        match self.json {
            Json::String(text) => Some(text),
            _ => {
                self.wrong("a string", errors);
                None
            }
        }
    }

    pub(super) fn boolean(&self, errors: &mut Errors) -> Option<bool> {
        match self.json {
            Json::Bool(value) => Some(*value),
            _ => {
                self.wrong("`true` or `false`", errors);
                None
            }
        }
    }

    /// The items of a list that may have at most `limit`.
    pub(super) fn list(&self, limit: usize, errors: &mut Errors) -> Vec<Node<'j>> {
        let Json::Array(items) = self.json else {
            self.wrong("a list", errors);
            return Vec::new();
        };
        if items.len() > limit {
            errors.add(&self.place, format!("has {} entries, the limit is {limit}", items.len()));
        }
        items.iter().take(limit).enumerate().map(|(index, json)| Node { place: format!("{}[{index}]", self.place), json }).collect()
    }

    /// One of a set of words. `Off` may have come as `false`: kubectl reads YAML 1.1, where `Off` without quotes is that.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)], errors: &mut Errors) -> Option<T> {
        let off = words.iter().find(|(word, _)| *word == "Off");
        if let (Json::Bool(false), Some((_, value))) = (self.json, off) {
            return Some(*value);
        }
        let text = self.string(errors)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let hint = did_you_mean(text, words.iter().map(|(word, _)| *word));
            errors.add(&self.place, format!("unknown value `{}`{hint}: expected {}", text.escape_debug(), known.join(", ")));
        }
        found
    }

    /// The fields of an object, none but those of `known`, none twice, none null: an empty `hosts:` in YAML is null, and
    /// read as left out it would mean every host.
    pub(super) fn object(&self, known: &'static [&'static str], errors: &mut Errors) -> Option<Object<'j>> {
        let Json::Object(fields) = self.json else {
            self.wrong("an object", errors);
            return None;
        };
        for (index, (name, value)) in fields.iter().enumerate() {
            let shown = || name.escape_debug();
            if !known.contains(&&**name) {
                let hint = did_you_mean(name, known.iter().copied());
                let expected: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                errors.add_of_field(&self.place, name, format!("unknown field `{}`{hint}: expected {}", shown(), expected.join(", ")));
            } else if fields.iter().take(index).any(|(earlier, _)| earlier == name) {
                errors.add_of_field(&self.place, name, format!("field `{}` is given twice: leave one out", shown()));
            } else if *value == Json::Null {
                errors.add_of_field(&self.place, name, format!("field `{}` is null: give it a value, or leave it out", shown()));
            }
        }
        Some(Object { place: self.place.clone(), fields })
    }
}

/// An object and its place.
#[derive(Debug)]
pub(super) struct Object<'j> {
    place: String,
    fields: &'j [(Cow<'j, str>, Json<'j>)],
}

impl<'j> Object<'j> {
    /// The field, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Node<'j>> {
        let (_, json) = self.fields.iter().find(|(field, json)| field == name && *json != Json::Null)?;
        Some(Node { place: self.place_of(name), json })
    }

    /// The field; it is an error for it not to be there.
    pub(super) fn require(&self, name: &str, errors: &mut Errors) -> Option<Node<'j>> {
        let found = self.get(name);
        // One that is null has been told of.
        if found.is_none() && !self.fields.iter().any(|(field, _)| field == name) {
            errors.add(&self.place, format!("field `{name}` is missing"));
        }
        found
    }

    pub(super) fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { [&self.place, ".", name].concat() }
    }
}
