//! External authorization: the protocols in which a service is asked whether a request may pass.

pub mod grpc;
