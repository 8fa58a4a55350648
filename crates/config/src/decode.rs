//! Reads JSON into typed fields, collecting every error with its place instead of stopping at the
//! first.

use std::borrow::Cow;

use super::MAX_ERRORS;
use super::elsewhere;
use super::error::{ConfigError, Spot};
use super::json::Json;
use super::shape::{Bounds, Condition, Field, OFF, Text, Word};
use super::text;
use super::totals::Totals;
use egress_cel::suggest::did_you_mean;

/// The errors found so far, and the policy being read.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) found: Vec<ConfigError>,
    pub(super) policy: Option<String>,
    pub(super) totals: Totals,
}

/// The most fields of an object that are read; no valid object has as many.
const MAX_FIELDS: usize = 64;
/// The most characters of a wrong value that a message repeats.
const MAX_SHOWN: usize = 300;

/// A text as a message shows it: escaped, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

impl Errors {
    pub(super) fn add(&mut self, place: &str, message: impl Into<String>) {
        self.add_at(place, Spot::Whole, message.into());
    }

    fn add_of_field(&mut self, place: &str, field: &str, message: String) {
        self.add_at(place, Spot::Field(field.to_owned()), message);
    }

    fn add_at(&mut self, place: &str, spot: Spot, message: String) {
        if self.found.len() > MAX_ERRORS {
            return;
        }
        self.found.push(ConfigError {
            policy: self.policy.clone(),
            place: place.to_owned(),
            spot,
            message,
        });
    }
}

/// A value, and its place in the configuration.
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

    /// A whole number in these bounds.
    pub(super) fn integer(&self, least: u64, most: u64, errors: &mut Errors) -> Option<u64> {
        let expected = || format!("a whole number from {least} to {most}");
        match self.json {
            Json::Number(Some(number)) if (least..=most).contains(number) => Some(*number),
            Json::Number(Some(number)) => {
                errors.add(&self.place, format!("expected {}, got {number}", expected()));
                None
            }
            _ => {
                self.wrong(&expected(), errors);
                None
            }
        }
    }

    /// One of these whole numbers.
    pub(super) fn choice(&self, choices: &[u64], errors: &mut Errors) -> Option<u64> {
        let listed: Vec<String> = choices.iter().map(u64::to_string).collect();
        let expected = format!("one of {}", listed.join(", "));
        match self.json {
            Json::Number(Some(number)) if choices.contains(number) => Some(*number),
            Json::Number(Some(number)) => {
                errors.add(&self.place, format!("expected {expected}, got {number}"));
                None
            }
            _ => {
                self.wrong(&expected, errors);
                None
            }
        }
    }

    /// A text of one of the forms that [`text::check`] knows.
    pub(super) fn text(&self, form: Text, errors: &mut Errors) -> Option<&'j str> {
        let text = self.string(errors)?;
        match text::check(form, text) {
            Ok(()) => Some(text),
            Err(message) => {
                errors.add(&self.place, message);
                None
            }
        }
    }

    /// The fields of an object whose names are of the author's choice, those with illegal names
    /// left out.
    pub(super) fn map(
        &self,
        bounds: Bounds,
        names: Text,
        errors: &mut Errors,
    ) -> Vec<(&'j str, Node<'j>)> {
        let Json::Object(fields) = self.json else {
            self.wrong("an object", errors);
            return Vec::new();
        };
        let name = self.place.rsplit('.').next().unwrap_or_default();
        if fields.len() > bounds.limit {
            errors.add(
                &self.place,
                format!("`{name}` has {} fields, the limit is {}", fields.len(), bounds.limit),
            );
        }
        if let (true, Some(mend)) = (fields.is_empty(), bounds.if_empty) {
            errors.add(&self.place, format!("`{name}` is empty: {mend}"));
        }
        let mut found: Vec<(&'j str, Node<'j>)> = Vec::new();
        for (name, json) in fields.iter().take(bounds.limit) {
            let name: &'j str = name;
            let wrong = match text::check(names, name) {
                Err(message) => Some(message),
                Ok(()) if found.iter().any(|(earlier, _)| *earlier == name) => {
                    Some(format!("field `{name}` is given twice: leave one out"))
                }
                Ok(()) => None,
            };
            match wrong {
                Some(message) => errors.add_of_field(&self.place, name, message),
                None => {
                    found.push((name, Node { place: format!("{}.{name}", self.place), json }));
                }
            }
        }
        found
    }

    /// The items of a list.
    pub(super) fn list(&self, bounds: Bounds, errors: &mut Errors) -> Vec<Node<'j>> {
        let Json::Array(items) = self.json else {
            self.wrong("a list", errors);
            return Vec::new();
        };
        let name = self.place.rsplit('.').next().unwrap_or_default();
        if items.len() > bounds.limit {
            errors.add(
                &self.place,
                format!("`{name}` has {} entries, the limit is {}", items.len(), bounds.limit),
            );
        }
        if let (true, Some(mend)) = (items.is_empty(), bounds.if_empty) {
            errors.add(&self.place, format!("`{name}` is empty: {mend}"));
        }
        let places = items.iter().take(bounds.limit).enumerate();
        places
            .map(|(index, json)| Node { place: format!("{}[{index}]", self.place), json })
            .collect()
    }

    /// The value that one of a set of words stands for.
    pub(super) fn word<T: Copy>(&self, words: &[Word<T>], errors: &mut Errors) -> Option<T> {
        let off = words.iter().find(|word| word.word == OFF);
        if let (Json::Bool(false), Some(off)) = (self.json, off) {
            return Some(off.value);
        }
        let text = self.string(errors)?;
        let found = words.iter().find(|word| word.word == text).map(|word| word.value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|word| format!("`{}`", word.word)).collect();
            let hint = did_you_mean(text, words.iter().map(|word| word.word));
            errors.add(
                &self.place,
                format!("unknown value `{}`{hint}: expected {}", shown(text), known.join(", ")),
            );
        }
        found
    }

    /// The fields of an object. It must have all required fields, no field that its shape does not
    /// have, and none twice. No field may be null: an empty `hosts:` in YAML is null, and would
    /// mean every host if it were taken as left out.
    pub(super) fn object(&self, shape: &[Field], errors: &mut Errors) -> Option<Object<'j>> {
        let Json::Object(fields) = self.json else {
            self.wrong("an object", errors);
            return None;
        };
        if fields.len() > MAX_FIELDS {
            errors.add(
                &self.place,
                format!(
                    "an object has {} fields, of which there are {}",
                    fields.len(),
                    shape.len()
                ),
            );
        }
        for (index, (name, value)) in fields.iter().take(MAX_FIELDS).enumerate() {
            let shown = || shown(name);
            if let Some(advice) = elsewhere::advice(&self.place, name, shape) {
                let message = format!("there is no `{}` here: {advice}", shown());
                errors.add_of_field(&self.place, name, message);
            } else if !shape.iter().any(|field| field.name == name) {
                let hint = did_you_mean(name, shape.iter().map(|field| field.name));
                let expected: Vec<String> =
                    shape.iter().map(|field| format!("`{}`", field.name)).collect();
                errors.add_of_field(
                    &self.place,
                    name,
                    format!("unknown field `{}`{hint}: expected {}", shown(), expected.join(", ")),
                );
            } else if fields.iter().take(index).any(|(earlier, _)| earlier == name) {
                errors.add_of_field(
                    &self.place,
                    name,
                    format!("field `{}` is given twice: leave one out", shown()),
                );
            } else if *value == Json::Null {
                errors.add_of_field(
                    &self.place,
                    name,
                    format!("field `{}` is null: give it a value, or leave it out", shown()),
                );
            }
        }
        for field in shape.iter().filter(|field| field.required) {
            if !fields.iter().any(|(name, _)| name == field.name) {
                errors.add(&self.place, format!("field `{}` is missing", field.name));
            }
        }
        Some(Object { place: self.place.clone(), fields })
    }
}

