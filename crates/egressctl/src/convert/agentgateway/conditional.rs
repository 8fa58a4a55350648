//! `conditional`: several forms of a feature, of which the first whose condition is true is used.

use super::*;

/// A condition, which only the last entry may lack, and what is used if it is true.
pub(super) type Entry<T> = (Option<String>, T);

/// Notes the fields beside `conditional`, which takes their place.
pub(super) fn check_alone<'d>(feature: &At<'d>, notes: &mut Notes<'d>) {
    for field in feature.fields() {
        if field.name() != "conditional" {
            let message = "beside `conditional`, which takes its place: left out";
            notes.field(&field, Effect::Looser, message);
        }
    }
}

/// The entries of a list. If one of them cannot be converted there are none, because a later one
/// would be used in its place.
pub(super) fn entries<'d, T>(
    list: &At<'d>,
    notes: &mut Notes<'d>,
    mut read: impl FnMut(&At<'d>, &mut Notes<'d>) -> Option<T>,
) -> Option<Vec<Entry<T>>> {
    let items = notes.list(list);
    let mut entries = Some(Vec::with_capacity(items.len()));
    for (index, item) in items.iter().enumerate() {
        let is_last = index.saturating_add(1) == items.len();
        let condition = condition(item, is_last, notes);
        let value = match item.get("policy") {
            Some(policy) => read(&policy, notes),
            None => {
                notes.add(item, Effect::Looser, "field `policy` is missing");
                None
            }
        };
        match (&mut entries, condition.zip(value)) {
            (Some(entries), Some(entry)) => entries.push(entry),
            _ => entries = None,
        }
    }
    if items.iter().any(|item| item.get("condition").is_some()) {
        let message = "a condition that fails, for example because it reads a header that is not \
            there, denies the request; AgentGateway takes it for false";
        notes.once("conditions", list, message);
    }
    entries.filter(|entries| !entries.is_empty())
}

/// The condition of an entry; none where it cannot be converted.
fn condition<'d>(item: &At<'d>, is_last: bool, notes: &mut Notes<'d>) -> Option<Option<String>> {
    notes.object(item, &["condition", "policy"]);
    let Some(condition) = item.get("condition") else {
        if !is_last {
            let message = "field `condition` is missing, which only the last entry may lack: the \
                entries behind it are never used";
            notes.add(item, Effect::Looser, message);
            return None;
        }
        return Some(None);
    };
    let errors = compile::errors(Position::Rule, &condition);
    let source = condition.node.as_str().filter(|_| errors.is_empty());
    if let Some(source) = source {
        authorization::meanings(&condition, source, notes);
    }
    for error in errors {
        let message = format!(
            "{}: which entry applies is not known, so that none is in the result",
            error.message
        );
        notes.push(&condition, Effect::Looser, Diagnostic { message, ..error });
    }
    source.map(|source| Some(source.to_owned()))
}
