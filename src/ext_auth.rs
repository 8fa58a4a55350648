//! External authorization: the protocols in which a service is asked whether a request may pass,
//! what its answers say, and those that are kept.

pub(crate) mod answer;
pub(crate) mod cache;
pub mod grpc;
