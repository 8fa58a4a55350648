//! Notes about a conversion: everything that has no counterpart, and where it stands in the file.

use std::collections::HashSet;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Source;
use crate::yaml::{Key, Node, Value};

/// What a note means for the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Effect {
    /// The result may let through, or leave unprotected, what the source does not.
    Looser,
    /// The result refuses what the source would let through.
    Stricter,
    /// The source does something that the result does not, and that lets nothing more through.
    Lost,
    /// All of it is converted as it is written, which can hardly be meant.
    Doubtful,
    /// All of it is converted, and depends on something that is not in the result.
    Needs,
    /// All of it is converted; this is worth knowing.
    Hint,
}

impl Effect {
    /// Whether the result is not as the source is.
    pub(super) fn is_loss(self) -> bool {
        !matches!(self, Effect::Doubtful | Effect::Needs | Effect::Hint)
    }

    pub(super) fn severity(self) -> Severity {
        match self {
            Effect::Looser => Severity::Error,
            Effect::Stricter | Effect::Lost | Effect::Doubtful | Effect::Needs => Severity::Warning,
            Effect::Hint => Severity::Note,
        }
    }
}

/// A value, its file, and its position there.
#[derive(Debug, Clone)]
pub(super) struct At<'d> {
    /// The position of the file on the command line.
    pub(super) file: usize,
    pub(super) source: &'d Source,
    pub(super) node: &'d Node,
    /// The name it is given under.
    pub(super) key: Option<&'d Key>,
    /// The path in the document, such as `spec.traffic`.
    pub(super) path: String,
}

impl<'d> At<'d> {
    pub(super) fn document(file: usize, source: &'d Source, node: &'d Node) -> At<'d> {
        At { file, source, node, key: None, path: String::new() }
    }

    fn below(&self, key: &'d Key, node: &'d Node) -> At<'d> {
        let path = if self.path.is_empty() {
            key.name.escape_debug().to_string()
        } else {
            format!("{}.{}", self.path, key.name.escape_debug())
        };
        At { file: self.file, source: self.source, node, key: Some(key), path }
    }

    /// A field, unless it is missing or null: Kubernetes reads null as missing.
    pub(super) fn get(&self, name: &str) -> Option<At<'d>> {
        let (key, node) = self.node.field(name)?;
        (!matches!(node.value, Value::Null)).then(|| self.below(key, node))
    }

    /// What is at a path of fields, such as `metadata.name`.
    pub(super) fn at(&self, path: &str) -> Option<At<'d>> {
        path.split('.').try_fold(self.clone(), |at, name| at.get(name))
    }

    /// All fields, where it is an object.
    pub(super) fn fields(&self) -> Vec<At<'d>> {
        self.node
            .fields()
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| self.below(key, node))
            .collect()
    }

    /// All items, where it is a list.
    pub(super) fn items(&self) -> Vec<At<'d>> {
        let items = self.node.items().unwrap_or_default();
        let item = |(index, node): (usize, &'d Node)| At {
            node,
            path: format!("{}[{index}]", self.path),
            ..self.clone()
        };
        items.iter().enumerate().map(item).collect()
    }

    /// The name it is given under; empty for a document.
    pub(super) fn name(&self) -> &'d str {
        self.key.map_or("", |key| key.name.as_str())
    }

    /// The text at a path of fields, where there is one.
    pub(super) fn text_at(&self, path: &str) -> Option<&'d str> {
        self.at(path).and_then(|at| at.node.as_str())
    }
}

/// One note about a conversion.
#[derive(Debug, Serialize)]
pub(super) struct Note<'d> {
    pub(super) effect: Effect,
    #[serde(flatten)]
    pub(super) diagnostic: Diagnostic,
    #[serde(skip)]
    pub(super) source: &'d Source,
    #[serde(skip)]
    file: usize,
}

/// The notes so far.
#[derive(Debug, Default)]
pub(super) struct Notes<'d> {
    all: Vec<Note<'d>>,
    told: HashSet<&'static str>,
    /// The policy that is being converted.
    policy: Option<String>,
}

impl<'d> Notes<'d> {
    /// Sets the policy that the next notes are about.
    pub(super) fn of_policy(&mut self, policy: Option<String>) {
        self.policy = policy;
    }

    /// Adds a note about a value.
    pub(super) fn add(&mut self, at: &At<'d>, effect: Effect, message: impl Into<String>) {
        let diagnostic =
            Diagnostic::new(effect.severity(), at.source, at.node.span.clone(), message.into());
        self.push(at, effect, diagnostic.at(at.path.clone()));
    }

