//! `extAuth`: services that are asked whether a request may go on.

use super::service::Origin;
use super::*;
use crate::convert::policy::entry;

const PASSES: &str = "nobody is asked, so that requests go on which a service would deny";

/// `extAuth`
pub(super) fn ext_auth<'d>(at: &At<'d>, of: Origin<'_, 'd>, notes: &mut Notes<'d>) -> Feature {
    let Some(list) = at.get("conditional") else {
        return Some(("extAuth", form(at, of, notes)?));
    };
    conditional::check_alone(at, notes);
    let entries = conditional::entries(&list, notes, |entry, notes| form(entry, of, notes));
    let Some(entries) = entries else {
        let message = format!("the authorization service is not in the result: {PASSES}");
        notes.field(&list, Effect::Looser, message);
        return None;
    };
    let entries = entries.into_iter().map(|(condition, form)| entry(condition.as_deref(), form));
    Some(("extAuth", Tree::map([("conditional", Tree::list(entries))])))
}

/// One form of it, if the engine takes it as a whole.
fn form<'d>(at: &At<'d>, of: Origin<'_, 'd>, notes: &mut Notes<'d>) -> Option<Tree> {
    let known = ["backendRef", "url", "failureMode", "grpc", "http", "forwardBody", "cache"];
    let fields = notes.object(at, &known);
    let own = fields.iter().filter(|field| !matches!(field.name(), "backendRef" | "url"));
    let mut kept: Vec<_> = own.map(|field| (field.name(), field.node.clone())).collect();
    kept.push(("backendRef", service::service(at, of, "the authorization service", notes)?));
    let node = compile::fields(at, kept);
    let errors = compile::errors_of(Position::Traffic("extAuth"), at, node.clone());
    if errors.is_empty() {
        let message = "the service's answer is waited for no longer than 200 ms, unless `timeout` \
            says otherwise; AgentGateway waits 2 seconds for one of HTTP, and for one of gRPC \
            without limit";
        notes.once("authorization timeout", at, message);
        return Some(Tree::of(&node));
    }
    notes.refused(at, Effect::Looser, errors, &format!("`extAuth` is not in the result: {PASSES}"));
    None
}
