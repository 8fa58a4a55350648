//! What `e2e/fuzz` calls: each function takes input, and returns an error if a law does not hold
//! for it. Not part of any other build.

use crate::attributes::TABLE;
use crate::audit::load_record;
use crate::cel::tests::both_ways::{self, BothWays};
use crate::cel::{Expected, Phase, Scope};
use crate::policy::Engine;
use crate::tests::message::Scene;

/// Loads any bytes as a configuration, and returns whether they are one.
#[must_use]
pub fn load(json: &[u8]) -> bool {
    let outcome = Engine::load(json);
    let record = load_record(outcome.as_ref().map_err(Vec::as_slice));
    outcome.is_ok() && !record.is_empty()
}

/// Compiles an expression and evaluates it for a request, both in its lowered form and by the
/// interpreter. Returns how often it was evaluated.
///
/// A request is lines of a header's name, a blank and its value. `@caller`, `@service`, `@source`,
/// `@destination`, `@version`, `@time` (in nanoseconds) stand for what the proxy knows besides the
/// headers; `@line x-a 1` chooses one line of a repeated header; `<` before a name makes it a
/// header of the response.
///
/// # Errors
/// If the two results differ.
pub fn agree(source: &str, request: &[u8]) -> Result<usize, String> {
    let scene = scene(request);
    let mut evaluated = 0_usize;
    for (phase, expected) in [
        (Phase::Request, Expected::Rule),
        (Phase::Request, Expected::Header),
        (Phase::Response, Expected::Header),
    ] {
        let Ok(both) = BothWays::of(Scope::of(&TABLE), source, phase, expected) else { continue };
        let (ours, theirs) = scene.view(phase, |view| (both.ours(view), both.theirs(view)));
        evaluated = evaluated.saturating_add(1);
        if !both_ways::agree(&ours, &theirs) && !BothWays::may_differ(source, &theirs) {
            return Err(format!(
                "{source:?}, {expected:?}: {ours:?} against {theirs:?} for {scene:?}"
            ));
        }
    }
    // As it stands in a configuration, with what else is looked for there.
    let rule = serde_json::json!({"matchExpressions": [source]});
    let traffic = serde_json::json!({"authorization": {"action": "Deny", "policy": rule}});
    let policy = serde_json::json!({"name": "p", "hosts": ["a", "*.b"], "traffic": traffic});
    // And as a variable, in a value that takes any type.
    let variable = serde_json::json!({"name": "v", "expression": source});
    let set = serde_json::json!([{"name": "x-v", "value": "toJson(variables.v)"}]);
    let traffic = serde_json::json!({"transformation": {"request": {"set": set}}});
    let reading = serde_json::json!({"name": "q", "traffic": traffic});
    let config = serde_json::json!({"variables": [variable], "policies": [reading]});
    let _ = load(config.to_string().as_bytes());
    let loaded = load(serde_json::json!({"policies": [policy]}).to_string().as_bytes());
    Ok(evaluated.saturating_add(usize::from(loaded)))
}

fn scene(request: &[u8]) -> Scene<'_> {
    let mut scene = Scene::default();
    for line in request.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(at).unwrap_or_default();
        let value = rest.get(1..).unwrap_or_default();
        let [source, destination] = &mut scene.addresses;
        match name {
            b"" => {}
            b"@caller" => scene.caller = value,
            b"@service" => scene.service = value,
            b"@source" => *source = value,
            b"@destination" => *destination = value,
            b"@version" => scene.version = value,
            b"@time" => scene.time = std::str::from_utf8(value).ok().and_then(|t| t.parse().ok()),
            b"@line" => {
                let chosen = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' '));
                scene.chosen = chosen.and_then(|(name, index)| Some((name, index.parse().ok()?)));
            }
            [b'<', name @ ..] => scene.response.push((name, value)),
            _ => scene.lines.push((name, value)),
        }
    }
    scene
}
