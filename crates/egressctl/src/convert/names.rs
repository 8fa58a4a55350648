//! Names of policies, and what else `metadata` has.

use std::collections::HashSet;

use egress_filter::config::MAX_POLICY_NAME;

use super::note::{At, Effect, Notes};

/// Fields that the cluster writes, which say nothing about a policy.
const OF_THE_CLUSTER: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    unnamed: usize,
}

impl Names {
    /// The name of a document's policy, which the notes about it bear.
    pub(super) fn name_of<'d>(&mut self, document: &At<'d>, notes: &mut Notes<'d>) -> String {
        let name = document.at("metadata.name");
        let legal = |name: &&str| {
            let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && name.len() <= MAX_POLICY_NAME && name.chars().all(is_legal)
        };
        let given = name.as_ref().and_then(|name| name.node.as_str()).filter(legal);
        let named = given.map_or_else(
            || {
                self.unnamed = self.unnamed.saturating_add(1);
                format!("policy-{}", self.unnamed)
            },
            str::to_owned,
        );
        notes.of_policy(Some(named.clone()));
        if given.is_none() {
            let message = format!("no `metadata.name` that a policy can have: called `{named}`");
            notes.add(name.as_ref().unwrap_or(document), Effect::Hint, message);
        } else if let Some(name) = name.filter(|_| self.taken.contains(&named)) {
            notes.add(
                &name,
                Effect::Hint,
                "another policy has the name: a number is put behind it",
            );
        }
        named
    }

    /// The name, with a number behind it where it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let numbered = (2_usize..).map(|number| {
            let suffix = format!("-{number}");
            let kept: String =
                name.chars().take(MAX_POLICY_NAME.saturating_sub(suffix.len())).collect();
            kept + &suffix
        });
        let short: String = name.chars().take(MAX_POLICY_NAME).collect();
        let free = std::iter::once(short)
            .chain(numbered)
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(free.clone());
        free
    }
}

/// Where a policy is from, for its comment.
pub(super) fn origin(document: &At<'_>) -> String {
    let kind = document.text_at("kind").unwrap_or_default();
    let name = document.text_at("metadata.name").unwrap_or_default();
    match document.text_at("metadata.namespace") {
        Some(namespace) => format!("from {kind} {namespace}/{name}"),
        None => format!("from {kind} {name}"),
    }
}

/// Notes the fields besides `spec` that are left out.
pub(super) fn metadata<'d>(document: &At<'d>, is_istio: bool, notes: &mut Notes<'d>) {
    for field in document.fields() {
        match field.name() {
            "apiVersion" | "kind" | "metadata" | "spec" => {}
            "status" => notes.field(
                &field,
                Effect::Hint,
                "left out: it is what the source's controller says",
            ),
            _ => {
                let message = format!(
                    "unknown field `{}`: what it does, which may be to restrict, is not in the \
                     result",
                    field.name().escape_debug()
                );
                notes.field(&field, Effect::Looser, message);
            }
        }
    }
    for field in document.get("metadata").map(|metadata| metadata.fields()).unwrap_or_default() {
        match field.name() {
            "name" | "namespace" => {}
            "annotations" if is_istio => {
                // What means something is read with the policy.
                for annotation in field
                    .fields()
                    .iter()
                    .filter(|annotation| annotation.name() != "istio.io/dry-run")
                {
                    notes.field(annotation, Effect::Hint, "left out");
                }
            }
            name if OF_THE_CLUSTER.contains(&name) => {
                notes.field(&field, Effect::Hint, "left out: the cluster writes it")
            }
            "labels" | "annotations" => {
                notes.field(&field, Effect::Hint, "left out: several policies become one resource")
            }
            _ => notes.field(&field, Effect::Hint, "left out"),
        }
    }
}
