//! Tests of the language as a whole; those of one part of it are beside that part.

#[cfg(test)]
mod asked;
pub mod both_ways;
#[cfg(test)]
mod evaluator;
#[cfg(test)]
mod functions_page;
#[cfg(test)]
pub(crate) mod generated;
#[cfg(test)]
mod json;
#[cfg(test)]
mod language;
#[cfg(test)]
mod lowering;
#[cfg(test)]
pub(crate) mod message;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod provided;
#[cfg(test)]
mod quick;
#[cfg(test)]
mod returned;
#[cfg(test)]
mod standard_functions;
#[cfg(test)]
mod times;

#[cfg(all(test, not(target_arch = "wasm32")))]
use crate::Phase;
#[cfg(test)]
use crate::data::Data;

#[cfg(test)]
pub(crate) use self::language::{refused, rule, value};
