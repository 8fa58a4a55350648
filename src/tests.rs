//! What the tests of several modules, and fuzzing, share.

#[cfg(test)]
#[path = "../crates/cel/src/tests/generated.rs"]
pub(crate) mod generated;
pub(crate) mod message;

#[cfg(all(test, not(target_arch = "wasm32")))]
use crate::cel::Phase;
