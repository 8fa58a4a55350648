//! Header rules: `transformation` and `headerModifiers`.

use super::*;
use crate::convert::policy::Branch;
use crate::diagnostic::Diagnostic;

/// `transformation`
pub(super) fn of_transformation<'d>(at: &At<'d>, policy: &mut Policy, notes: &mut Notes<'d>) {
    let Some(list) = at.get("conditional") else {
        policy.headers = directions(at, notes, of_headers);
        return;
    };
    conditional::check_alone(at, notes);
    let entries = conditional::entries(&list, notes, |entry, notes| {
        Some(directions(entry, notes, of_headers))
    });
    match entries {
        Some(entries) => {
            let branch = |(condition, headers)| Branch { condition, headers };
            policy.conditional = entries.into_iter().map(branch).collect();
        }
        None => {
            let message = "the transformation is not in the result: a header that it sets or \
                removes stays as it came";
            notes.field(&list, Effect::Looser, message);
        }
    }
}

/// The headers of a transformation.
pub(super) fn of_headers<'d>(
    rules: &At<'d>,
    direction: &'static str,
    notes: &mut Notes<'d>,
) -> Headers {
    let mut headers = Headers::default();
    for field in notes.object(rules, &["set", "add", "remove", "body", "metadata"]) {
        match field.name() {
            "set" => {
                for item in notes.list(&field) {
                    match header_value(&item, Position::Header(direction, "set"), notes) {
                        Ok(Some(header)) => headers.set.push(header),
                        Ok(None) => {}
                        // The caller's own must not stand where the policy's was to be.
                        Err(name) => headers.remove.push(name),
                    }
                }
            }
            "add" => {
                for item in notes.list(&field) {
                    headers.add.extend(
                        header_value(&item, Position::Header(direction, "add"), notes)
                            .ok()
                            .flatten(),
                    );
                }
            }
            "remove" => {
                let position = Position::Header(direction, "remove");
                headers.remove.extend(removed(&field, position, notes));
            }
            "body" => notes.field(
                &field,
                Effect::Lost,
                "not converted: copy it to the result's `transformation`, which then takes the \
                 image for bodies",
            ),
            _ => {
                let message = "no counterpart: `variables` of the configuration name an expression \
                    once, and are read as `variables.NAME` in place of `metadata.NAME`";
                notes.field(&field, Effect::Lost, message);
            }
        }
    }
    if !headers.add.is_empty() {
        notes.once(
            "add",
            rules,
            "an `add` whose value errs leaves the caller's own lines; AgentGateway removes them",
        );
    }
    headers
}

/// A header and its value. Where the value cannot be converted but the header can be removed, only
/// the name.
fn header_value<'d>(
    item: &At<'d>,
    position: Position,
    notes: &mut Notes<'d>,
) -> Result<Option<(String, String)>, String> {
    notes.object(item, &["name", "value"]);
    let errors = compile::errors(position, item);
    let (name, value) = (item.text_at("name"), item.text_at("value"));
    if let (true, Some(name), Some(value)) = (errors.is_empty(), name, value) {
        return Ok(Some((name.to_owned(), value.to_owned())));
    }
    let sets = matches!(position, Position::Header(_, "set"));
    let is_pseudo = name.is_some_and(|name| name.starts_with(':'));
    // What is wrong may be the name itself.
    let removable = match position {
        Position::Header(direction, _) => {
            name.is_some_and(|name| compile::is_removable(direction, name))
        }
        _ => false,
    };
    for error in errors {
        let (effect, consequence) = match (sets, removable) {
            (true, true) => (Effect::Lost, "the header is removed instead"),
            (true, false) if is_pseudo => (Effect::Looser, "the request goes on as it came"),
            (true, false) => (Effect::Looser, "the header stays as it came"),
            (false, _) => (Effect::Lost, "the header is not added"),
        };
        let message = format!("{}: {consequence}", error.message);
        notes.push(item, effect, Diagnostic { message, ..error });
    }
    match (name, sets && removable) {
        (Some(name), true) => Err(name.to_owned()),
        _ => Ok(None),
    }
}

fn removed<'d>(list: &At<'d>, position: Position, notes: &mut Notes<'d>) -> Vec<String> {
    let mut names = Vec::new();
    for item in notes.list(list) {
        let errors = compile::errors(position, &item);
        if let (true, Some(name)) = (errors.is_empty(), item.node.as_str()) {
            names.push(name.to_owned());
        }
        for error in errors {
            let message = format!("{}: the header stays", error.message);
            notes.push(&item, Effect::Looser, Diagnostic { message, ..error });
        }
    }
    names
}

/// `headerModifiers`, or a filter of a route that has its shape.
pub(in crate::convert) fn of_modifiers<'d>(
    modifiers: &At<'d>,
    direction: &'static str,
    notes: &mut Notes<'d>,
) -> Headers {
    let mut headers = Headers::default();
    for field in notes.object(modifiers, &["set", "add", "remove"]) {
        let kind = match field.name() {
            "set" => "set",
            "add" => "add",
            _ => {
                let position = Position::Modifier(direction, "remove");
                headers.remove.extend(removed(&field, position, notes));
                continue;
            }
        };
        for item in notes.list(&field) {
            notes.object(&item, &["name", "value"]);
            let errors = compile::errors(Position::Modifier(direction, kind), &item);
            let header = item.text_at("name").zip(item.text_at("value"));
            if let (true, Some((name, value))) = (errors.is_empty(), header) {
                let list = if kind == "set" { &mut headers.set } else { &mut headers.add };
                list.push((name.to_owned(), value.to_owned()));
            }
            for error in errors {
                let message = format!("{}: the header stays as it came", error.message);
                notes.push(&item, Effect::Looser, Diagnostic { message, ..error });
            }
        }
    }
    headers
}
