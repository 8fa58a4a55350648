//! What the tests of several modules, and fuzzing, share.

#[cfg(test)]
#[path = "../crates/cel/src/tests/generated.rs"]
pub(crate) mod generated;
#[path = "../crates/cel/src/tests/json.rs"]
pub(crate) mod json;
pub(crate) mod message;

#[cfg(all(test, not(target_arch = "wasm32")))]
use crate::cel::Phase;
use crate::cel::data::Data;
