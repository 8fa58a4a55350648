//! How a request is read: what the policies' language and the filter must both know of it.
//!
//! A rule is worth something only where the origin reads the request as the rule does, and origins
//! do not agree with each other. So each module says which readings there are: of header names
//! ([`name`]), values ([`value`]), cookies ([`cookie`]), paths ([`path`]) and queries ([`query`]),
//! and which header lines Envoy itself joins before any filter sees them ([`inline`]).
//! `docs/reading.md` names the origins that read each thing in each way.
//!
//! [`hash`] compares and hashes bytes quickly; [`mends`] switches single protections off in tests.

pub mod cookie;
pub mod hash;
pub mod inline;
pub mod mends;
pub mod name;
pub mod path;
pub mod query;
pub mod value;
