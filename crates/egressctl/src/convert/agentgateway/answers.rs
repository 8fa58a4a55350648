//! Answers in the origin's place, and rewrites.

use super::*;
use crate::convert::policy::entry;

const GOES_ON: &str = "the requests go on to the origin";

/// `directResponse`
pub(super) fn direct_response<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Feature {
    let Some(list) = at.get("conditional") else {
        return Some(("directResponse", response(at, notes)?));
    };
    conditional::check_alone(at, notes);
    let Some(entries) = conditional::entries(&list, notes, response) else {
        let message = format!("the direct response is not in the result: {GOES_ON}");
        notes.field(&list, Effect::Looser, message);
        return None;
    };
    let entries = entries.into_iter().map(|(condition, form)| entry(condition.as_deref(), form));
    Some(("directResponse", Tree::map([("conditional", Tree::list(entries))])))
}

/// One form of a direct response. A header or a body that cannot be converted is left out: what
/// counts is that the origin is not asked.
fn response<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Tree> {
    let fields = notes.object(at, &["status", "body", "bodyExpression", "headers"]);
    let mut form = Vec::new();
    for field in &fields {
        let tree = match field.name() {
            "headers" => headers(field, notes),
            "body" => body(field, "body", notes),
            "bodyExpression" => body(field, "bodyExpression", notes),
            _ => Some(Tree::of(field.node)),
        };
        form.extend(tree.map(|tree| (field.name(), tree)));
    }
    let status = fields.iter().find(|field| field.name() == "status");
    let status = status.map(|status| ("status", status.node.clone()));
    let form_of_status = compile::fields(at, status.into_iter().collect());
    let errors = compile::errors_of(Position::Traffic("directResponse"), at, form_of_status);
    if errors.is_empty() {
        return Some(Tree::map(form));
    }
    let consequence = format!("no answer is in the result, so that {GOES_ON}");
    notes.refused(at, Effect::Looser, errors, &consequence);
    None
}

fn body<'d>(at: &At<'d>, name: &'static str, notes: &mut Notes<'d>) -> Option<Tree> {
    let errors = part(at, name, at.node.clone());
    let known = errors.is_empty();
    for error in errors {
        let message = format!("{}: the answer has no body", error.message);
        notes.push(at, Effect::Lost, Diagnostic { message, ..error }.at(at.path.clone()));
    }
    known.then(|| Tree::of(at.node))
}

fn headers<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Tree> {
    let mut kept = Vec::new();
    for item in notes.list(at) {
        let errors = part(&item, "headers", compile::list(&item, item.node.clone()));
        if errors.is_empty() {
            kept.push(Tree::of(item.node));
        }
        for error in errors {
            let message = format!("{}: the answer goes without the header", error.message);
            let path = item.path.clone();
            notes.push(&item, Effect::Lost, Diagnostic { message, ..error }.at(path));
        }
    }
    (!kept.is_empty()).then(|| Tree::list(kept))
}

/// The errors in one field of a direct response.
fn part(at: &At<'_>, name: &'static str, node: crate::yaml::Node) -> Vec<Diagnostic> {
    let status = compile::number(at, 200);
    let form = compile::fields(at, vec![("status", status), (name, node)]);
    compile::errors_of(Position::Traffic("directResponse"), at, form)
}

/// `urlRewrite` and `requestRedirect`, which AgentGateway's resource has not: filters of a route in
/// Gateway API's shape. Its standalone configuration has another shape.
pub(super) fn of_filter<'d>(at: &At<'d>, name: &'static str, notes: &mut Notes<'d>) -> Feature {
    let errors = compile::errors(Position::Traffic(name), at);
    if errors.is_empty() {
        let message = format!(
            "`{name}`: AgentGateway's resource has no such field, only filters of an HTTPRoute; it \
             is taken for one"
        );
        notes.field(at, Effect::Hint, message);
        return Some((name, Tree::of(at.node)));
    }
    let consequence = match name {
        "urlRewrite" => "the URL is not rewritten",
        _ => GOES_ON,
    };
    let consequence = format!("`{name}` is not in the result: {consequence}");
    notes.refused(at, Effect::Looser, errors, &consequence);
    None
}
