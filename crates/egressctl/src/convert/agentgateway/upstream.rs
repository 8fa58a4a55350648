//! How the request to the origin is made: `hostRewrite`, `timeouts`, `retry`.

use super::*;
use crate::yaml::Node;

/// `hostRewrite`
pub(super) fn host_rewrite<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Feature {
    let fields = notes.object(at, &["mode"]);
    let kept = fields.iter().map(|field| (field.name(), field.node.clone())).collect();
    let node = compile::fields(at, kept);
    checked(at, "hostRewrite", node, "the host stays as it came", notes)
}

/// `timeouts`
pub(super) fn timeouts<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Feature {
    let fields = notes.object(at, &["request"]);
    let kept = fields.iter().map(|field| (field.name(), field.node.clone())).collect();
    timeouts_of(at, compile::fields(at, kept), notes)
}

/// The same of fields that are known.
pub(in crate::convert) fn timeouts_of<'d>(
    at: &At<'d>,
    node: Node,
    notes: &mut Notes<'d>,
) -> Feature {
    let feature = checked(at, "timeouts", node, "there is no such timeout", notes);
    if feature.is_some() {
        let message = "Envoy's clock runs from the end of the request to the end of the response; \
            AgentGateway's from the arrival of the request to the head of the response";
        notes.once("timeout", at, message);
    }
    feature
}

/// `retry`
pub(in crate::convert) fn retry<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Feature {
    let mut kept = Vec::new();
    let known = ["attempts", "backoff", "codes", "precondition", "condition"];
    for field in &notes.object(at, &known) {
        match field.name() {
            "backoff" => {
                let message = "`backoff` has no counterpart: Envoy takes none from a filter, and \
                    waits 25 ms and longer; `retries.backoff` of a VirtualService sets it";
                notes.field(field, Effect::Lost, message);
            }
            "condition" => {
                let message = "`condition` has no counterpart: Envoy takes none from a filter; \
                    `codes` and failures of the connection are what it retries";
                notes.field(field, Effect::Lost, message);
            }
            name => kept.push((name, field.node.clone())),
        }
    }
    let node = compile::fields(at, kept);
    checked(at, "retry", node, "there are no retries", notes)
}

/// A feature, if the engine takes it. Without it nothing more is let through.
fn checked<'d>(
    at: &At<'d>,
    name: &'static str,
    node: Node,
    consequence: &str,
    notes: &mut Notes<'d>,
) -> Feature {
    let errors = compile::errors_of(Position::Traffic(name), at, node.clone());
    if errors.is_empty() {
        return Some((name, Tree::of(&node)));
    }
    let consequence = format!("`{name}` is not in the result: {consequence}");
    notes.refused(at, Effect::Lost, errors, &consequence);
    None
}
