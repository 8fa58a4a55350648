//! How origins read a request. The expression language and the filter both need to know it.
//!
//! A rule protects an origin only if the origin reads the request as the rule does, and origins do
//! not agree with each other. Each module therefore lists the readings that there are: of header
//! names ([`name`]), values ([`value`]), cookies ([`cookie`]), paths ([`path`]) and queries
//! ([`query`]), and which header lines Envoy itself joins before any filter sees them ([`inline`]).
//! `docs/reading.md` names the origins that read each thing in each way.
//!
//! [`hash`] and [`words`] look at several bytes at once; [`mends`] switches single protections off
//! in tests.

pub mod cookie;
pub mod hash;
pub mod header_name;
pub mod host;
pub mod inline;
pub mod mends;
pub mod name;
pub mod path;
pub mod path_safety;
pub mod query;
pub mod value;
pub mod words;
