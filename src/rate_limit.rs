//! Rate limits: the protocol of services that count requests.

pub mod service;
