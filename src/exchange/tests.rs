//! Exchanges, driven as a proxy drives them.

mod bodies;
pub(crate) mod driven;
mod fields;
mod forwarded;
mod laws;
mod records;
mod reports;
mod shared;
mod trailers;
mod two_tokens;
mod waiting;
