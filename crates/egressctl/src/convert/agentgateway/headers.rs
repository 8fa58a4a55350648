//! Header rules: `transformation` and `headerModifiers`.

use super::*;

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
            "remove" => headers.remove.extend(removed(&field, direction, notes)),
            "body" => notes.field(
                &field,
                Effect::Lost,
                "no counterpart: this filter does not touch bodies; an EnvoyFilter or the origin \
                 would have to",
            ),
            _ => {
                let message = "no counterpart: write the value into the expressions that read \
                    `metadata`, or bind it there with `cel.bind`";
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
    let removable = name.is_some_and(|name| compile::is_removable(position, name));
    for error in errors {
        let (effect, consequence) = match (sets, removable) {
            (true, true) => (Effect::Lost, "the header is removed instead"),
            (true, false) if is_pseudo => (Effect::Looser, "the request goes on as it came"),
            (true, false) => (Effect::Looser, "the header stays as it came"),
            (false, _) => (Effect::Lost, "the header is not added"),
        };
        let message = format!("{}: {consequence}", error.message);
        notes.push(item, effect, crate::diagnostic::Diagnostic { message, ..error });
    }
    match (name, sets && removable) {
        (Some(name), true) => Err(name.to_owned()),
        _ => Ok(None),
    }
}

fn removed<'d>(list: &At<'d>, direction: &'static str, notes: &mut Notes<'d>) -> Vec<String> {
    let mut names = Vec::new();
    for item in notes.list(list) {
        let errors = compile::errors(Position::Header(direction, "remove"), &item);
        if let (true, Some(name)) = (errors.is_empty(), item.node.as_str()) {
            names.push(name.to_owned());
        }
        for error in errors {
            let message = format!("{}: the header stays", error.message);
            notes.push(&item, Effect::Looser, crate::diagnostic::Diagnostic { message, ..error });
        }
    }
    names
}

/// `headerModifiers`. Its values are plain texts, so they become literals.
pub(super) fn of_modifiers<'d>(
    modifiers: &At<'d>,
    direction: &'static str,
    notes: &mut Notes<'d>,
) -> Headers {
    let mut headers = Headers::default();
    for field in notes.object(modifiers, &["set", "add", "remove"]) {
        if field.name() == "remove" {
            headers.remove.extend(removed(&field, direction, notes));
            continue;
        }
        for item in notes.list(&field) {
            notes.object(&item, &["name", "value"]);
            let (Some(name), Some(value)) = (item.text_at("name"), item.text_at("value")) else {
                notes.add(
                    &item,
                    Effect::Looser,
                    "expected `name` and `value`, both strings: the header stays as it came",
                );
                continue;
            };
            if let Err(message) = compile::check_header(direction, name) {
                notes.add(&item, Effect::Looser, format!("{message}: the header stays as it came"));
                continue;
            }
            let header = (name.to_owned(), literal(value));
            if field.name() == "set" { headers.set.push(header) } else { headers.add.push(header) }
        }
    }
    headers
}
