//! Exchanges, driven as a proxy drives them.

pub(crate) mod driven;
mod fields;
mod laws;
mod records;
mod reports;
mod shared;
mod trailers;
mod two_tokens;
mod waiting;