/// An object, and its place in the configuration.
#[derive(Debug)]
pub(super) struct Object<'j> {
    pub(super) place: String,
    fields: &'j [(Cow<'j, str>, Json<'j>)],
}

impl<'j> Object<'j> {
    /// The field, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Node<'j>> {
        let (_, json) =
            self.fields.iter().find(|(field, json)| field == name && *json != Json::Null)?;
        Some(Node { place: self.place_of(name), json })
    }

    /// Adds an error for each of these conditions that the object does not meet.
    pub(super) fn check(&self, conditions: &[Condition], errors: &mut Errors) {
        let has = |name: &str| self.get(name).is_some();
        let listed = |names: &[&str]| -> String {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        for condition in conditions {
            let message = match *condition {
                Condition::OneOf(names) | Condition::AnyOf(names)
                    if !names.iter().any(|name| has(name)) =>
                {
                    let is_one = matches!(condition, Condition::OneOf(_));
                    let which = if is_one { "one" } else { "some" };
                    format!("{which} of {} must be there", listed(names))
                }
                Condition::OneOf(names) | Condition::AtMostOne(names) => {
                    let given: Vec<&str> = names.iter().copied().filter(|name| has(name)).collect();
                    if given.len() < 2 {
                        continue;
                    }
                    format!("only one of {} may be there: leave the others out", listed(&given))
                }
                Condition::Alone(name) if has(name) && self.fields.len() > 1 => {
                    format!("beside `{name}` no other field may be there: put them into it")
                }
                Condition::RequiredUnless(name, other) if !has(name) && !has(other) => {
                    format!("field `{name}` is missing")
                }
                Condition::Names(field, word, other)
                    if self.is_word(field, word) && !has(other) =>
                {
                    format!("`{field}` is `{word}`: give `{other}`")
                }
                Condition::UnlessWord(name, other, word) => {
                    match (has(name), self.is_word(other, word)) {
                        (false, false) => {
                            format!("field `{name}` is missing, unless `{other}` is `{word}`")
                        }
                        (true, true) => {
                            format!("`{name}` has no meaning with `{other}: {word}`: leave it out")
                        }
                        _ => continue,
                    }
                }
                Condition::AnyOf(_)
                | Condition::Names(..)
                | Condition::Alone(_)
                | Condition::RequiredUnless(..)
                // The reader of their objects has its own messages for these.
                | Condition::Needs(..)
                | Condition::NeedsUnless(..)
                | Condition::Several(..)
                | Condition::NotEmptyUnless(..) => continue,
            };
            errors.add(&self.place, message);
        }
    }

    fn is_word(&self, field: &str, word: &str) -> bool {
        let value = self.get(field);
        value.is_some_and(|node| matches!(node.json, Json::String(text) if text == word))
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { [&self.place, ".", name].concat() }
    }
}
