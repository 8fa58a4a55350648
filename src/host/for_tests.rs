//! What only tests need: traps on demand, defences that are switched off, and a service to call. It
//! exists only with the feature `trap-for-tests`, which is never shipped, because any caller could
//! kill a worker's VM with it.

#[cfg(not(debug_assertions))]
compile_error!(
    "the feature `trap-for-tests` is for the profile `trapping`: leave it out of what is shipped"
);

use core::arch::wasm32::unreachable;

use serde_json::Value;

use super::environment::OfVm;
use crate::config::ConfigError;
use crate::policy::Engine;
use crate::request::headers::Headers;

/// Loads a configuration that may have two more fields: `unmended`, the numbers of findings whose
/// defences are switched off, so that tests can show that the search for gaps finds them; and
/// `probe`, the service that is called for requests that ask for it.
pub(super) fn load(json: Vec<u8>) -> Result<Engine, Vec<ConfigError>> {
    let Ok(mut configuration) = serde_json::from_slice::<Value>(&json) else {
        return Engine::load_with(&json, &OfVm);
    };
    let mut take = |field| configuration.as_object_mut().and_then(|fields| fields.remove(field));
    let (unmended, probe) = (take("unmended"), take("probe"));
    let numbers = unmended.as_ref().and_then(Value::as_array).into_iter().flatten();
    let numbers = numbers.filter_map(Value::as_u64);
    crate::mends::switch_off(numbers.filter_map(|number| u32::try_from(number).ok()));
    if unmended.is_none() && probe.is_none() {
        return Engine::load_with(&json, &OfVm);
    }
    let mut engine = Engine::load_with(configuration.to_string().as_bytes(), &OfVm)?;
    engine.probe = probe.and_then(|probe| serde_json::from_value(probe).ok());
    Ok(engine)
}

/// The request header that asks for a trap. Its value is the phase to trap in, `request` or
/// `response`.
const HEADER: &[u8] = b"x-trap-for-tests";

/// Traps if the request asks for that; returns whether the response is to trap.
pub(super) fn trap_in_request(request: &[u8]) -> bool {
    let headers = Headers::from_pairs(request).unwrap_or_default();
    match headers.first(HEADER) {
        Some(b"request") => unreachable(),
        phase => phase == Some(b"response"),
    }
}

/// Traps.
pub(super) fn trap() {
    unreachable()
}