    /// Adds a note about a field, whatever its value.
    pub(super) fn field(&mut self, at: &At<'d>, effect: Effect, message: impl Into<String>) {
        let span = at.key.map_or_else(|| at.node.span.clone(), |key| key.span.clone());
        let diagnostic = Diagnostic::new(effect.severity(), at.source, span, message.into());
        self.push(at, effect, diagnostic.at(at.path.clone()));
    }

    /// Adds a note once, however often its reason occurs.
    pub(super) fn once(&mut self, topic: &'static str, at: &At<'d>, message: impl Into<String>) {
        if self.told.insert(topic) {
            self.add(at, Effect::Hint, message);
        }
    }

    /// Adds a note, once for each policy, about what it depends on.
    pub(super) fn needs(&mut self, at: &At<'d>, message: &str) {
        let is_told = self.all.iter().any(|note| {
            note.effect == Effect::Needs
                && note.diagnostic.policy == self.policy
                && note.diagnostic.message == message
        });
        if !is_told {
            self.field(at, Effect::Needs, message);
        }
    }

    /// Adds a note about a finding of another part, such as the engine.
    pub(super) fn push(&mut self, at: &At<'d>, effect: Effect, diagnostic: Diagnostic) {
        let diagnostic =
            Diagnostic { severity: effect.severity(), ..diagnostic }.of_policy(self.policy.clone());
        self.all.push(Note { effect, diagnostic, source: at.source, file: at.file });
    }

    /// Adds notes about a value that the engine refuses as a whole, for what is wrong in it.
    pub(super) fn refused(
        &mut self,
        at: &At<'d>,
        effect: Effect,
        errors: Vec<Diagnostic>,
        consequence: &str,
    ) {
        let is_told = errors.iter().any(|error| error.path == at.path);
        for error in errors {
            let message = format!("{}: {consequence}", error.message);
            self.push(at, effect, Diagnostic { message, ..error });
        }
        if !is_told {
            self.field(at, effect, consequence);
        }
    }

    /// The items of a value that must be a list.
    pub(super) fn list(&mut self, at: &At<'d>) -> Vec<At<'d>> {
        if at.node.items().is_none() {
            self.wrong(at, "a list");
        }
        at.items()
    }

    /// The fields of a value that must be an object. Fields that are not among `known` are noted
    /// and left out.
    pub(super) fn object(&mut self, at: &At<'d>, known: &[&str]) -> Vec<At<'d>> {
        if at.node.fields().is_none() {
            self.wrong(at, "an object");
        }
        let mut fields = at.fields();
        fields.retain(|field| {
            if matches!(field.node.value, Value::Null) {
                self.field(field, Effect::Hint, "is null, which Kubernetes reads as left out");
                return false;
            }
            let is_known = known.contains(&field.name());
            if !is_known {
                let message = format!(
                    "unknown field `{}`: what it does, which may be to restrict, is not in the \
                     result",
                    field.name().escape_debug()
                );
                self.field(field, Effect::Looser, message);
            }
            is_known
        });
        fields
    }

    pub(super) fn wrong(&mut self, at: &At<'d>, expected: &str) {
        self.add(
            at,
            Effect::Looser,
            format!(
                "expected {expected}, got {}: what it says is not in the result",
                at.node.kind()
            ),
        );
    }

    /// Notes each field that is given twice, on every level. Only the first is read.
    pub(super) fn duplicates(&mut self, at: &At<'d>) {
        self.duplicate_fields(at);
        for below in at.fields().iter().chain(&at.items()) {
            self.duplicates(below);
        }
    }

    /// Notes each field that is given twice, on this level.
    pub(super) fn duplicate_fields(&mut self, at: &At<'d>) {
        let fields = at.fields();
        for (index, field) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|earlier| earlier.name() == field.name()) {
                self.field(
                    field,
                    Effect::Looser,
                    format!(
                        "field `{}` is given twice, and only the first is read: leave one out",
                        field.name().escape_debug()
                    ),
                );
            }
        }
    }

    /// How many notes there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many notes are about what is not in the result.
    pub(super) fn losses(&self) -> usize {
        self.all.iter().filter(|note| note.effect.is_loss()).count()
    }

    /// The notes from one on about what is not in the result, and what it depends on, in a line
    /// each, for a comment.
    pub(super) fn comments_since(&self, start: usize) -> Vec<String> {
        let line = |note: &Note<'_>| {
            let begins = match note.effect {
                Effect::Needs => "needs more than is here",
                effect if effect.is_loss() => "not as in the source",
                _ => return None,
            };
            Some(format!("{begins}: {}: {}", note.diagnostic.path, note.diagnostic.message))
        };
        self.all.iter().skip(start).filter_map(line).collect()
    }

    /// All of them, by file and place.
    pub(super) fn into_sorted(mut self) -> Vec<Note<'d>> {
        self.all.sort_by_key(|note| (note.file, note.diagnostic.span.start));
        self.all
    }
}
