//! Local limits: what may be admitted, whatever order things happen in.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "the numbers of the tests are small"
)]

mod generated;
mod limiter;
mod world;
