//! The filter with the servers that people run beside it, each in a real Envoy.

mod authorization;
mod limits;
mod native;
mod setting;
