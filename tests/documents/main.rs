//! The documents say what is true: their links lead somewhere, what is generated in them is up to
//! date, and what they show as output is what the engine says.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod examples;
mod fields;
mod limits;
mod links;
mod pages;
mod stages;
