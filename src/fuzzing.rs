//! The door for `e2e/fuzz`: what it feeds, and what must hold then. Not part of any other build.

use crate::attributes::TABLE;
use crate::cel::tests::both_ways::{self, BothWays};
use crate::cel::{Expected, Phase};
use crate::policy::{Engine, load_record};
use crate::tests::message::Scene;

/// Loads a configuration, whatever it is; returns whether it was one.
#[must_use]
pub fn load(json: &[u8]) -> bool {
    let outcome = Engine::load(json);
    let record = load_record(outcome.as_ref().map_err(Vec::as_slice));
    outcome.is_ok() && !record.is_empty()
}

/// Compiles an expression, and evaluates it for a request with and without what it is lowered to;
/// returns how often it was evaluated.
///
/// A request is lines of a header's name, a blank and its value. `@caller`, `@service`, `@source`,
/// `@destination`, `@version` stand for what is known beside the headers, `@line` for which line of
/// a header (`@line x-a 1`) is looked at, and `<` before a name for the response's.
///
/// # Errors
/// Where the two differ.
pub fn agree(source: &str, request: &[u8]) -> Result<usize, String> {
    let scene = scene(request);
    let mut evaluated = 0_usize;
    for (phase, expected) in [
        (Phase::Request, Expected::Rule),
        (Phase::Request, Expected::Header),
        (Phase::Response, Expected::Header),
    ] {
        let Ok(both) = BothWays::of(&TABLE, source, phase, expected) else { continue };
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
    let policy = serde_json::json!({"name": "p", "hosts": ["a", "*.b"], "traffic": {"authorization": {"action": "Deny", "policy": rule}}});
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
